"""An attached terminal, measured: key to paint beside a terminal of its own, and the service's CPU by terminals.

    python benchmarks/speed/bench_attached.py [--keys 300] [--bursts 30]

Key to paint is from the key's arrival in the application to the next frame it draws, in a headless application attached
to a real service process over its Unix socket, and over a WebSocket on loopback. The service's CPU is its process time
for bursts of 1,000 features' figures while so many terminals (raw readers in processes of their own) take them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

# Pages that are shown for the first time are read from what is kept compiled, as a user's are.
sys.dont_write_bytecode = False

READER = """
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
body = b'{"hello":1,"events":true}'
s.sendall(len(body).to_bytes(4, "big") + body)
while s.recv(1 << 20): pass
"""
KEYS = ("down", "down", "up", "2", "1", "down", "5", "1")


@dataclass(frozen=True, slots=True)
class Frame:
    """One key and its frame: seconds by the clock, of them the loop's thread computing."""

    seconds: float
    cpu: float
    key: str


async def key_to_paint(make: Any, settings: Any, keys: int) -> list[Frame]:
    """The frames, the quickest first. A key that changes nothing has none."""
    from midas_engine.clock import WallClock
    from midas_tui.app import MidasApp
    from midas_tui.sweeper import Sweeper

    with Sweeper(lambda: app.shell.door.idle_seconds(), WallClock()) as sweeper:  # as the program has it
        app = MidasApp(make, settings, when_ready=sweeper.begin)
        async with app.run_test(size=(120, 32)) as pilot:
            await asyncio.wait_for(app.ready.wait(), 120)
            await pilot.pause()
            return sorted(await _frames(app, pilot, keys), key=lambda frame: frame.seconds)


async def _frames(app: Any, pilot: Any, keys: int) -> list[Frame]:
    from textual import events as textual_events

    painted, drawn = asyncio.Event(), app._display
    found: list[Frame] = []

    def display(*args: Any) -> None:
        painted.set()
        drawn(*args)

    app._display = display
    for number in range(keys):
        await pilot.pause(0.05)
        painted.clear()
        began, cpu = time.perf_counter(), time.thread_time()
        key, before = KEYS[number % len(KEYS)], KEYS[number % len(KEYS) - 1]
        app.post_message(textual_events.Key(key, key if len(key) == 1 else None))
        try:
            await asyncio.wait_for(painted.wait(), 2.0)
        except TimeoutError:
            continue  # a key at the table's end changes nothing
        taken = Frame(time.perf_counter() - began, time.thread_time() - cpu, f"{number}: {key} after {before}")
        found.append(taken)
    return found


def told(name: str, found: list[Frame]) -> None:
    """A line, and the three slowest keys."""
    at = [1000 * found[int(share * (len(found) - 1))].seconds for share in (0.5, 0.99, 1.0)]
    print(f"{name:<46} p50 {at[0]:6.1f} ms, p99 {at[1]:6.1f} ms, longest {at[2]:6.1f} ms ({len(found)} frames)")
    slow = (f"{1000 * f.seconds:.0f} ms ({1000 * f.cpu:.0f} computing) key {f.key}" for f in found[-3:])
    cpu = sorted(1000 * f.cpu for f in found)
    worst = f"p99 {cpu[int(0.99 * (len(cpu) - 1))]:.1f} ms, longest {cpu[-1]:.1f} ms"
    print(f"    the slowest: {', '.join(slow)}; processor time: {worst}", flush=True)


async def burst_cpu(desk: Path, clients: int, bursts: int) -> float:
    """Process time of a service per burst of 1,000 figures, with so many terminals attached."""
    from helpers_service import plan_of
    from helpers_tui import NOW, metrics
    from midas_engine.events import FeatureTicked
    from midas_engine.service.service import Service

    ticks = [FeatureTicked(at=NOW, metrics=metrics(f"feature_{i:04d}")) for i in range(1000)]
    async with Service(plan_of(desk, service__record=False, service__log_mb=0)) as service:
        readers = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", READER, str(service.plan.place.socket))
            for _ in range(clients)
        ]
        try:
            for _ in range(200):
                if service.door is None or service.door.clients >= clients:
                    break
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            began = time.process_time()
            for _ in range(bursts):
                for tick in ticks:
                    service.runtime.bus.publish(tick)
                await asyncio.sleep(0.2)
            return (time.process_time() - began) / bursts
        finally:
            for reader in readers:
                reader.kill()
                await reader.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=300)
    parser.add_argument("--bursts", type=int, default=30)
    parser.add_argument("--only", choices=("own", "attached", "cpu"), help="one of the three parts")
    args = parser.parse_args()
    from helpers_service import copy_desk, make_desk, settings_of
    from midas_engine.runtime import Runtime

    with tempfile.TemporaryDirectory() as folder:
        stocked = make_desk(Path(folder) / "desk", bars=100)
        own = copy_desk(stocked, Path(folder) / "own")
        if args.only in (None, "own"):
            found = asyncio.run(key_to_paint(lambda: Runtime(settings_of(own)), settings_of(own), args.keys))
            told("its own engine", found)
        if args.only in (None, "attached"):
            attached(copy_desk(stocked, Path(folder) / "served"), args.keys)
        for clients in (0, 1, 3, 10) if args.only in (None, "cpu") else ():
            desk = copy_desk(stocked, Path(folder) / f"cpu{clients}")
            cost = asyncio.run(burst_cpu(desk, clients, args.bursts))
            print(f"service, 1,000 figures, {clients:>2} terminals: {1000 * cost:6.1f} ms of CPU a burst")


def attached(served: Path, keys: int) -> None:
    """Key to paint through both doors of a service on a desk."""
    from helpers_service import read_until, settings_of
    from midas_engine.service.place import Place
    from midas_tui.attach import attached_runtime

    (served / "midas.toml").write_text('[service]\nwebsocket = "127.0.0.1:18765"\n')
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "midas", "run", "--kb", str(served / "kb"), "--config", "midas.toml"]
    command += ["--data", f"follow:{served / 'bars.parquet'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=served, env=env) as run:
        read_until(run, " running ", " degraded ")
        settings = settings_of(served)
        os.environ["MIDAS_SERVICE_TOKEN"] = Place(served / "kb").token()
        for name, address in (("attached by its socket", ""), ("attached by WebSocket", "ws://127.0.0.1:18765")):
            told(name, asyncio.run(key_to_paint(lambda a=address: attached_runtime(settings, a), settings, keys)))
        run.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    main()
