"""Kill: latched, persisted first, told at least once, whatever breaks around it."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.bus import EventBus
from midas_engine.errors import MonitorError, TransitionError
from midas_engine.events import FaultReported, KillCallbackFailed
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.monitor import KillSwitch, OnlineMonitor
from midas_engine.monitor.kill.callbacks import MOST_HANGING
from midas_engine.monitor.kill.switch import KEY
from midas_engine.promoter import FeaturePromoter
from tests.helpers_monitor import START, MemoryStore, bar_time, clock_at

if TYPE_CHECKING:
    from pathlib import Path


class Archive:
    """A promoter's kill that can fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.killed = error, []  # type: ignore[var-annotated]

    def kill(self, name: str, reason: str) -> None:
        if self.error is not None:
            raise self.error
        self.killed.append((name, reason))


def _switch(**more: Any) -> tuple[KillSwitch, Any, Any]:
    bus, clock = EventBus(), clock_at()
    seen = bus.subscribe("test")
    return KillSwitch(bus=bus, clock=clock, seconds=more.pop("seconds", 5.0), **more), seen, clock


async def _kill(switch: KillSwitch, name: str = "a", actor: str = "operator") -> bool:
    return await switch.kill(name, reason="it fell", actor=actor, at=START)


async def _until(condition: Any, clock: Any = None) -> None:
    for _ in range(20_000):
        if condition():
            return
        await asyncio.sleep(0)
        if clock is not None:
            clock.advance(1.0)
    pytest.fail("it never happened")


async def test_it_is_on_disk_before_anyone_is_told_and_archived_after_it() -> None:
    store, archive = MemoryStore(), Archive()
    order: list[str] = []

    async def on_kill(name: str) -> None:
        order.append(f"told {name}")
        assert json.loads(store.states[KEY])[0]["feature"] == name

    switch, seen, _ = _switch(on_kill=on_kill, journal=store, promoter=archive)
    assert await _kill(switch)
    await switch.settle()
    assert order == ["told a"]
    assert archive.killed == [("a", "it fell")]
    assert [e for e in seen.take() if isinstance(e, KillCallbackFailed)] == []
    record = json.loads(store.states[KEY])[0]
    assert (record["told"], record["archived"], record["attempts"]) == (True, True, 1)


async def test_a_second_kill_is_the_first() -> None:
    calls: list[str] = []
    switch, _, _ = _switch(on_kill=calls.append)
    done = await asyncio.gather(*[_kill(switch) for _ in range(5)])
    await switch.settle()
    assert sorted(done) == [False] * 4 + [True]
    assert calls == ["a"]


@pytest.mark.parametrize("actor", ["model", "diagnosis", "openai:gpt", "", "Operator"])
async def test_nobody_else_may_kill(actor: str) -> None:
    switch, _, _ = _switch()
    with pytest.raises(MonitorError, match="may not kill"):
        await _kill(switch, actor=actor)
    assert switch.killed == frozenset()


async def test_a_callback_that_raises_is_called_again_until_it_does_not() -> None:
    calls: list[int] = []

    def on_kill(name: str) -> None:
        calls.append(len(calls))
        if len(calls) < 4:
            raise ConnectionError("broker down")

    switch, seen, clock = _switch(on_kill=on_kill)
    await _kill(switch)
    await _until(lambda: switch.records["a"].told, clock)
    failures = [e for e in seen.take() if isinstance(e, KillCallbackFailed)]
    assert [f.attempt for f in failures] == [1, 2, 3]
    assert failures[0].error == "ConnectionError: broker down"
    await switch.close()


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
async def test_a_callback_that_wants_to_end_the_process_only_fails(error: BaseException) -> None:
    tried: list[str] = []

    def on_kill(name: str) -> None:
        tried.append(name)
        if len(tried) == 1:
            raise error

    switch, _, clock = _switch(on_kill=on_kill)
    await _kill(switch)
    await _until(lambda: switch.records["a"].told, clock)
    assert len(tried) == 2
    await switch.close()


async def test_a_callback_that_cancels_itself_is_tried_again() -> None:
    tried: list[str] = []

    async def on_kill(name: str) -> None:
        tried.append(name)
        if len(tried) == 1:
            raise asyncio.CancelledError

    switch, seen, clock = _switch(on_kill=on_kill)
    await _kill(switch)
    await _until(lambda: switch.records["a"].told, clock)
    assert [e.error for e in seen.take() if isinstance(e, KillCallbackFailed)] == ["it was cancelled"]
    await switch.close()


async def test_a_callback_that_hangs_holds_nobody_and_threads_are_bounded() -> None:
    gate = threading.Event()
    calls: list[str] = []

    def on_kill(name: str) -> None:
        calls.append(name)
        if name == "a":
            gate.wait()

    switch, seen, clock = _switch(on_kill=on_kill, seconds=0.01)
    await _kill(switch)
    await _kill(switch, "b")
    await _until(lambda: switch.records["b"].told)
    await _until(lambda: switch.records["a"].attempts >= MOST_HANGING + 3, clock)
    assert calls.count("a") == MOST_HANGING
    failures = [e.error for e in seen.take() if isinstance(e, KillCallbackFailed)]
    assert failures[0] == "no answer in time"
    assert "still hang" in failures[-1]
    assert not switch.records["a"].told
    gate.set()  # they come back after all, and that counts
    await _until(lambda: switch.records["a"].told)
    await switch.close()


async def test_a_hanging_coroutine_is_given_up_and_tried_again() -> None:
    tried: list[str] = []

    async def on_kill(name: str) -> None:
        tried.append(name)
        if len(tried) == 1:
            await asyncio.Event().wait()

    switch, _, clock = _switch(on_kill=on_kill, seconds=0.01)
    await _kill(switch)
    await _until(lambda: switch.records["a"].told, clock)
    assert len(tried) == 2
    await switch.close()


async def test_a_journal_that_is_full_stops_no_kill_and_is_written_when_there_is_room() -> None:
    store, calls = MemoryStore(), []  # type: ignore[var-annotated]
    store.broken = True
    switch, seen, clock = _switch(on_kill=calls.append, journal=store)
    assert await _kill(switch)
    await switch.settle()
    assert calls == ["a"]
    assert switch.killed == {"a"}
    assert [e.severity for e in seen.take() if isinstance(e, FaultReported)][0] == "critical"
    store.broken = False
    await _until(lambda: KEY in store.states, clock)
    assert json.loads(store.states[KEY])[0]["told"]
    await switch.close()


async def test_what_cannot_be_archived_is_stopped_all_the_same_and_archived_later() -> None:
    store = MemoryStore()
    switch, seen, _ = _switch(journal=store, promoter=Archive(OSError(30, "read-only")))
    await _kill(switch)
    assert "could not be archived" in next(e.message for e in seen.take() if isinstance(e, FaultReported))
    archive = Archive()
    again, _, _ = _switch(journal=store, promoter=archive)
    again.load()
    again.resume()
    await _until(lambda: archive.killed == [("a", "it fell")])
    await again.close()
    third, _, _ = _switch(journal=store, promoter=Archive(AssertionError("asked twice")))
    third.load()
    third.resume()
    await third.close()


async def test_a_feature_the_pipeline_does_not_know_is_not_asked_for_again() -> None:
    store = MemoryStore()
    switch, _, _ = _switch(journal=store, promoter=Archive(TransitionError("there is no feature 'a'")))
    await _kill(switch)
    assert json.loads(store.states[KEY])[0]["archived"]


async def test_a_cancelled_caller_stops_no_step() -> None:
    slow = threading.Event()
    archive, calls = Archive(), []  # type: ignore[var-annotated]
    plain = archive.kill

    def kill(name: str, reason: str) -> None:
        slow.wait()
        plain(name, reason)

    archive.kill = kill  # type: ignore[method-assign]
    store = MemoryStore()
    switch, _, _ = _switch(on_kill=calls.append, journal=store, promoter=archive)
    caller = asyncio.create_task(_kill(switch))
    await _until(lambda: KEY in store.states)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    slow.set()
    await _until(lambda: calls == ["a"])
    await switch.close()


async def test_an_unconfirmed_kill_is_told_again_after_a_restart() -> None:
    store, gate = MemoryStore(), threading.Event()
    first, _, _ = _switch(on_kill=lambda _: gate.wait(), journal=store)
    await _kill(first)
    await asyncio.sleep(0)
    # the process dies here
    told: list[str] = []
    second, _, _ = _switch(on_kill=told.append, journal=store)
    second.load()
    assert second.killed == {"a"}
    second.resume()
    await second.settle()
    assert told == ["a"]
    third, _, _ = _switch(on_kill=told.append, journal=store)
    third.load()
    third.resume()
    await third.settle()
    assert told == ["a"]
    gate.set()
    await first.close()


@pytest.mark.parametrize("blob", [b"not json", b'{"a": 1}', b'[{"feature": "a", "what": 1}]', b"[1]"])
async def test_a_damaged_record_is_refused(blob: bytes) -> None:
    store = MemoryStore()
    store.states[KEY] = blob
    switch, _, _ = _switch(journal=store)
    with pytest.raises(MonitorError, match="could come up alive|damaged"):
        switch.load()


async def test_a_flipped_bit_in_the_journal_is_refused_too(tmp_path: Path) -> None:
    import sqlite3

    with Journal(tmp_path / "journal.sqlite") as journal:
        switch, _, _ = _switch(journal=journal)
        await _kill(switch)
    with sqlite3.connect(tmp_path / "journal.sqlite") as raw:
        raw.execute("UPDATE states SET value = X'5B5D' WHERE key = ?", (KEY,))
    raw.close()
    with Journal(tmp_path / "journal.sqlite") as journal:
        switch, _, _ = _switch(journal=journal)
        with pytest.raises(MonitorError, match="damaged"):
            switch.load()


async def test_only_an_operator_lets_a_killed_feature_live_again() -> None:
    store = MemoryStore()
    switch, _, _ = _switch(journal=store)
    await _kill(switch)
    with pytest.raises(MonitorError, match="only the operator|may not"):
        await switch.rearm("a", actor="detector")
    assert await switch.rearm("a", actor="operator:kim")
    assert not await switch.rearm("a", actor="operator")
    assert json.loads(store.states[KEY]) == []


async def test_a_kill_reaches_the_pipeline_with_its_record(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    with Journal(kb.journal_path) as journal:
        promoter = FeaturePromoter(kb, journal)
        promoter.save_candidate(FeatureRecord("carry", "close", FeatureState.CANDIDATE))
        promoter.promote("carry", "a test", force=True)
        told: list[str] = []
        monitor = OnlineMonitor(["carry"], journal=journal, promoter=promoter, on_kill=told.append, clock=clock_at(99))
        await monitor.process_update(bar_time(0), {"carry": 1.0}, 0.001)
        assert await monitor.kill("carry", reason="flipped")
        assert not await monitor.kill("carry", reason="flipped again")
        await monitor.kills.settle()
        record = promoter.feature_status("carry")
        assert (record.state, record.killed, record.reason) == (FeatureState.ARCHIVED, True, "flipped")
        assert [a.action for a in journal.actions()] == ["save", "promote", "kill"]
        assert monitor.metrics("carry").status == "killed"
        assert told == ["carry"]
        with pytest.raises(MonitorError, match="not monitored"):
            await monitor.kill("nobody", reason="x")
        await monitor.close()
        again = OnlineMonitor(["carry"], journal=journal, promoter=promoter, on_kill=told.append, clock=clock_at(99))
        await again.start()
        assert again.metrics("carry").status == "killed"
        assert told == ["carry"]
        assert await again.rearm("carry")
        assert again.metrics("carry").status != "killed"
        await again.close()
