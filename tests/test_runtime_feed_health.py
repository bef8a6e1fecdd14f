"""A feed is never quietly dead: what ends it is told, shown, recorded and mended, and silence alone raises an alert."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.cli.monitor_lines import Watchman
from midas_engine.clock import ManualClock
from midas_engine.errors import FeedLostError
from midas_engine.events import (
    AlertRaised,
    AlertResolved,
    BarProcessed,
    Event,
    FaultReported,
    FeatureTicked,
    RuntimeChanged,
)
from midas_engine.journal import Journal
from midas_engine.market import Panel, SyntheticMarket
from midas_engine.market.feeds.file import FileSource
from midas_engine.monitor.alerts.engine import AlertEngine
from midas_engine.runtime.feed_watchdog import FeedWatchdog
from midas_engine.runtime.live import LiveWatch
from midas_engine.runtime.outage_teller import KeptOutage
from tests.test_runtime_live import LiveRuntime, _at, _close

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def market() -> Panel:
    whole = SyntheticMarket(5).panel()
    return whole.select(start=whole.timestamps[-700])


# -- the watchdog by itself ------------------------------------------------------------------------


def dog_on(clock: ManualClock, alerts: AlertEngine | None = None) -> tuple[FeedWatchdog, AlertEngine, list[Event]]:
    alerts = AlertEngine() if alerts is None else alerts
    events: list[Event] = []
    dog = FeedWatchdog(clock, 3600, 30.0, alerts=alerts, tell=lambda a: events.append(KeptOutage(a, told=False).event))
    return dog, alerts, events


def test_two_intervals_and_the_grace_without_a_bar_are_one_critical_alert() -> None:
    clock = ManualClock(AT)
    dog, alerts, events = dog_on(clock)
    dog.begin(datetime(2025, 3, 1, 11, tzinfo=UTC))
    clock.advance(7230)
    dog.check()
    assert events == []
    clock.advance(1)
    for _ in range(3):
        dog.check()
        clock.advance(3600)
    raised = [e for e in events if isinstance(e, AlertRaised)]
    assert len(raised) == len(events) == 1
    alert = raised[0].alert
    assert (alert.severity, alert.alert_type, alert.rule) == ("critical", "stale_data", "feed")
    assert "no bar for 2.0 h (the newest bar is that of 2025-03-01 11:00 UTC)" in alert.message
    assert alerts.alerts() == [alert]
    dog.saw(datetime(2025, 3, 1, 12, tzinfo=UTC))
    assert isinstance(events[-1], AlertResolved)
    assert (dog.outage, alerts.alerts()) == ("", [])
    clock.advance(7231)
    dog.check()
    assert len(events) == 3, "a second outage is a second alert"


def test_a_history_that_is_old_already_is_an_outage_at_once() -> None:
    dog, _, events = dog_on(ManualClock(AT))
    dog.begin(datetime(2025, 2, 26, tzinfo=UTC))
    assert len(events) == 1
    assert "no bar for 83.0 h" in dog.outage


def test_an_outage_goes_on_over_a_restart_without_a_second_alert() -> None:
    clock = ManualClock(AT)
    first, alerts, _ = dog_on(clock)
    first.begin(datetime(2025, 2, 26, tzinfo=UTC))
    again = AlertEngine()
    again.restore(alerts.state())
    dog, _, events = dog_on(clock, again)
    dog.begin(datetime(2025, 2, 26, tzinfo=UTC))
    assert events == []
    assert dog.outage
    dog.saw(AT)
    assert [type(e) for e in events] == [AlertResolved]


def test_the_outage_is_a_line_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    dog, _, events = dog_on(ManualClock(AT))
    dog.begin(datetime(2025, 2, 26, tzinfo=UTC))
    Watchman().tell(events[0])
    line = capsys.readouterr().out
    assert "critical" in line
    assert "no bar for 83.0 h" in line


# -- the runtime -----------------------------------------------------------------------------------


def statuses(desk: LiveRuntime) -> set[str]:
    return {m.status for m in desk.runtime.queries.metrics().values()}


def phases(desk: LiveRuntime) -> list[str]:
    return [e.phase for e in desk.seen if isinstance(e, RuntimeChanged)]


def recorded(desk: LiveRuntime, *kinds: type[Event]) -> list[Event]:
    with Journal(desk.runtime.kb.journal_path) as journal:
        return journal.events(*kinds)


@pytest.mark.parametrize(
    "error",
    [KeyError(0), TypeError("x"), AttributeError("y"), RuntimeError("z"), asyncio.CancelledError(), BaseException("b")],
    ids=lambda e: type(e).__name__,
)
async def test_a_feed_task_that_dies_is_told_and_begun_again(
    tmp_path: Path, market: Panel, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    desk = LiveRuntime(tmp_path, market, bars=650)
    take, broken = LiveWatch._take, [3]

    async def failing(self: LiveWatch, bar: Any) -> None:
        if broken[0]:
            broken[0] -= 1
            raise error
        await take(self, bar)

    monkeypatch.setattr(LiveWatch, "_take", failing)
    async with desk.runtime as midas:
        assert midas.phase == "running"
        await desk.grow(2)
        assert midas.phase == "running"
        assert "stale" not in statuses(desk)
        shown = [e.bar_at for e in desk.seen if isinstance(e, BarProcessed)]
        assert shown[-2:] == [_at(market, 650), _at(market, 651)], "the bar that failed is taken again"
    down = phases(desk).index("degraded")
    ticks = [e.metrics.status for e in desk.seen[_index(desk, "degraded") :] if isinstance(e, FeatureTicked)]
    assert down
    assert ticks[0] == "stale"
    faults = [e for e in desk.seen if isinstance(e, FaultReported) and e.where == "feed"]
    assert [f.severity for f in faults if "the feed stopped" in f.message] == ["critical"] * 3
    assert any("the feed stopped" in e.message for e in recorded(desk, FaultReported))  # type: ignore[attr-defined]


def _index(desk: LiveRuntime, phase: str) -> int:
    return next(i for i, e in enumerate(desk.seen) if isinstance(e, RuntimeChanged) and e.phase == phase)


async def test_a_feed_that_ends_by_itself_is_begun_again(
    tmp_path: Path, market: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from midas_engine.market.feeds.polling import PollingFeed

    desk = LiveRuntime(tmp_path, market, bars=650)
    bars, ended = PollingFeed.bars, [2]

    async def ending(self: PollingFeed) -> Any:
        if ended[0]:
            ended[0] -= 1
            return
        async for bar in bars(self):
            yield bar

    monkeypatch.setattr(PollingFeed, "bars", ending)
    async with desk.runtime as midas:
        await desk.until(lambda: midas.phase == "degraded")
        assert statuses(desk) <= {"stale", "killed", "paused"}
        await desk.grow(1)
        assert midas.phase == "running"
    assert any(isinstance(e, FaultReported) and "ended by itself" in e.message for e in desk.seen)


async def test_after_so_many_failures_it_is_given_up_with_the_reason(tmp_path: Path, market: Panel) -> None:
    desk = LiveRuntime(tmp_path, market, bars=650)
    desk.runtime.feed._most_failures = 4
    async with desk.runtime as midas:
        desk.file.write_bytes(b"no panel at all")
        desk.clock.set(_close(market, 651))
        await desk.until(lambda: midas.feed.lost is not None)
        assert isinstance(midas.feed.lost, FeedLostError)
        assert "failed 4 times in a row" in midas.feed.lost.message
        assert midas.phase == "degraded"
        assert statuses(desk) <= {"stale", "killed", "paused"}


async def test_a_call_that_never_returns_blocks_nobody_and_raises_the_alert(
    tmp_path: Path, market: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = LiveRuntime(tmp_path, market, bars=650)
    released, stuck = threading.Event(), threading.Event()
    candles = FileSource.candles

    async def blocking(self: FileSource, symbol: str, since_ms: int) -> Any:
        if stuck.is_set():
            released.wait(60)  # as a library does that blocks the thread it is called in
        return await candles(self, symbol, since_ms)

    monkeypatch.setattr(FileSource, "candles", blocking)
    async with desk.runtime as midas:
        stuck.set()
        desk.clock.set(_close(market, 654))
        await desk.until(lambda: any(isinstance(e, AlertRaised) and e.alert.rule == "feed" for e in desk.seen))
        assert midas.phase == "degraded"
        assert statuses(desk) <= {"stale", "killed", "paused"}
        assert [a.severity for a in midas.queries.alerts() if a.rule == "feed"] == ["critical"]
        await midas.queries.acknowledge(next(a.id for a in midas.queries.alerts() if a.rule == "feed"))
        stuck.clear()
        released.set()
        await desk.grow(4)
        assert midas.phase == "running"
        assert not [a for a in midas.queries.alerts() if a.rule == "feed"]
    assert sum(isinstance(e, AlertRaised) and e.alert.rule == "feed" for e in desk.seen) == 1
    assert len(recorded(desk, AlertRaised)) == 1
    assert len(recorded(desk, AlertResolved)) == 1


async def test_a_file_that_stands_still_for_hours_then_is_whole_loses_nothing(tmp_path: Path, market: Panel) -> None:
    desk = LiveRuntime(tmp_path, market, bars=650)
    async with desk.runtime as midas:
        desk.clock.set(_close(market, 656))
        await desk.until(lambda: any(isinstance(e, AlertRaised) and e.alert.rule == "feed" for e in desk.seen))
        assert midas.phase == "degraded"
        await desk.grow(6)
        assert midas.phase == "running"
        shown = [e.bar_at for e in desk.seen if isinstance(e, BarProcessed)]
        assert shown[-6:] == [_at(market, row) for row in range(650, 656)]


async def test_a_start_on_old_bars_does_not_read_running(tmp_path: Path, market: Panel) -> None:
    desk = LiveRuntime(tmp_path, market, bars=650)
    desk.clock.set(_close(market, 690))
    async with desk.runtime as midas:
        assert midas.phase == "degraded"
        assert "running" not in phases(desk)
        assert statuses(desk) <= {"stale", "killed", "paused"}
