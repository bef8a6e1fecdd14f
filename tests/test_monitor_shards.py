"""A watch in shards is a watch in one process, to the byte, whoever dies; and nothing reads healthy meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock
from midas_engine.events import AlertRaised, Event, FaultReported
from midas_engine.market import Panel
from midas_engine.market.feeds import ClosedBar, FileSource, PollingFeed
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.monitor.shards.shards import Shards
from midas_engine.monitor.shards.worker_process import ShardProcess
from midas_engine.runtime.live import LiveWatch
from midas_engine.settings import MonitorSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HISTORY, BARS, SYMBOLS = 100, 26, 12
EXPRESSIONS = {
    "mean": "-ts_mean(returns(close, 1), 40)",
    "deep": "ts_std(returns(close, 1), 48) - ts_max(volume, 33)",
    "rank": "cs_rank(ts_mean(returns(close, 1), 40))",
    "ema": "ema(returns(close, 1), 12) + 0 * volume",
    "corr": "ts_corr(close, volume, 36)",
    "gone": "delta(close, 1) * (volume > 0.001)",
}


def world() -> Panel:
    rng = np.random.default_rng(8)
    shape = (HISTORY + BARS, SYMBOLS)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, shape), axis=0))
    volume = rng.lognormal(0, 1, shape)
    close[rng.random(shape) < 0.01] = np.nan
    close[HISTORY + 5 : HISTORY + 15] = np.nan  # an outage: values go missing, alarms are raised and resolved
    times = np.datetime64("2026-01-01T00:00", "ns") + np.arange(shape[0]) * np.timedelta64(3600, "s")
    return Panel(times, tuple(f"S{i}" for i in range(SYMBOLS)), {"close": close, "volume": volume}, 3600)


WORLD = world()


def opened(row: int) -> datetime:
    return datetime.fromisoformat(str(WORLD.timestamps[row].astype("datetime64[s]"))).replace(tzinfo=UTC)


class Watch:
    """The world, watched in so many shards; what happened, and what the monitor then holds."""

    def __init__(self, folder: Path, shards: int) -> None:
        self.file, self.bus, self.clock = folder / "bars.parquet", EventBus(), ManualClock(opened(HISTORY))
        self.events: list[Event] = []
        self.faults: list[tuple[FaultReported, set[str], str]] = []
        self.bus.tap(self._note)
        self.more = asyncio.Event()
        if not self.file.exists():
            fields = {name: column[:HISTORY] for name, column in WORLD.fields.items()}
            Panel(WORLD.timestamps[:HISTORY], WORLD.symbols, fields, 3600).save(self.file)
        feed = PollingFeed(FileSource(self.file), self.clock)
        settings = Settings(monitor=MonitorSettings(shards=str(shards)))
        self.live = LiveWatch(feed, settings, bus=self.bus, clock=self.clock)

    def _note(self, event: Event) -> None:
        if isinstance(event, FaultReported) and "shard" in event.message:
            fleet = self.live.fleet if self.live._monitor is not None else None
            status = {fleet.status(row) for row in range(len(fleet.names))} if fleet is not None else set()
            self.faults.append((event, status, self.live.shards.trouble))
            self.more.set()
        elif type(event).__name__ != "FeatureTicked":
            self.events.append(event)

    @property
    def shards(self) -> Shards:
        assert isinstance(self.live._stream, Shards)
        return self.live._stream

    async def begin(self) -> None:
        records = [FeatureRecord(n, e, FeatureState.DEPLOYED, expected_score=0.05) for n, e in EXPRESSIONS.items()]
        await self.live.begin(records)

    async def bar(self, row: int) -> None:
        self.clock.set(opened(row) + timedelta(hours=1, seconds=5))
        values = {name: column[row] for name, column in WORLD.fields.items()}
        await self.live._take_once(ClosedBar(opened(row), values))

    async def told(self, count: int) -> None:
        while len(self.faults) < count:
            self.more.clear()
            await self.more.wait()

    async def run(self) -> None:
        await self.begin()
        for row in range(HISTORY, HISTORY + BARS):
            await self.bar(row)

    async def outcome(self) -> tuple[list[str], Mapping[str, bytes], str]:
        meta, arrays = self.live.fleet.state()
        await self.live.close()
        return [repr(e) for e in self.events], {k: a.tobytes() for k, a in arrays.items()}, repr(meta)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Mapping[str, bytes], str]:
    async def run() -> tuple[list[str], Mapping[str, bytes], str]:
        watch = Watch(tmp_path_factory.mktemp("alone"), 1)
        await watch.run()
        raised = [e for e in watch.events if isinstance(e, AlertRaised)]
        assert len(raised) > 3
        assert not isinstance(watch.live._stream, Shards)
        return await watch.outcome()

    return asyncio.run(run())


async def test_four_shards_are_one_process_to_the_byte(
    tmp_path: Path, alone: tuple[list[str], Mapping[str, bytes], str]
) -> None:
    watch = Watch(tmp_path, 4)
    await watch.run()
    assert len(watch.shards.pids) == 4
    assert watch.faults == []
    assert await watch.outcome() == alone


async def test_two_shards_killed_between_bars_and_within_one_lose_and_double_nothing(
    tmp_path: Path, alone: tuple[list[str], Mapping[str, bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(tmp_path, 2)
    await watch.begin()
    for row in range(HISTORY, HISTORY + 8):
        await watch.bar(row)
    await asyncio.to_thread(watch.shards.save)
    await watch.bar(HISTORY + 8)
    os.kill(watch.shards.pids[1], signal.SIGKILL)
    await watch.told(2)  # between bars: told at once, and built anew without waiting for the next
    (down, status, trouble), (back, _, after) = watch.faults
    assert "shard 2 of 2 is down (ended by SIGKILL)" in down.message
    assert (down.severity, down.message) == ("critical", trouble)
    assert status == {"stale"}
    assert ("shard 2 of 2 is back" in back.message, back.severity, after) == (True, "info", "")
    for row in range(HISTORY + 9, HISTORY + 14):
        await watch.bar(row)

    say = ShardProcess.say

    def say_and_kill(process: ShardProcess, command: Mapping[str, object]) -> None:
        say(process, command)
        monkeypatch.setattr(ShardProcess, "say", say)
        os.kill(process.pid, signal.SIGKILL)

    monkeypatch.setattr(ShardProcess, "say", say_and_kill)  # as the bar is handed to it
    for row in range(HISTORY + 14, HISTORY + BARS):
        await watch.bar(row)
    await watch.told(4)
    assert [f.severity for f, _, _ in watch.faults] == ["critical", "info"] * 2
    assert not watch.live.fleet.absent["shards"]
    assert await watch.outcome() == alone


async def test_closing_does_not_wait_for_a_bar_that_is_under_way(tmp_path: Path) -> None:
    watch = Watch(tmp_path, 2)
    await watch.begin()
    shards, pids = watch.shards, watch.shards.pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    bar = asyncio.create_task(watch.bar(HISTORY))
    await asyncio.to_thread(_until_asked, shards)
    bar.cancel()
    await asyncio.wait([bar])
    await watch.live.close()
    assert shards.closed
    assert [pid for pid in pids if _runs(pid)] == []


def _runs(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def _until_asked(shards: Shards) -> None:
    while not all(process is not None and process.waiting for process in shards._processes):
        threading.Event().wait(0.01)


async def test_a_shard_that_cannot_go_on_ends_the_watch_in_words(tmp_path: Path) -> None:
    watch = Watch(tmp_path, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("midas_engine.monitor.shards.worker_process.sys.executable", "/bin/false")
        with pytest.raises(Exception, match="ended 3 times in a row: exit 1; the bar waits"):
            await watch.begin()
    await watch.live.close()
