"""Whatever a source raises or answers is a named fault, outlived; late is not lost; no clock is believed alone."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.clock import ManualClock
from midas_engine.errors import FeedError, FeedLostError
from midas_engine.market.feeds import PollingFeed
from midas_engine.market.feeds.base import Candle
from midas_engine.market.feeds.open import split_grace
from tests.test_feeds_polling import HOUR, START, T0, Reader, ScriptedSource, price

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class BrokenSource(ScriptedSource):
    """Answers as told by `answer` instead, while there is one."""

    answer: Callable[[str, int], Any] | None = None
    funding_answer: Callable[[str, int], Any] | None = None

    async def candles(self, symbol: str, since_ms: int) -> Sequence[Candle]:
        if self.answer is not None:
            self.asked += 1
            return self.answer(symbol, since_ms)  # type: ignore[no-any-return]
        return await super().candles(symbol, since_ms)

    async def settlements(self, symbol: str, since_ms: int) -> Any:
        if self.funding_answer is not None:
            return self.funding_answer(symbol, since_ms)
        return await super().settlements(symbol, since_ms)


class Odd(BaseException):
    """What no library should raise."""


def raising(error: BaseException) -> Callable[[str, int], Any]:
    def answer(symbol: str, since_ms: int) -> Any:
        raise error

    return answer


ERRORS: list[BaseException] = [
    KeyError(0), TypeError("list indices"), AttributeError("get"), IndexError("row"), ZeroDivisionError(),
    InvalidOperation(), OverflowError("inf"), UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), RecursionError(),
    MemoryError(), StopAsyncIteration(), AssertionError(), NotImplementedError(), TimeoutError(), OSError(5, "EIO"),
    ExceptionGroup("several", [ValueError(1)]), asyncio.CancelledError(), asyncio.IncompleteReadError(b"", 1),
    Odd("odd"),
]  # fmt: skip
ANSWERS: dict[str, Callable[[str, int], Any]] = {
    "an object": lambda s, t: {"code": 0},
    "a text": lambda s, t: "busy",
    "nothing": lambda s, t: None,
    "a number": lambda s, t: 7,
    "rows of texts": lambda s, t: ["x"],
    "null rows": lambda s, t: [None],
    "short rows": lambda s, t: [[t, 1.0]],
    "a NaN stamp": lambda s, t: [Candle(float("nan"), {"close": 1.0})],  # type: ignore[arg-type]
    "an endless stamp": lambda s, t: [Candle(float("inf"), {"close": 1.0})],  # type: ignore[arg-type]
    "stamps in seconds": lambda s, t: [Candle(t // 1000, {"close": 1.0})],
    "stamps in microseconds": lambda s, t: [Candle(t * 1000, {"close": 1.0})],
    "a null stamp": lambda s, t: [Candle(None, {"close": 1.0})],  # type: ignore[arg-type]
    "words for numbers": lambda s, t: [Candle(t, {"close": "dear"})],  # type: ignore[dict-item]
    "a list of numbers": lambda s, t: [Candle(t, [1.0])],  # type: ignore[arg-type]
    "a signalling number": lambda s, t: [Candle(t, {"close": Decimal("sNaN")})],  # type: ignore[dict-item]
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


async def begun(source: ScriptedSource, clock: Any, **more: Any) -> tuple[PollingFeed, list[str]]:
    told: list[str] = []
    feed = PollingFeed(source, clock, on_fault=told.append, rng=random.Random(1), **more)
    await feed.history(10)
    return feed, told


async def _mended(feed: PollingFeed, told: list[str], source: BrokenSource, clock: ManualClock) -> None:
    """Be broken for three hours, mend, and see that every bar came."""
    reader = Reader(feed)
    await reader.run(clock, 3 * 3600, step=20)
    assert reader.bars == []
    assert not reader._task.done(), "the feed died"
    assert feed.failures > 10
    assert feed.troubles
    source.answer = source.funding_answer = None
    await reader.run(clock, 200, step=5)
    await reader.stop()
    assert reader.hours == [0, 1, 2]
    assert feed.troubles == {}
    assert told[1:] == [""]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
async def test_whatever_is_raised_is_named_and_outlived(clock: ManualClock, error: BaseException) -> None:
    source = BrokenSource(clock)
    feed, told = await begun(source, clock)
    source.answer = raising(error)
    await _mended(feed, told, source, clock)
    assert told[0].startswith("scripted did not give bars of ")


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_whatever_is_answered_is_named_and_outlived(
    clock: ManualClock, answer: Callable[[str, int], Any]
) -> None:
    source = BrokenSource(clock)
    feed, told = await begun(source, clock)
    source.answer = answer
    await _mended(feed, told, source, clock)
    assert told[0].startswith("scripted ")
    assert "bars of " in told[0]


@pytest.mark.parametrize("answer", [raising(KeyError(0)), lambda s, t: {"code": 0}, lambda s, t: [None]])
async def test_broken_funding_is_named_and_outlived(clock: ManualClock, answer: Callable[[str, int], Any]) -> None:
    source = BrokenSource(clock)
    feed, told = await begun(source, clock)
    source.funding_answer = answer
    await _mended(feed, told, source, clock)
    assert "funding of " in told[0]


async def test_it_gives_up_after_so_many_failures_in_a_row(clock: ManualClock) -> None:
    source = BrokenSource(clock)
    feed, _ = await begun(source, clock, most_failures=5)
    source.answer = raising(KeyError("data"))
    reader = Reader(feed)
    await reader.run(clock, 3600 + 120, step=5)
    with pytest.raises(FeedLostError, match="scripted failed 5 times in a row, the last time with: .*KeyError: 'data'"):
        await reader._task


async def test_an_answer_that_never_comes_is_a_fault(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    source = BrokenSource(clock)
    feed, _ = await begun(source, clock)
    monkeypatch.setattr(feed._source, "_seconds", 0.02)

    async def never(symbol: str, since_ms: int) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(source, "candles", never)
    with pytest.raises(FeedError, match=r"did not give bars of AAA: no answer within 0\.02 s"):
        await feed._source.candles("AAA", 0)


async def test_a_true_cancellation_passes(clock: ManualClock) -> None:
    feed, _ = await begun(BrokenSource(clock), clock)
    reader = Reader(feed)
    await reader.run(clock, 60)
    reader._task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader._task


async def test_rows_twice_out_of_order_hollow_and_off_the_grid_are_put_right_and_counted(clock: ManualClock) -> None:
    source = BrokenSource(clock)
    feed, _ = await begun(source, clock)
    good = ScriptedSource.candles

    def spoilt(rows: Sequence[Candle]) -> list[Candle]:
        first = rows[0]
        return [
            *reversed(rows),
            Candle(first.opened_ms, {"close": first.values["close"], "volume": 9.0}),
            Candle(first.opened_ms + 1, {"close": 5.0}),
            Candle(first.opened_ms + 50 * HOUR, {"close": 5.0}),
            Candle(first.opened_ms + HOUR, {"close": float("nan"), "volume": None}),  # type: ignore[dict-item]
        ]

    async def candles(symbol: str, since_ms: int) -> Sequence[Candle]:
        return spoilt(await good(source, symbol, since_ms))

    source.candles = candles  # type: ignore[method-assign]
    reader = Reader(feed)
    await reader.run(clock, 3 * 3600, step=5)
    await reader.stop()
    assert reader.hours == [0, 1, 2]
    assert [bar.values["close"][0] for bar in reader.bars] == [price("AAA", T0 + i * HOUR) for i in range(3)]
    counts = feed.counts
    assert min(counts.duplicate, counts.disordered, counts.off_grid, counts.hollow, counts.future) > 0
    assert "duplicate" in str(counts)


# -- late ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [10, 60, 300, 2400, 5 * 3600])
async def test_a_source_that_is_late_loses_no_bar(clock: ManualClock, late: float) -> None:
    source = ScriptedSource(clock)
    source.late = {"AAA": 0.0, "BBB": 0.0}
    feed, told = await begun(source, clock)
    source.late = {"AAA": late, "BBB": late}
    reader = Reader(feed)
    await reader.run(clock, 14 * 3600 + late + 120, step=15)
    await reader.stop()
    assert reader.hours == list(range(14))
    for bar in reader.bars:
        ms = int(bar.at.timestamp() * 1000)
        np.testing.assert_array_equal(bar.values["close"], [price("AAA", ms), price("BBB", ms)])
    assert len(told) <= 4, "the usual lateness is learnt"


async def test_silence_of_hours_is_told_once_and_made_up_for(clock: ManualClock) -> None:
    source = BrokenSource(clock)
    feed, told = await begun(source, clock)
    source.answer = lambda s, t: []
    reader = Reader(feed)
    await reader.run(clock, 6 * 3600, step=20)
    assert reader.bars == []
    assert len(told) == 1
    assert "has no bar of 2025-03-01 12:00 UTC for any symbol; it closed at 2025-03-01 13:00" in told[0]
    assert feed.failures == 0
    source.answer = None
    await reader.run(clock, 120, step=5)
    await reader.stop()
    assert reader.hours == list(range(6))
    assert told[1:] == [""]


async def test_a_late_symbol_is_waited_for_up_to_the_grace_and_counted_after_it(clock: ManualClock) -> None:
    source = ScriptedSource(clock)
    feed, _ = await begun(source, clock, grace=90)
    source.late["BBB"] = 80.0
    reader = Reader(feed)
    await reader.run(clock, 3600 + 100, step=5)
    assert reader.bars[0].values["close"][1] == price("BBB", T0)
    source.late["BBB"] = 200.0
    await reader.run(clock, 3600, step=5)
    assert reader.hours == [0, 1]
    assert np.isnan(reader.bars[1].values["close"][1])
    await reader.run(clock, 3600, step=5)
    await reader.stop()
    assert feed.counts.late >= 1
    assert feed.counts.missing == 2
    assert [b.values["close"][0] for b in reader.bars] == [price("AAA", T0 + i * HOUR) for i in range(3)]


async def test_a_symbol_that_is_gone_for_good_is_no_longer_waited_for(clock: ManualClock) -> None:
    source = ScriptedSource(clock)
    feed, _ = await begun(source, clock, grace=1800)
    source.absent = {("BBB", T0 + i * HOUR) for i in range(80)}
    reader = Reader(feed)
    await reader.run(clock, 40 * 3600 + 60, step=10)
    await reader.stop()
    assert reader.hours == list(range(40)), "the last one came within a minute"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("follow:a@grace=90s", ("follow:a", 90.0)),
        ("follow:a@b/c@grace=1h", ("follow:a@b/c", 3600.0)),
        ("live:binance@1h@grace=5m", ("live:binance@1h", 300.0)),
        ("follow:a@b", ("follow:a@b", None)),
    ],
)
def test_the_grace_stands_at_the_end(text: str, wanted: tuple[str, float | None]) -> None:
    assert split_grace(text) == wanted


@pytest.mark.parametrize("text", ["follow:a@grace=", "follow:a@grace=soon", "follow:a@grace=-1", "live:x@grace=25h"])
def test_a_grace_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(FeedError, match="no grace"):
        split_grace(text)


# -- clocks ----------------------------------------------------------------------------------------


class JumpyClock(ManualClock):
    """A wall clock that can be off, and a monotonic clock that can stand still."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.off = 0.0
        self.rate = 0.0
        self.slept = 0.0

    @property
    def true(self) -> datetime:
        return super().now()

    def now(self) -> datetime:
        return self.true + timedelta(seconds=self.off + self.rate * super().monotonic())

    def monotonic(self) -> float:
        return super().monotonic() - self.slept


class TrueSource(ScriptedSource):
    """Goes by the true time, whatever the machine's clock says."""

    tells_time = False

    def __init__(self, clock: JumpyClock, *, running: bool = True) -> None:
        self.true = ManualClock(clock.true)
        self.jumpy, self.running = clock, running
        super().__init__(self.true, page=2000)

    async def candles(self, symbol: str, since_ms: int) -> Sequence[Candle]:
        self.true.set(self.jumpy.true)
        rows = await super().candles(symbol, since_ms)
        return rows if self.running else [c for c in rows if c.values["close"] > 0]

    async def server_ms(self) -> float | None:
        return self.jumpy.true.timestamp() * 1000 if self.tells_time else None


@pytest.mark.parametrize("tells_time", [True, False], ids=["server time", "no server time"])
@pytest.mark.parametrize("running", [True, False], ids=["running bars", "closed bars"])
@pytest.mark.parametrize("jump", [3 * 86_400, 3600, 7200, 600, -600, -3600, -7200, -2 * 86_400])
async def test_a_clock_that_jumps_makes_nothing_up_and_loses_nothing(
    jump: float, running: bool, tells_time: bool
) -> None:
    clock = JumpyClock(START)
    source = TrueSource(clock, running=running)
    source.tells_time = tells_time
    feed, told = await begun(source, clock)
    reader = Reader(feed)
    await reader.run(clock, 5 * 3600, step=20)
    clock.off = jump
    await reader.run(clock, 3 * 3600, step=20)
    assert any("this machine's clock is" in t for t in told)
    assert max(reader.hours) <= (clock.true.timestamp() * 1000 - T0) / HOUR - 1, "a bar was handed out before its close"
    clock.off = 0.0
    await reader.run(clock, 6 * 3600 + 120, step=20)
    await reader.stop()
    assert reader.hours == list(range(14))
    for bar in reader.bars:
        ms = int(bar.at.timestamp() * 1000)
        np.testing.assert_array_equal(bar.values["close"], [price("AAA", ms), price("BBB", ms)])
    assert feed.troubles == {}


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("hours", [0.4, 1.0, 8.0, 50.0])
async def test_a_machine_that_slept_goes_on_with_all_it_missed(hours: float, running: bool) -> None:
    clock = JumpyClock(START)
    feed, _ = await begun(TrueSource(clock, running=running), clock)
    reader = Reader(feed)
    await reader.run(clock, 3 * 3600 + 600, step=20)
    clock.slept += hours * 3600
    clock.advance(hours * 3600)
    await reader.run(clock, 2 * 3600, step=20)
    await reader.stop()
    wanted = int((clock.true.timestamp() * 1000 - T0) / HOUR)
    assert reader.hours == list(range(wanted))
    assert feed.troubles == {}
    assert all((bar.values["close"] > 0).all() for bar in reader.bars)


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("rate", [0.0002, 0.05, -0.05])
async def test_a_clock_that_drifts_makes_nothing_up(rate: float, running: bool) -> None:
    clock = JumpyClock(START)
    feed, told = await begun(TrueSource(clock, running=running), clock)
    clock.rate = rate
    reader = Reader(feed)
    await reader.run(clock, 30 * 3600, step=60)
    await reader.stop()
    count = len(reader.bars)
    assert 28 <= count <= 30
    assert reader.hours == list(range(count))
    assert all((bar.values["close"] > 0).all() for bar in reader.bars)
    assert bool(told) == (abs(rate) > 0.001)


async def test_a_clock_wrong_from_the_start_makes_no_history_up() -> None:
    clock = JumpyClock(START)
    source = TrueSource(clock)
    clock.off = 3 * 86_400
    told: list[str] = []
    feed = PollingFeed(source, clock, on_fault=told.append)
    panel = await feed.history(200)
    assert panel.timestamps[-1] == np.datetime64("2025-03-01T11:00", "ns")
    assert (panel.values("close") > 0).all()
    reader = Reader(feed)
    await reader.run(clock, 4 * 3600, step=20)
    await reader.stop()
    assert reader.hours in ([0, 1, 2], [0, 1, 2, 3])
    assert all((bar.values["close"] > 0).all() for bar in reader.bars)
