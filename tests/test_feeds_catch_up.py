"""A long history of many symbols is looked at and laid out off the event loop: the terminal stays awake meanwhile."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import numpy as np

from midas_engine.clock import ManualClock
from midas_engine.market.feeds.base import Candle, Settlement
from midas_engine.market.feeds.polling import PollingFeed

BARS, SYMBOLS, HOUR = 2208, 67, 3600
LAST = datetime(2026, 1, 1, tzinfo=UTC)


class Past:
    """A source that has a quarter of hours of many symbols at hand."""

    name, bar_seconds = "past", HOUR

    def __init__(self) -> None:
        first = int(LAST.timestamp()) - (BARS - 1) * HOUR
        self._page = [
            Candle((first + k * HOUR) * 1000, {"open": 1.0, "close": 2.0, "volume": float(k)}) for k in range(BARS)
        ]

    async def symbols(self) -> list[str]:
        return [f"C{i:02}USDT" for i in range(SYMBOLS)]

    async def candles(self, symbol: str, since_ms: int) -> list[Candle]:
        return [c for c in self._page if c.opened_ms >= since_ms]

    async def settlements(self, symbol: str, since_ms: int) -> list[Settlement]:
        return []

    async def close(self) -> None:
        return


async def test_a_history_of_many_symbols_does_not_hold_the_loop() -> None:
    held: list[float] = []

    async def look() -> None:
        while True:
            before = time.thread_time()  # what a busy machine takes from this thread is not the loop's
            await asyncio.sleep(0.001)
            held.append(time.thread_time() - before)

    feed = PollingFeed(Past(), ManualClock(LAST + timedelta(hours=1, seconds=5)))
    looking = asyncio.create_task(look())
    panel = await feed.history(BARS)
    looking.cancel()
    await feed.close()
    assert panel.shape == (BARS, SYMBOLS)
    assert np.array_equal(panel["volume"][:, 3], np.arange(BARS))
    assert str(feed.counts) == "nothing odd"
    assert max(held) < 0.05, f"the loop was held for {1e3 * max(held):.0f} ms"
