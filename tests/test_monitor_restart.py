"""Restarts: SIGKILL at random moments, damaged states, commands between bars, one monitor a base."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from midas_engine.errors import LockTimeoutError, MonitorError
from midas_engine.events import AlertRaised, AlertResolved, FaultReported, KillProposed
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.monitor import OnlineMonitor
from midas_engine.monitor.state.codec import pack
from midas_engine.monitor.state.recovery import BAR_KEY, NOTE_SECONDS, PART_KEY, SNAPSHOT_KEY, Recovery
from midas_engine.settings import MonitorSettings
from tests.helpers_monitor import MemoryStore, ar1, bar_time, clock_at, linked
from tests.helpers_patience import ServedClock

LATER = 100_000
AUTO = MonitorSettings(kill_policy="auto", arl0="400b")


def _story(bars: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    values = np.column_stack([rng.normal(size=bars), ar1(rng, bars, 0.9)])
    return values, linked(rng, values[:, 0], np.where(np.arange(bars) < 200, 0.3, -0.3))


def _monitor(store: Any = None, **more: Any) -> OnlineMonitor:
    more = {"references": {"a": 0.3}, "settings": AUTO, **more}
    return OnlineMonitor(["a", "b"], clock=clock_at(LATER), journal=store, **more)


async def _feed(monitor: OnlineMonitor, first: int, last: int) -> None:
    values, returns = _story()
    for t in range(first, last):
        row = {"a": float(values[t, 0]), "b": float(values[t, 1])}
        await monitor.process_update(bar_time(t), row, float(returns[t]))


def test_sigkill_at_random_moments_changes_nothing_that_is_told(tmp_path: Path) -> None:
    driver = Path(__file__).with_name("crash_driver_monitor.py")
    done = subprocess.run(
        [sys.executable, str(driver), "6", "11", str(tmp_path), "400"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["different"] == []
    assert report["kills"] == 6
    assert report["features_killed"] >= 1


async def test_a_kill_does_not_reach_back_over_a_restart() -> None:
    """Bars replayed after a crash see the feature alive until the bar it was killed on."""
    kinds = (AlertRaised, AlertResolved, KillProposed)
    straight = _monitor(MemoryStore())
    told = straight.bus.subscribe("test", *kinds)
    await _feed(straight, 0, 400)
    expected = [repr(e) for e in told.take()]
    assert straight.kills.killed == {"a"}
    fallen = next(r.bar for r in straight.kills.records.values()) - straight.fleet.stream.index(bar_time(0))
    store, again = MemoryStore(), []
    for first, last in ((0, fallen + 2), (fallen + 2, fallen + 5), (fallen + 5, 400)):
        monitor = _monitor(store)
        told = monitor.bus.subscribe("test", *kinds)
        await monitor.start()
        await _feed(monitor, first, last)
        again.extend(repr(e) for e in told.take())
    assert list(dict.fromkeys(again)) == expected
    assert repr(monitor.all_metrics()) == repr(straight.all_metrics())
    assert monitor.fleet.kill_wanted == straight.fleet.kill_wanted == {}


async def test_a_command_during_a_bar_is_not_lost_and_loses_no_bar() -> None:
    store = MemoryStore()
    monitor = _monitor(store)
    await _feed(monitor, 0, 30)
    values, returns = _story()
    bar = monitor.process_update(bar_time(30), {"a": values[30, 0], "b": values[30, 1]}, returns[30])
    await asyncio.gather(bar, monitor.pause("b"))
    again = _monitor(store)
    await again.start()
    assert again.fleet.paused == {"b"}
    assert again.fleet.last_bar == bar_time(30)
    assert repr(again.metrics("a")) == repr(monitor.metrics("a"))


async def test_a_state_that_cannot_be_used_is_shouted_about_and_left() -> None:
    store = MemoryStore()
    await _feed(_monitor(store), 0, 60)
    for damage in (b"nonsense", pack({"sequence": 3, "every": 24}, {})):
        store.states[SNAPSHOT_KEY] = damage
        monitor = _monitor(store)
        faults = monitor.bus.subscribe("test", FaultReported)
        await monitor.start()
        assert "starting without it" in faults.take()[0].message
        await _feed(monitor, 60, 70)
        assert monitor.metrics("a").bars == 9
        assert monitor.alerts()[0].feature in ("a", "b")


async def test_a_damaged_record_of_kills_stops_the_start_every_time() -> None:
    store = MemoryStore()
    store.states["monitor/kills"] = b"[{"
    monitor = _monitor(store)
    for _ in range(2):
        with pytest.raises(MonitorError, match="kills is damaged"):
            await _feed(monitor, 0, 1)


async def test_a_hole_in_the_bars_is_closed_by_a_snapshot() -> None:
    store = MemoryStore()
    monitor = _monitor(store)
    await _feed(monitor, 0, 5)
    store.broken = True
    await _feed(monitor, 5, 8)
    store.broken = False
    await _feed(monitor, 8, 9)
    again = _monitor(store)
    await again.start()
    assert again.fleet.last_bar == bar_time(8)
    assert repr(again.metrics("a")) == repr(monitor.metrics("a"))


async def test_large_states_are_kept_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midas_engine.monitor.state.recovery.PART_BYTES", 10_000)
    store, x = MemoryStore(), np.arange(5000.0)
    recovery = Recovery(store)
    await recovery.snapshot({"n": 1}, {"x": x})
    header = store.states[SNAPSHOT_KEY]
    await recovery.snapshot({"n": 2}, {"x": x + 1})
    torn = MemoryStore()
    torn.states = {**store.states, SNAPSHOT_KEY: header}  # the crash came before the last write
    for kept, number in ((store, 2), (torn, 1)):
        saved = Recovery(kept).load()
        assert saved is not None
        assert saved[0]["n"] == number
        np.testing.assert_array_equal(saved[1]["x"], x + number - 1)
    del store.states[PART_KEY.format(generation=0, part=1)]
    with pytest.raises(MonitorError, match="part of the monitor's saved state"):
        Recovery(store).load()


async def test_a_large_state_is_written_less_often() -> None:
    recovery = Recovery(MemoryStore())
    await recovery.note({"index": 1}, {"values": np.zeros(1)})
    await recovery.snapshot({}, {"x": np.zeros(100 * 125_000)})
    assert (recovery.every, recovery.slots) == (100, 200)
    for index in range(120):
        assert recovery.due == (index >= 100)
        await recovery.note({"index": index}, {"values": np.zeros(1)})
    fresh = Recovery(recovery._store)
    fresh.load()
    assert [meta["index"] for meta, _ in fresh.bars_after()] == list(range(120))


async def test_one_monitor_a_base(tmp_path: Path) -> None:
    base = KnowledgeBase(tmp_path / "kb")
    with Journal(tmp_path / "journal.sqlite") as journal:
        first, second = _monitor(journal, kb=base), _monitor(journal, kb=base)
        await _feed(first, 0, 3)
        for _ in range(2):
            with pytest.raises(LockTimeoutError, match="already has a monitor") as caught:
                await _feed(second, 0, 1)
        assert "read-only" in (caught.value.hint or "")
        assert not second.fleet.built
        await first.close()
        await _feed(second, 3, 5)
        assert second.metrics("a").bars == 4
        await second.close()


async def test_bars_between_snapshots_keep_to_their_slots() -> None:
    store = MemoryStore()
    await _feed(_monitor(store), 0, 200)
    kept = [key for key in store.states if key.startswith(BAR_KEY.split("{")[0])]
    assert 0 < len(kept) <= 48


async def test_a_bar_never_waits_for_its_snapshot() -> None:
    class Held(MemoryStore):
        """Its snapshots hang while it is held; bars go through."""

        free = threading.Event()

        def put_state(self, key: str, blob: bytes, *, durable: bool = False) -> None:
            if key == SNAPSHOT_KEY:
                self.free.wait(60)
            super().put_state(key, blob, durable=durable)

    store = Held()
    store.free.set()
    monitor = _monitor(store)
    faults = monitor.bus.subscribe("test", FaultReported)
    await _feed(monitor, 0, 30)
    store.free.clear()
    try:
        with ServedClock() as served:
            await asyncio.wait_for(_feed(monitor, 30, 65), 30)
        assert served.seconds < NOTE_SECONDS, "a bar waited"
        assert monitor.recovery.writing
        crashed = MemoryStore()  # the snapshot before and the bars since then are all that is needed
        crashed.states = dict(store.states)
        again = _monitor(crashed)
        await again.start()
        assert again.fleet.last_bar == bar_time(64)
        assert repr(again.metrics("a")) == repr(monitor.metrics("a"))
    finally:
        store.free.set()
    await monitor.close()
    assert faults.take() == []
