"""Live bars and the market store: what the feed sees is kept there, and what others add there is a feed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock
from midas_engine.events import BarProcessed, Event, FaultReported
from midas_engine.kb import KnowledgeBase
from midas_engine.market import Panel, SyntheticMarket
from midas_engine.market.feeds import FileSource, PollingFeed
from midas_engine.market.store import MarketStore, Provenance
from midas_engine.market.store.lock import writing
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.runtime import Runtime, feed_follower
from midas_engine.runtime.bar_recorder import BarRecorder
from midas_engine.runtime.live import LiveWatch
from midas_engine.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GIVEN = Provenance("imported", "world", "candles", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def market() -> Panel:
    whole = SyntheticMarket(5).panel()
    return whole.select(symbols=whole.symbols[:5], start=whole.timestamps[-400])


def head(market: Panel, bars: int) -> Panel:
    fields = {n: v[:bars] for n, v in market.fields.items()}
    return Panel(market.timestamps[:bars], market.symbols, fields, market.bar_seconds)


def at(market: Panel, row: int) -> datetime:
    return datetime.fromtimestamp(int(market.timestamps[row].astype("datetime64[s]").astype(int)), tz=UTC)


class Desk:
    """A runtime on a feed whose clock is ours."""

    def __init__(self, folder: Path, market: Panel, bars: int, source: str) -> None:
        self.market, self.bars = market, bars
        self.clock = ManualClock(at(market, bars) + timedelta(seconds=5))
        KnowledgeBase(folder / "kb")
        settings = replace(Settings(), kb=str(folder / "kb"), data=source, store=str(folder / "store"))
        self.runtime = Runtime(settings, clock=self.clock)
        self.seen: list[Event] = []
        self.runtime.bus.tap(self.seen.append)

    async def close_bar(self) -> None:
        self.bars += 1
        self.clock.set(at(self.market, self.bars) + timedelta(seconds=5))
        wanted = at(self.market, self.bars - 1)
        await self.until(lambda: any(isinstance(e, BarProcessed) and e.bar_at == wanted for e in self.seen))

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(110):
            while not true():
                await asyncio.to_thread(int)  # in line behind the threads that work
                if self.clock.waiting:
                    self.clock.advance(0.25)


async def test_live_bars_are_recorded_as_they_come(
    tmp_path: Path, market: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "bars.parquet"
    head(market, 300).save(file)
    monkeypatch.setattr(feed_follower, "open_source", lambda *_: _named(FileSource(file)))
    desk = Desk(tmp_path, market, 300, "live:venue")
    store = MarketStore(tmp_path / "store")
    async with desk.runtime:
        await desk.until(lambda: "venue@1h" in store.manifest().series)
        head(market, 301).save(file)
        await desk.close_bar()
        await desk.until(lambda: store.panel("store:venue@1h").T == 301)
    panel = store.panel("store:venue@1h")
    assert np.array_equal(panel["close"], market["close"][:301], equal_nan=True)
    assert {(p.how, p.kind) for p in panel.provenance["close"]} == {("fetched", "candles"), ("recorded", "candles")}
    assert {p.kind for p in panel.provenance["funding_rate"]} == {"funding"}


def _named(source: FileSource) -> FileSource:
    source.name = "venue"
    return source


async def test_the_loop_goes_on_while_a_history_is_caught_up(tmp_path: Path, market: Panel) -> None:
    file = tmp_path / "bars.parquet"
    head(market, 300).save(file)
    clock = ManualClock(at(market, 300) + timedelta(seconds=5))
    live = LiveWatch(PollingFeed(FileSource(file), clock), Settings(), bus=EventBus(), clock=clock)
    beats, seen = 0, list[tuple[float, int]]()

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    beating = asyncio.create_task(beat())
    carry = FeatureRecord("carry", "cs_rank(funding_rate)", FeatureState.DEPLOYED, expected_score=0.05)
    await live.begin([carry], lambda share: seen.append((share, beats)))
    beating.cancel()
    await live.close()
    shares, turns = zip(*seen, strict=True)
    assert len(seen) == 13
    assert list(shares) == sorted(shares)
    assert min(np.diff(turns)) >= 24, "between two words of progress every bar gave the loop a turn"


async def test_a_part_of_the_store_is_followed(tmp_path: Path, market: Panel) -> None:
    store = MarketStore(tmp_path / "store")
    store.append_panel("world", head(market, 300), GIVEN)
    desk = Desk(tmp_path, market, 300, "follow:store:world@1h")
    async with desk.runtime as midas:
        assert (midas.mode, midas.phase) == ("LIVE", "running")
        store.append_panel("world", head(market, 301).slice(300, None), GIVEN)
        await desk.close_bar()
        assert midas.panel is not None
        assert midas.panel.T == 301
    assert store.panel("store:world").provenance["close"] == (GIVEN,), "what is read from the store is not written back"


async def test_a_store_that_cannot_be_written_is_told_once_and_caught_up(tmp_path: Path, market: Panel) -> None:
    store, told = MarketStore(tmp_path / "store"), list[str]()
    recorder = BarRecorder(store, "v", ManualClock(at(market, 10)), lambda message, hint: told.append(message))

    def quick(*_: Any) -> Any:
        return writing(store.path, timeout=0)

    with pytest.MonkeyPatch.context() as patch, writing(store.path):
        patch.setattr("midas_engine.market.store.market_store.writing", quick)
        for bars in (10, 11):
            recorder.note(head(market, bars))
            await recorder.write()
    assert recorder.trouble
    assert len(told) == 1
    assert "not in the market store" in told[0]
    recorder.note(head(market, 12))
    await recorder.write()
    assert "again" in told[1]
    assert store.panel("store:v").T == 12
    restated = {n: v[:13].copy() for n, v in market.fields.items()}
    recorder = BarRecorder(store, "v", ManualClock(at(market, 13)), lambda message, hint: told.append(message))
    restated["close"][3, 0] *= 1.01
    recorder.note(Panel(market.timestamps[:13], market.symbols, restated, 3600))
    await recorder.write()
    assert "the venue restated 1 bars of v@1h" in told[2]


async def test_an_empty_setting_keeps_no_bar(tmp_path: Path, market: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bars.parquet"
    head(market, 300).save(file)
    monkeypatch.setattr(feed_follower, "open_source", lambda *_: _named(FileSource(file)))
    monkeypatch.chdir(tmp_path)
    KnowledgeBase(tmp_path / "kb")
    runtime = Runtime(
        replace(Settings(), kb=str(tmp_path / "kb"), data="live:venue", store=""),
        clock=ManualClock(at(market, 300) + timedelta(seconds=5)),
    )
    faults: list[Event] = []
    runtime.bus.tap(lambda e: faults.append(e) if isinstance(e, FaultReported) else None)
    async with runtime:
        pass
    assert not (tmp_path / "midas-store").exists()
    assert faults == []
