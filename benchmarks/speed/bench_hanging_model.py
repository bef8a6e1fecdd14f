"""A bar never waits for a model: latency of a bar while a model hangs for a minute, against the same run without one.

    python benchmarks/speed/bench_hanging_model.py [--features 50] [--bars 3000]

Every feature but the first promises what it does not have, so that alarms and diagnoses come all the time; the
model behind them never answers. Printed: p50, p99 and maximum of a bar's time in both runs, alternating, and the ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock
from midas_engine.events import DiagnosisStarted
from midas_engine.monitor import DiagnoseAgent, OnlineMonitor

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2025, 1, 1, tzinfo=UTC)
WARM = 800
RATIO_BAR = 1.25


class HangingModel:
    """A researcher that thinks for a minute about everything."""

    name = "hanging"

    async def diagnose(self, brief: Any, on_text: Callable[[str], None]) -> Any:
        """Never answers in time."""
        await asyncio.sleep(60)

    async def close(self) -> None:
        """Holds nothing."""


async def run(features: int, bars: int, *, hanging: bool) -> tuple[np.ndarray, int]:
    """Milliseconds of every bar after the warm-up, and how many diagnoses began."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(bars, features))
    returns = 0.01 * (0.2 * values[:, 0] + rng.standard_t(4, bars) / np.sqrt(2))
    bus, clock = EventBus(), ManualClock(START + timedelta(hours=bars + 10))
    begun = bus.subscribe("bench", DiagnosisStarted)
    agent = DiagnoseAgent(bus=bus, clock=clock, researcher=HangingModel()) if hanging else None
    names = [f"f{i}" for i in range(features)]
    monitor = OnlineMonitor(
        names, references={n: 0.2 if n == "f0" else 0.03 for n in names}, bus=bus, clock=clock, diagnostics=agent
    )
    took = np.empty(bars)
    for t in range(bars):
        row = {name: values[t, i] for i, name in enumerate(names)}
        began = time.perf_counter()
        await monitor.process_update(START + timedelta(hours=t), row, returns[t])
        await asyncio.sleep(0)  # what runs in the background gets its turn, and its time is counted
        took[t] = time.perf_counter() - began
    count = len(begun.take())
    await monitor.close()
    return took[WARM:] * 1e3, count


async def main() -> int:
    """Run and print; 1 when the p99 of a bar grew by more than a quarter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--bars", type=int, default=3000)
    given = parser.parse_args()
    found: dict[bool, list[np.ndarray]] = {False: [], True: []}
    for hanging in (False, True) * 3:
        took, count = await run(given.features, given.bars, hanging=hanging)
        found[hanging].append(took)
        word = f"a model that hangs ({count} diagnoses begun)" if hanging else "no model"
        p50, p99, most = np.quantile(took, [0.5, 0.99, 1.0])
        print(f"{word:<44} p50 {p50:.3f} ms, p99 {p99:.3f} ms, longest {most:.1f} ms")
    ratio = np.quantile(np.concatenate(found[True]), 0.99) / np.quantile(np.concatenate(found[False]), 0.99)
    print(f"p99 with the hanging model / without: {ratio:.2f} (bar {RATIO_BAR})")
    return 0 if ratio <= RATIO_BAR else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
