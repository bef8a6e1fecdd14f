"""The tail of a bar: median, p99 and worst time of `process_update` with a journal, snapshots every 24th bar.

    python benchmarks/bench_bar_tail.py [--features 50] [--symbols 20] [--bars 1200] [--pause 0.05]

A bar never waits for its snapshot; the question is whether the thread that writes it shows in the bars after it. With
`--pause 0` bars come without a break, as after an outage; live, there are minutes between them. Milliseconds of wall
time, measured from outside, in a base of its own; and of CPU of the loop's thread, which no busy machine changes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from midas_engine.clock import ManualClock
from midas_engine.journal import Journal
from midas_engine.monitor import OnlineMonitor, Reference
from tests.helpers_monitor import START, bar_time

WARM = 760


async def measure(features: int, symbols: int, bars: int, pause: float) -> list[tuple[float, float]]:
    """Milliseconds of each bar, windows full: wall time, and CPU time of the loop's thread."""
    rng = np.random.default_rng(7)
    names = [f"f{i}" for i in range(features)]
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.sqlite") as journal:
        monitor = OnlineMonitor(
            names,
            references={n: Reference(0.05, 0.9, 8760.0) for n in names},
            symbols=symbols,
            clock=ManualClock(START + timedelta(days=4000)),
            journal=journal,
        )
        spent: list[tuple[float, float]] = []
        for index in range(WARM + bars):
            values = rng.normal(size=(features, symbols))
            row = dict(zip(names, values if symbols > 1 else values[:, 0].tolist(), strict=True))
            returns = rng.standard_t(4, symbols) * 0.006
            began, worked = time.perf_counter(), time.thread_time()
            await monitor.process_update(bar_time(index), row, returns if symbols > 1 else float(returns[0]))
            spent.append(((time.perf_counter() - began) * 1e3, (time.thread_time() - worked) * 1e3))
            if index >= WARM and pause:
                await asyncio.sleep(pause)
        await monitor.close()
    return spent[WARM:]


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--bars", type=int, default=1200)
    parser.add_argument("--pause", type=float, default=0.05)
    given = parser.parse_args()
    gc.disable()
    spent = asyncio.run(measure(given.features, given.symbols, given.bars, given.pause))
    print(f"{given.features} features, {given.symbols} symbols, {given.bars} bars, pause {given.pause:g} s")
    for place, name in enumerate(("wall", "CPU of the loop")):
        times = sorted(times[place] for times in spent)
        median, p99 = statistics.median(times), times[int(0.99 * (len(times) - 1))]
        print(f"  {name}: median {median:.2f} ms, p99 {p99:.2f} ms ({p99 / median:.2f}x), worst {times[-1]:.2f} ms")


if __name__ == "__main__":
    main()
