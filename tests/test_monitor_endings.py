"""What was begun is ended in words: every diagnosis that starts finishes, whatever becomes of the feed or the model."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.bus import EventBus
from midas_engine.events import DiagnosisFinished, DiagnosisStarted, FaultReported
from midas_engine.monitor import DiagnoseAgent, DiagnosisLimits, OnlineMonitor
from midas_engine.monitor.days import DAYS_KEPT, DayLedger
from midas_engine.proposer.protocol import DiagnosisDraft
from tests.helpers_diagnosis import ScriptedResearcher
from tests.helpers_monitor import MemoryBase, bar_time, clock_at, linked

if TYPE_CHECKING:
    from collections.abc import Iterator

DRAFT = DiagnosisDraft("It no longer predicts [F22].")
DAY = 24


@pytest.fixture
def unheard() -> Iterator[list[str]]:
    """What asyncio says of tasks that nobody listened to."""
    said: list[str] = []
    yield said
    assert said == []


def _listen(said: list[str]) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(str(context["message"])))


def _watched(answer: Any, kb: Any = None) -> tuple[OnlineMonitor, DiagnoseAgent, Any]:
    clock, bus = clock_at(100_000), EventBus()
    seen = bus.subscribe("test", DiagnosisStarted, DiagnosisFinished)
    limits = DiagnosisLimits(per_day=100)
    agent = DiagnoseAgent(bus=bus, clock=clock, researcher=ScriptedResearcher(answer), kb=kb, limits=limits)
    monitor = OnlineMonitor(["a"], references={"a": 0.3}, bus=bus, clock=clock, diagnostics=agent)
    return monitor, agent, seen


async def _feed(monitor: OnlineMonitor, bars: int) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=bars)
    returns = linked(rng, values, np.where(np.arange(bars) < 250, 0.3, -0.3))
    for t in range(bars):
        await monitor.process_update(bar_time(t), {"a": values[t]}, returns[t])


def _ends(seen: Any) -> tuple[list[Any], list[Any]]:
    events = seen.take()
    started = [e.alert_id for e in events if isinstance(e, DiagnosisStarted)]
    return started, [e for e in events if isinstance(e, DiagnosisFinished)]


@pytest.mark.parametrize("days", [2, DAYS_KEPT - 1, DAYS_KEPT + 5, 3 * DAYS_KEPT])
async def test_a_model_that_answers_long_after_its_day_is_heard(days: int, unheard: list[str]) -> None:
    _listen(unheard)
    gate = asyncio.Event()

    async def answer() -> DiagnosisDraft:
        await gate.wait()
        return DRAFT

    monitor, agent, seen = _watched(answer)
    await _feed(monitor, 420)
    last = monitor.fleet.last_bar
    for t in range(420, 420 + days * DAY):  # the feed runs on: a back-fill, a fast replay
        await monitor.process_update(bar_time(t), {"a": 0.0}, 0.0)
    gate.set()
    await agent.settle()
    started, finished = _ends(seen)
    assert started
    assert sorted(started) == sorted(e.alert_id for e in finished)
    assert all(e.result is not None and not e.error for e in finished)
    assert len(monitor.fleet.days.days) <= DAYS_KEPT
    kept = bool(monitor.fleet.days.of(last.date()).bars)
    assert kept == (days < DAYS_KEPT)
    await monitor.close()
    gc.collect()


async def _cancelled() -> DiagnosisDraft:
    raise asyncio.CancelledError


@pytest.mark.parametrize("answer", [RuntimeError("boom"), _cancelled, asyncio.Event().wait, KeyError("2012-01-10")])
async def test_a_diagnosis_that_fails_or_is_closed_in_mid_flight_ends_in_words(answer: Any, unheard: list[str]) -> None:
    _listen(unheard)
    monitor, agent, seen = _watched(answer)
    await _feed(monitor, 420)
    await asyncio.sleep(0.05)
    await monitor.close()
    started, finished = _ends(seen)
    assert started
    assert sorted(started) == sorted(e.alert_id for e in finished)
    assert all((e.result is None) == bool(e.error) for e in finished)
    assert agent.running == ()
    gc.collect()


async def test_a_ledger_that_fails_ends_the_diagnosis_in_words(unheard: list[str]) -> None:
    _listen(unheard)
    monitor, agent, seen = _watched(DRAFT)
    monitor.fleet.days.diagnosed = lambda *_: (_ for _ in ()).throw(KeyError("2012-01-10"))  # type: ignore[method-assign]
    await _feed(monitor, 420)
    await agent.settle()
    started, finished = _ends(seen)
    assert len(started) == len(finished) > 0
    assert {e.error for e in finished} == {"KeyError: '2012-01-10'"}
    await monitor.close()
    gc.collect()


async def test_a_listener_that_fails_is_named_and_no_task_is_left_unheard(unheard: list[str]) -> None:
    _listen(unheard)
    monitor, agent, seen = _watched(DRAFT)
    faults = monitor.bus.subscribe("faults", FaultReported)

    def tap(event: Any) -> None:
        if isinstance(event, DiagnosisFinished):
            raise ValueError("disk")

    monitor.bus.tap(tap)
    await _feed(monitor, 420)
    await agent.settle()
    (told,) = [e.message for e in faults.take() if "failed on DiagnosisFinished: ValueError: disk" in e.message]
    assert "tap" in told  # named, once, and whoever published goes on
    await monitor.close()
    gc.collect()


async def test_a_report_that_fails_is_told(unheard: list[str]) -> None:
    _listen(unheard)
    base = MemoryBase()
    base.save_text = lambda *_: (_ for _ in ()).throw(RuntimeError("no room"))  # type: ignore[method-assign]
    monitor = OnlineMonitor(["a"], kb=base, daily_reports=True, clock=clock_at(100_000))
    faults = monitor.bus.subscribe("test", FaultReported)
    for t in range(60):
        await monitor.process_update(bar_time(t), {"a": float(t)}, 0.0)
    await monitor.close()
    assert len([e for e in faults.take() if "could not be written" in e.message]) == 2
    gc.collect()


def test_a_day_that_is_kept_no_more_is_thrown_away_and_costs_the_others_nothing() -> None:
    ledger = DayLedger(["a"])
    for day in range(DAYS_KEPT + 20):
        for hour in range(3):
            ledger.bar(bar_time(day * DAY + hour), "LOW", np.array([1.0]), np.array([0.5]), 0)
        ledger.diagnosed(bar_time(0), "a", "cost", "")  # of the first day, again and again
    today = ledger.of(bar_time((DAYS_KEPT + 19) * DAY).date())
    assert (today.bars, today.gross_bps, today.net_bps) == (3, 3.0, 1.5)
    assert len(ledger.days) == DAYS_KEPT
    assert {ledger.of(bar_time(d * DAY).date()).gross_bps for d in range(20, DAYS_KEPT + 20)} == {3.0}
    assert ledger.of(bar_time(0).date()).bars == 0
