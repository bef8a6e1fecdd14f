"""What the terminal costs and how it feels: the budgets of its design, measured in a real pseudo-terminal.

    python benchmarks/speed/bench_tui.py [--seconds 8] [--rounds 5] [--only NAME] [--check]

CPU is process time over wall time of the terminal's own process; lag is how late its event loop wakes from a 5 ms
sleep, which is what a key press feels. `x pass` is the ratio to starting an empty Python in the same run. With
`--check` the exit code is 1 when a budget is passed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from midas_tui.app import MidasApp


@dataclass
class Figure:
    """One figure with what it may be; `budget` NaN: shown only."""

    name: str
    value: float
    unit: str
    budget: float = math.nan

    @property
    def kept(self) -> bool:
        """Within the budget, or without one."""
        return not self.value > self.budget


# -- inside the terminal's process -------------------------------------------------------------------


class Meter:
    """CPU and loop lag of this process between `start` and `stop`."""

    def start(self) -> None:
        """Begin."""
        self.lags: list[float] = []
        self._task = asyncio.get_running_loop().create_task(self._sample())
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    async def _sample(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            self.lags.append(time.perf_counter() - began - 0.005)

    def stop(self, name: str, cpu_budget: float, lag_budget: float = math.nan) -> list[Figure]:
        """End; the figures."""
        cpu = (time.process_time() - self._cpu) / (time.perf_counter() - self._wall)
        self._task.cancel()
        lags = sorted(self.lags)
        return [
            Figure(f"{name}: CPU, sampler included", 100 * cpu, "%", cpu_budget),
            Figure(f"{name}: loop lag p99", 1000 * lags[int(0.99 * (len(lags) - 1))], "ms", lag_budget),
            Figure(f"{name}: loop lag max", 1000 * lags[-1], "ms"),
        ]


@asynccontextmanager
async def terminal(runtime: Any, mode: str = "live") -> AsyncIterator[MidasApp]:
    """The application on a scripted runtime, drawing to the real terminal this process has."""
    from midas_engine.clock import WallClock
    from midas_tui.app import MidasApp
    from midas_tui.sweeper import Sweeper

    with Sweeper(lambda: app.shell.door.idle_seconds(), WallClock()) as sweeper:  # as the program has it
        app = MidasApp(lambda: runtime, mode=mode, when_ready=sweeper.begin)
        running = asyncio.create_task(app.run_async())
        await app.ready.wait()
        await asyncio.sleep(1.0)
        try:
            yield app
        finally:
            app.exit(0)
            await running


async def thousand(seconds: float) -> list[Figure]:
    """1000 features, 200 changed cells a second."""
    from helpers_tui import NOW, ScriptedRuntime, metrics
    from midas_engine.events import FeatureTicked

    runtime = ScriptedRuntime()
    runtime.found = [metrics(f"feature_{i:04d}") for i in range(1000)]
    async with terminal(runtime):
        meter, end, turn = Meter(), time.perf_counter() + seconds, 0
        meter.start()
        while time.perf_counter() < end:
            # Two cells each (the rolling IC and the day's return), ten times a second, seen rows among them.
            for i in range(10):
                name = f"feature_{(turn * 7 + i * (1 if i < 5 else 97)) % (40 if i < 5 else 1000):04d}"
                event = FeatureTicked(at=NOW, metrics=metrics(name, pnl_1d_bps=float(turn % 50)))
                runtime.bus.publish(event)
            turn += 1
            await asyncio.sleep(0.1)
        return meter.stop("1000 features, 200 cells/s", 8.0, 15.0)


async def screen(seconds: float) -> list[Figure]:
    """The whole Live screen at 4 Hz: every feature, three charts, the feed."""
    from helpers_tui import NOW, ScriptedRuntime, alert, metrics
    from midas_engine.events import AlertUpdated, BarProcessed, FeatureTicked

    runtime = ScriptedRuntime()
    runtime.found = [metrics(f"feature_{i:02d}") for i in range(12)]
    async with terminal(runtime):
        meter, end, turn = Meter(), time.perf_counter() + seconds, 0
        meter.start()
        while time.perf_counter() < end:
            for i in range(12):
                runtime.bus.publish(FeatureTicked(at=NOW, metrics=metrics(f"feature_{i:02d}", score=turn / 1000)))
            runtime.bus.publish(AlertUpdated(at=NOW, alert=alert("feature_03", count=turn)))
            runtime.bus.publish(BarProcessed(at=NOW, bar_at=NOW, regime="HIGH_VOL", features=12, seconds=turn / 1e4))
            turn += 1
            await asyncio.sleep(0.25)
        return meter.stop("whole Live screen at 4 Hz", 15.0, 40.0)


async def tokens(seconds: float) -> list[Figure]:
    """A researcher's words, 100 a second."""
    from helpers_tui import NOW, ScriptedRuntime, session_events
    from midas_engine.events import TokensStreamed

    runtime = ScriptedRuntime()
    async with terminal(runtime, "discovery") as app:
        for event in session_events():
            runtime.bus.publish(event)
        meter, end, sent = Meter(), time.perf_counter() + seconds, 0
        meter.start()
        while time.perf_counter() < end:
            text = f"word{sent} " if sent % 12 else "\n"
            runtime.bus.publish(TokensStreamed(at=NOW, session_id="s1", iteration=1, phase="plan", text=text))
            sent += 1
            await asyncio.sleep(0.01)
        figures = meter.stop("100 tokens/s", 15.0)
        app.shell.bridge.pump()
        shown = " ".join(line for line, _ in app.store.sessions["s1"].lines)
        lost = sum(f"word{i} " not in shown + " " for i in range(sent) if i % 12)
        return [*figures, Figure("100 tokens/s: words lost", float(lost), "", 0.0)]


def key_figures(beside: str, taken: list[tuple[float, float]]) -> list[Figure]:
    """Of keys pressed beside something: by the clock, and what of it the loop computed, which no load makes longer."""
    walls, computing = ([1000 * v for v in sorted(column)] for column in zip(*taken, strict=True))
    last = int(0.99 * (len(taken) - 1))
    return [
        Figure(f"key to paint, {beside}, {len(taken)} keys: p50", statistics.median(walls), "ms"),
        Figure(f"key to paint, {beside}: p99", walls[last], "ms", 50.0),
        Figure(f"key to paint, {beside}: p99 of the loop computing", computing[last], "ms"),
    ]


async def session(seconds: float) -> list[Figure]:
    """Key to paint in Discovery under a session that fills it."""
    from full_session import key_to_paint

    rows, taken = await key_to_paint(terminal, seconds)
    return key_figures(f"session of {rows} rows", taken)


async def engine(seconds: float) -> list[Figure]:
    """Key to paint in Discovery while the engine searches: a real session in processes of its own."""
    from full_session import beside_an_engine

    with tempfile.TemporaryDirectory() as kb:
        tried, taken = await beside_an_engine(terminal, kb, seconds)
    return key_figures(f"engine searching, {tried} tried", taken)


async def playing(seconds: float) -> list[Figure]:
    """Key to paint in Live while the engine, in the same process, shows a recording as fast as it can be asked to."""
    from full_session import beside_a_recording

    with tempfile.TemporaryDirectory() as kb:
        bars, taken, frames = await beside_a_recording(terminal, kb, seconds)
    found = key_figures(told := f"replay at {bars:.0f} bars/s", taken)
    return [*found, Figure(f"frame of Live, {told}: processor time, mean", 1000 * statistics.mean(frames), "ms")]


async def document(seconds: float) -> list[Figure]:
    """A learning of 200 kB: first screen, whole, longest stall, a section changed."""
    from helpers_tui import ScriptedRuntime
    from midas_tui.widgets.document_view import DocumentView

    words = "some **words** of a `learning` document, of the usual kind. " * 12
    text = "".join(f"## Section {i}\n\n{words}\n\n- a point\n- another\n\n" for i in range(260))
    async with terminal(ScriptedRuntime(), "learnings") as app:
        view = app.screen.query_one(DocumentView)
        meter = Meter()
        meter.start()
        began = time.perf_counter()
        task = asyncio.create_task(view.show_document("large.md", text))
        while len(view._lines) < view.size.height:  # noqa: ASYNC110
            await asyncio.sleep(0)
        first = time.perf_counter() - began
        await task
        whole = time.perf_counter() - began
        await asyncio.sleep(0.1)
        stall = meter.stop("document", math.nan)[2].value
        began = time.perf_counter()
        await view.show_document("large.md", text.replace("## Section 130", "## Section one hundred and thirty"))
        again = time.perf_counter() - began
        return [
            Figure(f"{len(text) / 1000:.0f} kB document: first screen", 1000 * first, "ms", 150.0),
            Figure("document: whole", 1000 * whole, "ms", 2000.0),
            Figure("document: longest stall", stall, "ms", 120.0),
            Figure("document: one section changed", 1000 * again, "ms", 50.0),
        ]


async def idle(seconds: float) -> list[Figure]:
    """Nothing happens."""
    from helpers_tui import ScriptedRuntime

    async with terminal(ScriptedRuntime()):
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        share = (time.process_time() - cpu) / (time.perf_counter() - began)
        return [Figure("idle: CPU, no sampler", 100 * share, "%", 2.0)]


CHILDREN = {
    "thousand": thousand, "screen": screen, "tokens": tokens, "session": session, "engine": engine,
    "playing": playing, "document": document, "idle": idle,
}  # fmt: skip


# -- outside -----------------------------------------------------------------------------------------


def in_terminal(name: str, seconds: float) -> list[Figure]:
    """Run one of `CHILDREN` in a pseudo-terminal of 160x45 and read what it found."""
    from helpers_pty import Terminal

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        script = [str(Path(__file__)), "--child", name, "--out", str(out), "--seconds", str(seconds)]
        with Terminal(script, program=(), columns=160, lines=45) as pty:
            began, first = time.perf_counter(), 0
            pty.wait(seconds + 240)  # a session screens before it proposes
            kilobytes = (len(pty.raw) - first) / 1000 / (time.perf_counter() - began)
        figures = [Figure(**entry) for entry in json.loads(out.read_text())]
    return [*figures, Figure(f"{name}: written to the terminal", kilobytes, "kB/s")]


def start_up(rounds: int) -> list[Figure]:
    """First paint at two sizes, beside starting an empty Python."""
    from bench_budgets import first_paint

    def empty() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        return time.perf_counter() - began

    first_paint()
    taken: dict[str, list[tuple[float, float]]] = {"pass": [], "80x24": [], "160x45": []}
    for _ in range(rounds):
        taken["pass"].append((empty(), math.nan))
        taken["80x24"].append(first_paint(80, 24))
        taken["160x45"].append(first_paint(160, 45))
    base = statistics.median(wall for wall, _ in taken["pass"])
    figures = []
    for size in ("80x24", "160x45"):
        found, cpu = (statistics.median(column) for column in zip(*taken[size], strict=True))
        figures.append(Figure(f"first paint, {size}, median of {rounds}", 1000 * found, "ms", 400.0))
        figures.append(Figure(f"first paint, {size}: processor time", 1000 * cpu, "ms"))
        figures.append(Figure(f"first paint, {size}: x pass", found / base, "x"))
    return figures


async def following() -> list[Figure]:
    """A file changes on disk; a resize; both on a real runtime."""
    from helpers_kb import learning
    from helpers_tui import running
    from midas_engine.kb import KnowledgeBase
    from midas_tui.widgets.document_view import DocumentView

    with tempfile.TemporaryDirectory() as folder:
        kb = KnowledgeBase(Path(folder) / "kb")
        kb.save_learning(learning("A learning", body="round -1"))
        file = next(kb.path.rglob("learnings/**/*.md"))
        seen: list[float] = []
        async with running(kb.path, "sample-1m", mode="learnings", size=(160, 45)) as (app, pilot):
            view = app.screen.query_one(DocumentView)
            for turn in range(5):
                text = file.read_text().replace(f"round {turn - 1}", f"round {turn}")
                began = time.perf_counter()
                file.write_text(text)
                while f"round {turn}" not in view.text:
                    await asyncio.sleep(0.002)
                    if time.perf_counter() - began > 10:
                        break
                seen.append(time.perf_counter() - began)
            sizes: list[tuple[float, float]] = []
            for size in [(80, 24), (160, 45)] * 3:
                began, cpu = time.perf_counter(), time.process_time()
                await pilot.resize_terminal(*size)
                sizes.append((time.perf_counter() - began, time.process_time() - cpu))
        wall, used = (statistics.median(column) for column in zip(*sizes, strict=True))
        return [
            Figure("file change to screen, median of 5", 1000 * statistics.median(seen), "ms", 400.0),
            Figure("resize 160x45 to 80x24 and back, median", 1000 * wall, "ms", 150.0),
            Figure("resize: processor time, median", 1000 * used, "ms"),
        ]


async def recording() -> list[Figure]:
    """The bundled sample: the same events at any speed, and how long a seek takes."""
    from midas_engine.clock import WallClock
    from midas_engine.market import load_panel
    from midas_engine.runtime import recording as watch
    from midas_engine.runtime.replay import digest
    from midas_engine.settings import load_settings

    settings = load_settings(file=None, environ={})
    prepared = watch.prepare(load_panel("sample"), [], settings, source="sample", replay=True)

    async def run(bars: int) -> tuple[str, Any]:
        events: list[Any] = []
        control, _, _ = watch.replay_control(prepared, settings, events.append, WallClock())
        await control.warm_up()
        events.clear()
        while control.position < control.total:
            await control.step(min(bars, control.total - control.position))
        return digest(events), control

    hashes = {bars: (await run(bars))[0] for bars in (1, 8, 24)}
    _, control = await run(24)
    seeks: list[float] = []
    for day in range(0, control.total, 24):
        await control.seek(min(control.total, day + 24))
        began = time.perf_counter()
        await control.seek(day + (7 * day) % 24)
        seeks.append(time.perf_counter() - began)
    return [
        Figure(
            "replay: different event hashes of 1, 8 and 24 bars a step", float(len(set(hashes.values())) - 1), "", 0
        ),
        Figure("replay: seek within a day, median of 60", 1000 * statistics.median(seeks), "ms", 200.0),
        Figure("replay: seek within a day, worst of 60", 1000 * max(seeks), "ms", 200.0),
    ]


def main() -> int:
    """Measure, print, and say whether every budget was kept."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--seconds", type=float, default=8.0)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--only", choices=[*CHILDREN, "start", "files", "replay"])
    p.add_argument("--check", action="store_true", help="exit 1 when a budget is passed")
    p.add_argument("--child", choices=list(CHILDREN), help=argparse.SUPPRESS)
    p.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = p.parse_args()
    if given.child:
        figures = asyncio.run(CHILDREN[given.child](given.seconds))
        given.out.write_text(json.dumps([asdict(f) for f in figures]))
        return 0
    found: list[Figure] = []
    for name in [given.only] if given.only else ["start", *CHILDREN, "files", "replay"]:
        if name == "start":
            found += start_up(given.rounds)
        elif name == "files":
            found += asyncio.run(following())
        elif name == "replay":
            found += asyncio.run(recording())
        else:
            found += in_terminal(name, given.seconds)
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n\n| what | measured | budget | |")
    print("| --- | ---: | ---: | --- |")
    for f in found:
        bare = math.isnan(f.budget)
        mark = "" if bare else "kept" if f.kept else "OVER"
        print(f"| {f.name} | {f.value:,.1f} {f.unit} | {'' if bare else f'{f.budget:g} {f.unit}'} | {mark} |")
    return 1 if given.check and not all(f.kept for f in found) else 0


if __name__ == "__main__":
    sys.exit(main())
