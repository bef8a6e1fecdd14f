"""The polling feed: every closed bar once, in order, none early; outages are told once and made up for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.clock import ManualClock
from midas_engine.errors import FeedError
from midas_engine.market.feeds import ClosedBar, PollingFeed
from midas_engine.market.feeds.base import Candle, Settlement

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3_600_000
START = datetime(2025, 3, 1, 12, 0, 5, tzinfo=UTC)
T0 = int(datetime(2025, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)


def price(symbol: str, opened_ms: int) -> float:
    return 100.0 + (opened_ms // HOUR) % 977 + (0.5 if symbol == "BBB" else 0.0)


class ScriptedSource:
    """A source that knows every hour, gives the running bar too, and misbehaves as told."""

    name = "scripted"
    bar_seconds = 3600

    def __init__(self, clock: ManualClock, page: int = 7) -> None:
        self.clock, self.page = clock, page
        self.down = False
        self.late: dict[str, float] = {}  # symbol -> seconds after the close before its bar appears
        self.absent: set[tuple[str, int]] = set()
        self.asked = 0
        self.funding = {"AAA": [(T0 - 4 * HOUR, 0.0001), (T0 + 4 * HOUR, -0.0002)]}

    async def symbols(self) -> Sequence[str]:
        self._check()
        return ("AAA", "BBB")

    async def candles(self, symbol: str, since_ms: int) -> Sequence[Candle]:
        self.asked += 1
        self._check()
        now = self.clock.now().timestamp() * 1000
        first = -(-since_ms // HOUR) * HOUR
        rows = []
        for opened in range(first, int(now) + 1, HOUR):
            closed = opened + HOUR + self.late.get(symbol, 0.0) * 1000 <= now
            running = opened <= now < opened + HOUR
            if (closed or running) and (symbol, opened) not in self.absent:
                # the running bar's close is a number that must never be seen
                rows.append(Candle(opened, {"close": -1.0 if running else price(symbol, opened), "volume": 2.0}))
        return rows[: self.page]

    async def settlements(self, symbol: str, since_ms: int) -> Sequence[Settlement]:
        self._check()
        now = self.clock.now().timestamp() * 1000
        return [Settlement(t, r) for t, r in self.funding.get(symbol, []) if since_ms <= t <= now]

    async def close(self) -> None:
        pass

    def _check(self) -> None:
        if self.down:
            raise FeedError("scripted did not give bars: connection refused")


class Reader:
    """Collects a feed's bars in the background while the test moves the clock."""

    def __init__(self, feed: PollingFeed) -> None:
        self.bars: list[ClosedBar] = []
        self._task = asyncio.create_task(self._read(feed))

    async def _read(self, feed: PollingFeed) -> None:
        async for bar in feed.bars():
            self.bars.append(bar)

    async def run(self, clock: ManualClock, seconds: float, step: float = 1.0) -> None:
        for _ in range(round(seconds / step)):
            clock.advance(step)
            for _ in range(30):
                await asyncio.sleep(0)

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    @property
    def hours(self) -> list[int]:
        return [round((bar.at.timestamp() * 1000 - T0) / HOUR) for bar in self.bars]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def source(clock: ManualClock) -> ScriptedSource:
    return ScriptedSource(clock)


async def test_history_ends_with_the_newest_closed_bar_over_many_pages(
    clock: ManualClock, source: ScriptedSource
) -> None:
    feed = PollingFeed(source, clock)
    panel = await feed.history(50)
    assert panel.T == 50
    assert panel.symbols == ("AAA", "BBB")
    assert panel.timestamps[-1] == np.datetime64("2025-03-01T11:00", "ns")
    wanted = [[price(s, T0 - (50 - i) * HOUR) for s in ("AAA", "BBB")] for i in range(50)]
    np.testing.assert_array_equal(panel.values("close"), wanted)
    # settled at 08:00: known to the bar that closes then, paid inside it
    eight = panel.timestamps == np.datetime64("2025-03-01T07:00", "ns")
    assert panel.values("funding_paid")[eight, 0] == 0.0001
    assert panel.values("funding_rate")[-1, 0] == 0.0001
    assert np.isnan(panel.values("funding_rate")[:, 1]).all()


async def test_each_bar_comes_once_after_its_close(clock: ManualClock, source: ScriptedSource) -> None:
    feed = PollingFeed(source, clock)
    await feed.history(10)
    reader = Reader(feed)
    await reader.run(clock, 3594)
    assert reader.bars == []  # 12:00 is not over
    await reader.run(clock, 3 * 3600, step=5)
    await reader.stop()
    assert reader.hours == [0, 1, 2]
    for bar in reader.bars:
        ms = int(bar.at.timestamp() * 1000)
        np.testing.assert_array_equal(bar.values["close"], [price("AAA", ms), price("BBB", ms)])


async def test_history_and_bars_have_the_same_columns(clock: ManualClock, source: ScriptedSource) -> None:
    feed = PollingFeed(source, clock)
    panel = await feed.history(10)
    reader = Reader(feed)
    await reader.run(clock, 6 * 3600, step=10)
    await reader.stop()
    assert {frozenset(bar.values) for bar in reader.bars} == {frozenset(panel.fields)}
    rates = {bar.at.hour: bar.values["funding_rate"][0] for bar in reader.bars}
    assert rates[14] == 0.0001
    assert rates[15] == -0.0002  # settled at 16:00, when this bar closes
    assert reader.bars[3].values["funding_paid"][0] == -0.0002


async def test_a_symbol_that_is_late_is_waited_for(clock: ManualClock, source: ScriptedSource) -> None:
    source.late["BBB"] = 5.0
    feed = PollingFeed(source, clock)
    await feed.history(10)
    reader = Reader(feed)
    await reader.run(clock, 3600 + 10)
    await reader.stop()
    assert reader.hours == [0]
    assert reader.bars[0].values["close"][1] == price("BBB", T0)


async def test_a_symbol_that_did_not_trade_holds_nobody_up_for_long(clock: ManualClock, source: ScriptedSource) -> None:
    source.absent = {("BBB", T0)}
    feed = PollingFeed(source, clock)
    await feed.history(10)
    reader = Reader(feed)
    await reader.run(clock, 3600 + 60)
    assert reader.hours == [0]
    assert np.isnan(reader.bars[0].values["close"][1])
    assert reader.bars[0].values["close"][0] == price("AAA", T0)
    await reader.run(clock, 3600)
    await reader.stop()
    assert reader.hours == [0, 1]
    assert reader.bars[1].values["close"][1] == price("BBB", T0 + HOUR)


async def test_an_outage_is_told_once_and_its_bars_are_made_up_for(clock: ManualClock, source: ScriptedSource) -> None:
    told: list[str] = []
    feed = PollingFeed(source, clock, on_fault=told.append)
    await feed.history(10)
    source.down = True
    reader = Reader(feed)
    await reader.run(clock, 5 * 3600, step=10)
    assert reader.bars == []
    assert told == ["scripted did not give bars: connection refused"]
    source.down = False
    await reader.run(clock, 120, step=5)
    await reader.stop()
    assert reader.hours == [0, 1, 2, 3, 4]
    assert told == ["scripted did not give bars: connection refused", ""]


async def test_a_source_that_is_down_is_asked_ever_more_slowly(clock: ManualClock, source: ScriptedSource) -> None:
    feed = PollingFeed(source, clock)
    await feed.history(10)
    reader = Reader(feed)
    await reader.run(clock, 3600 - 10)
    source.down, before = True, source.asked
    await reader.run(clock, 3600)
    await reader.stop()
    # one round of two symbols, then 1, 2, 5, 10, 30 s and a minute apart
    assert 2 * 50 < source.asked - before < 2 * 75


async def test_nothing_to_be_had_is_said(clock: ManualClock, source: ScriptedSource) -> None:
    source.absent = {(s, T0 - i * HOUR) for s in ("AAA", "BBB") for i in range(-2, 30)}
    with pytest.raises(FeedError, match="scripted has no closed bar between 2025-03-01 02:00 and 2025-03-01 12:00"):
        await PollingFeed(source, clock).history(10)


async def test_a_failing_start_is_an_error_not_a_group(clock: ManualClock, source: ScriptedSource) -> None:
    source.down = True
    with pytest.raises(FeedError, match="connection refused"):
        await PollingFeed(source, clock).history(10)


async def test_bars_without_history_are_refused(clock: ManualClock, source: ScriptedSource) -> None:
    with pytest.raises(FeedError, match="history first"):
        await anext(PollingFeed(source, clock).bars())


async def test_a_sleeping_machine_loses_no_bar(clock: ManualClock, source: ScriptedSource) -> None:
    feed = PollingFeed(source, clock)
    await feed.history(10)
    reader = Reader(feed)
    await reader.run(clock, 60)
    clock.advance(timedelta(days=2).total_seconds())  # more bars than one page holds
    await reader.run(clock, 60)
    await reader.stop()
    assert reader.hours == list(range(48))
