"""The budgets a user feels, as measured here: start-up, first paint, one verdict, a loop that never blocks.

    python benchmarks/speed/bench_budgets.py [--rounds 5] [--check]

Times are medians of fresh processes, beside the CPU they took and their ratio to `python -c pass` in the same run,
because machines differ and are shared: a wall time far above its CPU is somebody else's load. With `--check` the exit
code is 1 when a budget is passed.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import math
import os
import pty
import resource
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
EXPRESSION = "cs_rank(ts_mean(funding_rate, 24))"


@dataclass(frozen=True)
class Budget:
    """One figure with what it may be."""

    name: str
    measured: float
    cpu: float
    allowed: float | None

    @property
    def kept(self) -> bool:
        """Whether the figure is within what it may be."""
        return self.allowed is None or self.measured <= self.allowed


def _environment() -> dict[str, str]:
    """A user's: what was imported once is kept compiled, whatever this process was told (the first start warms it)."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLORTERM": "truecolor"}


def _fresh_process(*command: str) -> Callable[[], tuple[float, float]]:
    def once() -> tuple[float, float]:
        start, before = time.perf_counter(), _cpu_of_children()
        subprocess.run([sys.executable, *command], cwd=ROOT, env=_environment(), capture_output=True, check=True)
        return time.perf_counter() - start, _cpu_of_children() - before

    return once


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def first_paint(columns: int = 120, lines: int = 32, limit: float = 30.0) -> tuple[float, float]:
    """Seconds and CPU from exec until `midas-tui` has drawn text on at least three lines of a real terminal."""
    before, painted = _cpu_of_children(), math.nan
    screen = pyte.Screen(columns, lines)
    stream = pyte.ByteStream(screen)
    with tempfile.TemporaryDirectory() as kb:
        start = time.perf_counter()
        pid, terminal = pty.fork()
        if pid == 0:
            command = [sys.executable, "-m", "midas_tui", "--replay", "sample", "--kb", kb]
            os.chdir(ROOT)
            os.execve(sys.executable, command, _environment())
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        try:
            while time.perf_counter() - start < limit and math.isnan(painted):
                ready, _, _ = select.select([terminal], [], [], 0.5)
                if ready:
                    stream.feed(os.read(terminal, 65536))
                    if sum(1 for line in screen.display if line.strip()) >= 3:
                        painted = time.perf_counter() - start
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(terminal)
    if math.isnan(painted):
        raise RuntimeError(f"midas-tui drew nothing in {limit} s:\n" + "\n".join(screen.display))
    return painted, _cpu_of_children() - before


async def _longest_pause() -> tuple[float, float]:
    """The longest the event loop was held while a discovery session ran: wall time, and CPU of its thread."""
    from midas_engine.cli.discovery import discovery
    from midas_engine.loops import OfflineLoopConfig
    from midas_engine.settings import load_settings

    with tempfile.TemporaryDirectory() as kb:
        settings = load_settings(file=None, environ={}, flags={"kb": kb, "data": "sample"})
        longest = busiest = 0.0
        running = True

        async def heartbeat() -> None:
            nonlocal longest, busiest
            while running:
                before, cpu = time.perf_counter(), time.thread_time()
                await asyncio.sleep(0.005)
                longest = max(longest, time.perf_counter() - before - 0.005)
                busiest = max(busiest, time.thread_time() - cpu)

        config = OfflineLoopConfig(max_iterations=1, candidates_per_iter=3)
        async with discovery(settings, "short-term reversal", config) as session:
            beat = asyncio.create_task(heartbeat())
            async for _ in session:
                pass
            running = False
            await beat
    return longest, busiest


def measure(rounds: int) -> list[Budget]:
    """Every budget, interleaved round by round so that a busy moment touches all alike."""
    contenders: dict[str, tuple[Callable[[], tuple[float, float]], float | None]] = {
        "python -c pass": (_fresh_process("-c", "pass"), None),
        "midas --help": (_fresh_process("-m", "midas", "--help"), 0.3),
        "midas-tui, first paint": (first_paint, 0.6),
        "midas evaluate, sample, warm cache": (
            _fresh_process("-m", "midas", "evaluate", EXPRESSION, "--data", "sample", "--kb", "/nonexistent", "--json"),
            3.0,
        ),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for once, _ in contenders.values():
        once()  # warms the disk cache and the kernel cache
    for _ in range(rounds):
        for name, (once, _allowed) in contenders.items():
            times[name].append(once())
    found = []
    for name, (_, allowed) in contenders.items():
        wall, cpu = (statistics.median(column) for column in zip(*times[name], strict=True))
        found.append(Budget(name, wall, cpu, allowed))
    found.append(Budget("event loop held, longest, discovery session", *asyncio.run(_longest_pause()), 0.05))
    return found


def main() -> int:
    """Measure, print, and say whether every budget was kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="exit 1 when a budget is passed")
    arguments = parser.parse_args()
    budgets = measure(arguments.rounds)
    base = budgets[0].measured
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    print("| what | measured | of it CPU | budget | x python -c pass | |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for b in budgets:
        allowed = "" if b.allowed is None else f"{b.allowed * 1000:,.0f} ms"
        mark = "" if b.allowed is None else "kept" if b.kept else "OVER"
        if not b.kept and b.allowed is not None and b.cpu <= b.allowed and os.getloadavg()[0] > (os.cpu_count() or 1):
            mark = "OVER, its CPU is within: the machine is busy"
        times = f"{b.measured * 1000:,.0f} ms | {b.cpu * 1000:,.0f} ms"
        print(f"| {b.name} | {times} | {allowed} | {b.measured / base:.1f} | {mark} |")
    return 1 if arguments.check and not all(b.kept for b in budgets) else 0


if __name__ == "__main__":
    sys.exit(main())
