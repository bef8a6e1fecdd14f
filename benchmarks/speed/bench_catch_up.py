"""How long the event loop is held while a monitor catches up on a store, with the terminal's whole runtime on it.

Run: `nice python benchmarks/speed/bench_catch_up.py [--symbols 67] [--hours 8760] [--features 20] [--seed 7]`

A store of hourly bars is made, a runtime is opened on it as the terminal does, and beside it a task that asks for the
loop every millisecond notes how late it was served: by the wall's clock, and by the processor time that the loop's own
thread spent meanwhile (what another process of a busy machine takes is not the loop's).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from midas_engine.clock import ManualClock
from midas_engine.events import BarProcessed, Event
from midas_engine.kb import KnowledgeBase
from midas_engine.market import Panel
from midas_engine.market.store import MarketStore, Provenance
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.runtime import Runtime
from midas_engine.settings import Settings

LAST = datetime(2026, 1, 1, tzinfo=UTC)


class Gaps:
    """The longest times between two turns of a task that does nothing."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.own: list[float] = []

    async def watch(self) -> None:
        """Note every turn, until cancelled."""
        while True:
            wall, own = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            self.wall.append(time.perf_counter() - wall)
            self.own.append(time.thread_time() - own)

    def text(self, found: list[float]) -> str:
        """The worst of them."""
        worst = np.sort(np.array(found))[::-1] * 1e3
        return f"worst {worst[0]:6.1f} ms, 2nd {worst[1]:6.1f}, 99.9 % {np.quantile(worst, 0.999):6.1f}"


def make_store(folder: Path, symbols: int, hours: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    close = np.exp(np.cumsum(rng.normal(0, 0.01, (hours, symbols)), axis=0))
    times = np.datetime64(LAST.replace(tzinfo=None), "ns") - np.arange(hours)[::-1] * np.timedelta64(1, "h")
    fields = {"close": close, "volume": rng.random(close.shape) + 1.0}
    names = tuple(f"C{i:03}USDT" for i in range(symbols))
    given = Provenance("fetched", "bench", "candles", LAST)
    MarketStore(folder).append_panel("bench", Panel(times, names, fields, 3600), given)


async def measure(folder: Path, features: int) -> tuple[Gaps, float, int]:
    kb = KnowledgeBase(folder / "kb")
    for k in range(features):
        text = f"cs_rank(ts_mean(returns(close, 1), {k + 2}))"
        kb.write_feature(FeatureRecord(f"f{k}", text, FeatureState.DEPLOYED, expected_score=0.03, breadth=20.0))
    source = "follow:store:bench@1h"
    settings = replace(Settings(), kb=str(folder / "kb"), data=source, store=str(folder / "store"))
    runtime, gaps, bars = Runtime(settings, clock=ManualClock(LAST + timedelta(hours=1, seconds=10))), Gaps(), 0

    def count(event: Event) -> None:
        nonlocal bars
        bars += isinstance(event, BarProcessed)

    runtime.bus.tap(count)
    watching = asyncio.create_task(gaps.watch())
    start = time.perf_counter()
    async with runtime:
        seconds = time.perf_counter() - start
        watching.cancel()
    return gaps, seconds, bars


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=67)
    parser.add_argument("--hours", type=int, default=8760)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        make_store(Path(scratch) / "store", args.symbols, args.hours, args.seed)
        gaps, seconds, bars = asyncio.run(measure(Path(scratch), args.features))
    print(f"{bars:,} bars of {args.symbols} symbols, {args.features} features caught up in {seconds:.1f} s")
    print(f"loop held, by the wall's clock:      {gaps.text(gaps.wall)}")
    print(f"loop held, its thread's own seconds: {gaps.text(gaps.own)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
