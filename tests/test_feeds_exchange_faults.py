"""The real client library against an exchange that answers nonsense, late, in part, or tells another time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.clock import ManualClock
from midas_engine.errors import FeedError
from midas_engine.market.feeds import ClosedBar, ExchangeSource, PollingFeed
from midas_engine.market.feeds.own_thread import OwnThread
from tests.helpers_exchange import HOUR, FakeExchange, close_of

if TYPE_CHECKING:
    from collections.abc import Callable

ccxt = pytest.importorskip("ccxt")
NOW = datetime(2025, 3, 1, 12, 0, 30, tzinfo=UTC)
T0 = int(datetime(2025, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)
SYMBOLS = ("BTCUSDT", "ETHUSDT")

ANSWERS: dict[str, Any] = {
    "an object": {"code": 0},
    "an object of the exchange's": {"code": -1121, "msg": "Invalid symbol."},
    "null": None,
    "a text": "maintenance",
    "a number": 0,
    "null rows": [None, None],
    "texts": ["a", "b"],
    "empty rows": [[], []],
    "short rows": [[T0, "1"], [T0 + HOUR, "1"]],
    "null stamps": [[None, "1", "1", "1", "1", "1"]],
    "words": [[T0, "dear", "1", "1", "1", "1", 0, "1", 1, "1", "1", "0"]],
    "seconds": [[T0 // 1000, "1", "1", "1", "1", "1", 0, "1", 1, "1", "1", "0"]],
    "objects": [{"t": T0}],
}


class Desk:
    """A feed on the fake exchange, read in the background while the test moves the clock."""

    def __init__(self, exchange: FakeExchange, clock: ManualClock) -> None:
        self.exchange, self.clock = exchange, clock
        self.told: list[str] = []
        self.bars: list[ClosedBar] = []
        source = ExchangeSource("binance", SYMBOLS, urls=exchange.urls, columns=())
        source._client.enableRateLimit = False
        self.source = OwnThread(source)
        self.feed = PollingFeed(self.source, clock, on_fault=self.told.append)
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        await self.feed.history(20)
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for bar in self.feed.bars():
            self.bars.append(bar)

    async def until(self, true: Callable[[], bool], step: float = 5.0) -> None:
        """Move the clock, only while the feed sleeps on it, until it is so."""
        assert self._task is not None
        async with asyncio.timeout(110):
            while not true():
                if self._task.done():
                    self._task.result()
                if self.clock.waiting:
                    self.clock.advance(step)
                await asyncio.sleep(0.001)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.feed.close()

    @property
    def hours(self) -> list[int]:
        return [round((bar.at.timestamp() * 1000 - T0) / HOUR) for bar in self.bars]

    def true(self) -> None:
        for bar in self.bars:
            at = int(bar.at.timestamp() * 1000)
            np.testing.assert_array_equal(bar.values["close"], [close_of(s, at) for s in SYMBOLS])


def _now(clock: ManualClock) -> Callable[[], int]:
    return lambda: int(clock.now().timestamp() * 1000)


@pytest.mark.parametrize("path", ["klines", "fundingRate"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_nonsense_is_a_named_fault_and_what_was_missed_comes_after_it(path: str, answer: Any) -> None:
    clock = ManualClock(NOW)
    async with FakeExchange(SYMBOLS, _now(clock)) as exchange:
        desk = Desk(exchange, clock)
        try:
            await desk.begin()
            exchange.answers[path] = lambda _: answer
            await desk.until(lambda: clock.now() > NOW + timedelta(hours=3), step=20)
            if desk.told:
                assert "binance" in desk.told[0]
                # of some nonsense the library makes nothing at all: then the bar is what is missing
                words = ("bars of", "has no bar of") if path == "klines" else ("funding of",)
                assert any(w in desk.told[0] for w in words)
                assert desk.bars == []
            else:  # the library reads it as "there is no funding"
                assert path == "fundingRate"
            exchange.answers.clear()
            await desk.until(lambda: len(desk.bars) >= 3)
            assert desk.hours == [0, 1, 2]
            desk.true()
            assert desk.feed.troubles == {}
        finally:
            await desk.stop()


async def test_empty_for_hours_then_the_whole_gap_in_order() -> None:
    clock = ManualClock(NOW)
    async with FakeExchange(SYMBOLS, _now(clock)) as exchange:
        desk = Desk(exchange, clock)
        try:
            await desk.begin()
            exchange.answers["klines"] = lambda _: []
            await desk.until(lambda: clock.now() > NOW + timedelta(hours=6), step=20)
            assert desk.bars == []
            assert len(desk.told) == 1
            exchange.answers.clear()
            await desk.until(lambda: len(desk.bars) >= 6)
            assert desk.hours == list(range(6))
            desk.true()
        finally:
            await desk.stop()


@pytest.mark.parametrize("off", [-7200, -600, 600, 7200, 3 * 86_400])
async def test_the_exchange_says_what_time_it_is(off: float) -> None:
    true = ManualClock(NOW)
    clock = ManualClock(NOW + timedelta(seconds=off))  # wrong from the start: no jump would ever be seen
    async with FakeExchange(SYMBOLS, _now(true)) as exchange:
        exchange.answers["time"] = lambda _: {"serverTime": _now(true)()}
        desk = Desk(exchange, clock)
        try:
            await desk.begin()
            assert "this machine's clock is" in desk.told[0]
            behind = clock.advance

            def both(seconds: float) -> None:
                behind(seconds)
                true.advance(seconds)

            clock.advance = both  # type: ignore[method-assign]
            await desk.until(lambda: len(desk.bars) >= 3, step=20)
            assert desk.hours[:3] == [0, 1, 2]
            assert desk.bars[2].at.timestamp() + 3600 <= true.now().timestamp()
            desk.true()
        finally:
            await desk.stop()


async def test_a_start_on_nonsense_is_a_feed_error() -> None:
    async with FakeExchange(SYMBOLS, lambda: T0) as exchange:
        exchange.answers["exchangeInfo"] = lambda _: {"symbols": [None]}
        source = ExchangeSource("binance", SYMBOLS, urls=exchange.urls, columns=())
        try:
            with pytest.raises(FeedError, match="binance did not give its list of markets"):
                await source.symbols()
        finally:
            await source.close()
