"""Torture of the online monitor beyond what the test suite has time for. Prints Markdown; exits 1 on the first fault.

    python benchmarks/torture/torture_monitor.py [kills] [soak] [hang] [--kills 200] [--bars 1000000] [--write]

kills   SIGKILL at random moments: what all lives told must be what one uninterrupted life tells
soak    10^6 bars of 50 features: resident memory after warm-up must not grow by 20 MB (shorter with --bars)
hang    a model that never answers: the 99th percentile of a bar's latency beside that of a monitor without one

With `--write` the figures go to demo_artifacts/BARS_MONITOR_TORTURE.md.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import psutil

from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock, WallClock
from midas_engine.monitor import DiagnoseAgent, OnlineMonitor
from tests.helpers_monitor import START

ROOT = Path(__file__).resolve().parents[2]
SOAK_FEATURES = 50
WARM_BARS = 5_000
GROWTH_MB = 20.0
HANG_BARS = 4000


def kills(wanted: int, seed: int) -> tuple[list[str], bool]:
    """Random SIGKILLs of a monitor with a journal; see tests/crash_driver_monitor.py."""
    with tempfile.TemporaryDirectory() as folder:
        driver = [sys.executable, str(ROOT / "tests" / "crash_driver_monitor.py"), str(wanted), str(seed), folder]
        began = time.monotonic()
        done = subprocess.run(driver, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        return [done.stderr], False
    report = json.loads(done.stdout)
    same = not report["different"]
    told = (
        f"{report['kills']} SIGKILLs in {report['stories']} stories, {time.monotonic() - began:.0f} s: "
        f"{report['alarms']} alarms (bar, rule, feature, episode id, count, value) and the state at the end are "
        f"{'the same as without a kill' if same else 'DIFFERENT'}; {report['features_killed']} features "
        f"killed by the e-detector, `on_kill` called {report['callbacks']} times, at least once for each."
    )
    return [told, *report["different"]], same


async def _soak(bars: int) -> tuple[list[str], bool]:
    names = [f"f{i}" for i in range(SOAK_FEATURES)]
    clock = ManualClock(START + timedelta(days=27_000))
    # a million hours end after the year 2100, which no bar may
    size = 3600 if bars <= 600_000 else 1800
    monitor = OnlineMonitor(
        names, references=dict.fromkeys(names, 0.05), symbols=1, clock=clock, bar_seconds=size, daily_reports=False
    )
    screen = monitor.bus.subscribe("screen")
    process, rng = psutil.Process(), np.random.default_rng(1)
    sizes, took = [], []
    for t in range(bars):
        row = dict(zip(names, rng.normal(size=SOAK_FEATURES).tolist(), strict=True))
        began = time.perf_counter()
        await monitor.process_update(
            START + timedelta(seconds=t * size),
            row,
            float(rng.normal() * 0.006),
            regime="HIGH" if t % 90 < 45 else "LOW",
        )
        took.append(time.perf_counter() - began)
        screen.take()
        if t >= WARM_BARS and t % max(1, (bars - WARM_BARS) // 50) == 0:
            gc.collect()
            sizes.append(process.memory_info().rss / 2**20)
            took = took[-2000:]
            print(f"{t:,} bars: {sizes[-1]:.1f} MB", file=sys.stderr, flush=True)
    growth = max(sizes) - sizes[0]
    kept = growth < GROWTH_MB
    told = (
        f"{bars:,} bars x {SOAK_FEATURES} features: resident memory {sizes[0]:.0f} MB after {WARM_BARS:,} bars, "
        f"{sizes[-1]:.0f} MB at the end, at most {growth:.1f} MB more (bar {GROWTH_MB:.0f} MB)"
        f"{'' if kept else ' MISSED'}; {np.median(took) * 1e3:.2f} ms a bar."
    )
    return [told], kept


class HangingResearcher:
    """A model that takes a minute and says nothing."""

    name = "hanging"
    asked = 0

    async def diagnose(self, context: Any, on_text: Any = None) -> Any:
        """Hang."""
        self.asked += 1
        await asyncio.sleep(60.0)


async def _latencies(researcher: HangingResearcher | None) -> np.ndarray:
    """Seconds of each bar; two features are dead from the first bar on, so that diagnoses are wanted all the time."""
    bus, rng = EventBus(), np.random.default_rng(5)
    names = [f"f{i}" for i in range(20)]
    clock = WallClock()
    agent = DiagnoseAgent(bus=bus, clock=clock, researcher=researcher)
    monitor = OnlineMonitor(
        names,
        references=dict.fromkeys(names[:2], 0.2),
        symbols=1,
        bus=bus,
        clock=clock,
        diagnostics=agent if researcher is not None else None,
    )
    took = np.empty(HANG_BARS)
    for t in range(HANG_BARS):
        row = dict(zip(names, rng.normal(size=20).tolist(), strict=True))
        began = time.perf_counter()
        await monitor.process_update(START + timedelta(hours=t), row, float(rng.normal() * 0.006))
        took[t] = time.perf_counter() - began
        await asyncio.sleep(0)
    await monitor.close()
    return took[500:]


def hang() -> tuple[list[str], bool]:
    """Latency with and without a hanging model, in turns so that a busy machine touches both."""
    researcher = HangingResearcher()
    runs: dict[str, list[np.ndarray]] = {"without": [], "hanging": []}
    for _ in range(3):
        runs["without"].append(asyncio.run(_latencies(None)))
        runs["hanging"].append(asyncio.run(_latencies(researcher)))
    p99 = {name: float(np.median([np.percentile(run, 99) for run in found])) * 1e3 for name, found in runs.items()}
    p50 = {name: float(np.median([np.median(run) for run in found])) * 1e3 for name, found in runs.items()}
    kept = researcher.asked > 0 and p99["hanging"] < 1.5 * p99["without"] + 1.0
    told = ", ".join(f"{name} p50 {p50[name]:.2f} ms, p99 {p99[name]:.2f} ms" for name in runs)
    return [f"A model call that hangs 60 s ({researcher.asked} asked): {told}{'' if kept else ' MISSED'}."], kept


def _keep(name: str, told: str) -> None:
    """Put the figures of one part into the file, in place of those it had."""
    path = ROOT / "demo_artifacts" / "BARS_MONITOR_TORTURE.md"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    entries = [entry for entry in old.split("\n\n")[2:] if entry.strip() and not entry.startswith(f"- **{name}**")]
    head = [
        "# The online monitor under torture",
        "`python benchmarks/torture/torture_monitor.py [kills] [soak] [hang] --write`",
    ]
    path.write_text("\n\n".join([*head, *(e.rstrip("\n") for e in entries), told]) + "\n", encoding="utf-8")


def main() -> int:
    """Run what was asked for; all of it by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", choices=["kills", "soak", "hang", []], default=[])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write demo_artifacts/BARS_MONITOR_TORTURE.md too")
    args = parser.parse_args()
    wanted = args.what or ["kills", "soak", "hang"]
    parts = {
        "kills": lambda: kills(args.kills, args.seed),
        "soak": lambda: asyncio.run(_soak(args.bars)),
        "hang": hang,
    }
    good = True
    for name in wanted:
        lines, kept = parts[name]()
        good &= kept
        told = "\n".join([f"- **{name}**: {lines[0]}", *(f"  - {line}" for line in lines[1:])])
        print(told, flush=True)
        if args.write:
            _keep(name, told)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
