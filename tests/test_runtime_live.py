"""Live: the monitor on a feed gives what research gives, bar for bar, over restarts and changes of the book."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock
from midas_engine.dsl import FeatureEngine
from midas_engine.events import BarProcessed, Event, FaultReported, FeatureTicked
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.market import Panel, SyntheticMarket, regime_labels
from midas_engine.market.feeds import FileSource, PollingFeed
from midas_engine.models import AlertStatus, FeatureRecord, FeatureState
from midas_engine.promoter import FeaturePromoter
from midas_engine.runtime import Runtime
from midas_engine.runtime.live import LiveWatch
from midas_engine.runtime.live_parts import Keeping
from midas_engine.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXPRESSIONS = {"carry": "cs_rank(ts_mean(funding_rate, 24))", "fast": "cs_zscore(ema(returns(close, 1), 12))"}


def record(name: str, **changes: object) -> FeatureRecord:
    base = {"name": name, "expression": EXPRESSIONS[name], "state": FeatureState.DEPLOYED, "expected_score": 0.05}
    return FeatureRecord(**{**base, "breadth": 8.0, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def market() -> Panel:
    whole = SyntheticMarket(5).panel()
    return whole.select(start=whole.timestamps[-700])


class Desk:
    """A file that grows, a clock, a bus, and the live watch on them."""

    def __init__(self, folder: Path, market: Panel, *, bars: int, journal: Journal | None = None) -> None:
        self.market, self.file = market, folder / "bars.parquet"
        self.clock = ManualClock(_close(market, bars))
        self.bus, self.journal, self.bars = EventBus(), journal, bars
        self.ticks: list[FeatureTicked] = []
        self.done: list[BarProcessed] = []
        self.bus.tap(lambda e: self.ticks.append(e) if isinstance(e, FeatureTicked) else None)
        self.bus.tap(lambda e: self.done.append(e) if isinstance(e, BarProcessed) else None)
        self._write()
        feed = PollingFeed(FileSource(self.file), self.clock)
        self.live = LiveWatch(feed, Settings(), bus=self.bus, clock=self.clock, keeping=Keeping(journal=journal))
        self._task: asyncio.Task[None] | None = None

    def _write(self) -> None:
        _head(self.market, self.bars).save(self.file)

    async def grow(self, bars: int) -> None:
        """Let `bars` more bars close and wait until the monitor has them."""
        self._task = self._task or asyncio.create_task(self.live.run())
        self.bars += bars
        self._write()
        self.clock.set(_close(self.market, self.bars))
        wanted = _at(self.market, self.bars - 1)
        while not self.done or self.done[-1].bar_at != wanted:
            await _nudge(self.clock)
            if self._task.done():
                self._task.result()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.live.close()


def _head(market: Panel, bars: int) -> Panel:
    return Panel(
        market.timestamps[:bars], market.symbols, {n: v[:bars] for n, v in market.fields.items()}, market.bar_seconds
    )


def _at(market: Panel, row: int) -> datetime:
    return datetime.fromtimestamp(int(market.timestamps[row].astype("datetime64[s]").astype(int)), tz=UTC)


def _close(market: Panel, bars: int) -> datetime:
    return _at(market, bars - 1) + timedelta(seconds=market.bar_seconds + 5)


async def _nudge(clock: ManualClock) -> None:
    """Let a wait pass where somebody waits; while a thread reads or computes, time stands still for it."""
    await asyncio.to_thread(int)  # in line behind the threads that work
    if clock.waiting:
        clock.advance(0.25)


def _figures(live: LiveWatch) -> dict[str, tuple[float, ...]]:
    rows = {}
    for name in live.fleet.names:
        m = live.monitor.metrics(name)
        rows[name] = (m.ic_1d.value, m.ic_5d.value, m.ic_30d.value, m.turnover, m.pnl_bps, m.value)
    return rows


async def test_live_values_are_those_of_research(tmp_path: Path, market: Panel) -> None:
    desk = Desk(tmp_path, market, bars=650)
    await desk.live.begin([record("carry"), record("fast")])
    await desk.grow(3)
    await desk.grow(30)
    whole = FeatureEngine(desk.live.panel)  # what the file gave, bar by bar
    for name, text in EXPRESSIONS.items():
        values = whole.values(text)
        metrics = desk.live.monitor.metrics(name)
        assert metrics.value == pytest.approx(float(np.nanmean(values[-1])), abs=1e-12)
    last = {e.metrics.feature: e.at for e in desk.ticks[-2:]}
    assert last == dict.fromkeys(EXPRESSIONS, _at(market, 682))
    assert desk.done[-1].regime == regime_labels(desk.live.panel)[-1]
    await desk.stop()


async def test_a_restart_changes_no_figure(tmp_path: Path, market: Panel) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    straight = Desk(tmp_path / "a", market, bars=600)
    await straight.live.begin([record("carry"), record("fast")])
    await straight.grow(10)
    await straight.grow(40)

    with Journal(tmp_path / "b" / "journal.sqlite") as journal:
        first = Desk(tmp_path / "b", market, bars=600, journal=journal)
        await first.live.begin([record("carry"), record("fast")])
        await first.grow(10)
        await first.stop()
    with Journal(tmp_path / "b" / "journal.sqlite") as journal:
        # forty bars passed while nothing ran
        second = Desk(tmp_path / "b", market, bars=650, journal=journal)
        await second.live.begin([record("carry"), record("fast")])
        assert [e.bar_at for e in second.done] == [_at(market, row) for row in range(610, 650)]
        restarted = _figures(second.live)
        await second.stop()
    for name, figures in _figures(straight.live).items():
        np.testing.assert_allclose(restarted[name], figures, rtol=1e-9, atol=1e-12)
    await straight.stop()


async def test_the_book_changes_without_losing_what_stays(tmp_path: Path, market: Panel) -> None:
    desk = Desk(tmp_path, market, bars=650)
    await desk.live.begin([record("carry")])
    bars = desk.live.monitor.metrics("carry").bars
    await desk.live.rebook([record("carry"), record("fast", paused=True)])
    assert desk.live.fleet.names == ["carry", "fast"]
    assert desk.live.fleet.status(1) == "paused"
    await desk.grow(2)
    assert desk.live.monitor.metrics("carry").bars == bars + 2
    assert np.isfinite(desk.live.monitor.metrics("fast").value)
    await desk.live.rebook([record("fast")])
    assert desk.live.fleet.names == ["fast"]
    assert desk.live.fleet.status(0) != "paused"
    await desk.stop()


async def test_what_cannot_be_computed_is_named_and_the_rest_goes_on(tmp_path: Path, market: Panel) -> None:
    desk = Desk(tmp_path, market, bars=650)
    broken = FeatureRecord("oi", "ts_mean(open_interest, 24)", FeatureState.DEPLOYED)
    await desk.live.begin([broken, record("carry")])
    assert desk.live.fleet.names == ["carry"]
    assert list(desk.live.problems) == ["oi"]
    assert desk.live.problems["oi"].startswith("cannot be computed on this data: ")
    assert "open_interest" in desk.live.problems["oi"]
    await desk.stop()


async def test_nothing_to_watch_still_follows_the_market(tmp_path: Path, market: Panel) -> None:
    desk = Desk(tmp_path, market, bars=650)
    await desk.live.begin([])
    await desk.grow(1)
    assert desk.done[-1].features == 0
    assert desk.done[-1].symbols > 0
    await desk.stop()


# -- the runtime on a feed -------------------------------------------------------------------------


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


class LiveRuntime:
    """A runtime that follows a growing file, with a knowledge base of its own."""

    def __init__(self, folder: Path, market: Panel, bars: int) -> None:
        self.market, self.file, self.bars = market, folder / "bars.parquet", bars
        self.clock = ManualClock(_close(market, bars))
        _head(market, bars).save(self.file)
        promoter = FeaturePromoter(KnowledgeBase(folder / "kb"))
        for name in EXPRESSIONS:
            promoter.save_candidate(replace(record(name), state=FeatureState.CANDIDATE))
        promoter.promote("carry", "test", force=True)
        promoter.close()
        settings = replace(Settings(), kb=str(folder / "kb"), data=f"follow:{self.file}")
        self.runtime = Runtime(settings, clock=self.clock)
        self.seen: list[Event] = []
        self.runtime.bus.tap(self.seen.append)

    async def grow(self, bars: int) -> None:
        self.bars += bars
        _head(self.market, self.bars).save(self.file)
        self.clock.set(_close(self.market, self.bars))
        wanted = _at(self.market, self.bars - 1)
        await self.until(lambda: any(isinstance(e, BarProcessed) and e.bar_at == wanted for e in self.seen))

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(110):
            while not true():
                await _nudge(self.clock)


async def test_the_runtime_goes_live_and_follows_the_pipeline(tmp_path: Path, market: Panel) -> None:
    desk = LiveRuntime(tmp_path, market, bars=650)
    async with desk.runtime as midas:
        assert (midas.mode, midas.phase) == ("LIVE", "running")
        assert list(midas.queries.metrics()) == ["carry"]
        await desk.grow(2)
        assert midas.queries.metrics()["carry"].at == _at(market, 651)
        assert midas.panel is not None
        assert midas.panel.timestamps[-1] == market.timestamps[651]
        await midas.pipeline.act("promote", "fast", "looks good")
        await desk.until(lambda: set(midas.queries.metrics()) == {"carry", "fast"})
        await desk.grow(1)
        assert np.isfinite(midas.queries.metrics()["carry"].ic_30d.value)
        assert not np.isfinite(midas.queries.metrics()["fast"].ic_30d.value)
        await midas.pipeline.act("demote", "fast", "second thoughts")
        await desk.until(lambda: list(midas.queries.metrics()) == ["carry"])
    assert midas.phase == "stopped"


async def test_where_another_process_watches_it_is_named_and_this_one_looks_on(tmp_path: Path, market: Panel) -> None:
    desk = LiveRuntime(tmp_path, market, bars=650)
    holder = KnowledgeBase(tmp_path / "kb").claim("monitor")
    try:
        async with desk.runtime as midas:
            (trouble,) = midas.troubles()
            assert trouble.badge.startswith(f"watched by pid {os.getpid()} (")
            assert list(midas.queries.metrics()) == ["carry"]  # what it sees is shown all the same
            await desk.grow(1)
    finally:
        holder.release()
    async with LiveRuntime(_folder(tmp_path / "other"), market, bars=650).runtime as alone:
        assert alone.troubles() == ()


async def test_an_outage_degrades_and_is_told_and_ends(tmp_path: Path, market: Panel) -> None:
    desk = LiveRuntime(tmp_path, market, bars=650)
    async with desk.runtime as midas:
        away = desk.file.rename(tmp_path / "elsewhere.parquet")
        desk.clock.set(_close(market, 651))
        await desk.until(lambda: midas.phase == "degraded")
        away.rename(desk.file)
        await desk.grow(3)
        assert midas.phase == "running"
        faults = [e.message for e in desk.seen if isinstance(e, FaultReported) and e.where == "feed"]
        assert "cannot be read" in faults[0]
        assert faults[1:] == ["the feed is back"]
        shown = [e.bar_at for e in desk.seen if isinstance(e, BarProcessed)]
        assert shown[-3:] == [_at(market, row) for row in range(650, 653)]


async def test_what_an_operator_said_of_an_alert_survives_the_process(tmp_path: Path, market: Panel) -> None:
    desk = LiveRuntime(tmp_path, market, bars=650)
    async with desk.runtime as midas:
        alerts = midas.queries.alerts()
        assert alerts, "carry without funding in its last days should have raised something"
        await midas.queries.acknowledge(alerts[0].id)
        saved = desk.runtime.journal
        assert saved is not None
    again = Runtime(desk.runtime.settings, clock=desk.clock)
    async with again as midas:
        found = {a.id: a.status for a in midas.queries.alerts()}
        assert found[alerts[0].id] is AlertStatus.ACKNOWLEDGED
