"""The alarm of the feed's silence over SIGKILLs: raised once and resolved once, wherever the process died."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from midas_engine.clock import ManualClock
from midas_engine.events import AlertRaised, AlertResolved
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.monitor.alerts.engine import AlertEngine
from midas_engine.monitor.daily.brief import brief_since
from midas_engine.runtime.feed_watchdog import FeedWatchdog
from midas_engine.runtime.live_state import StateOf
from midas_engine.runtime.outage_teller import OutageTeller
from midas_engine.service.alarms import AlarmsFile
from tests.helpers_service import make_desk, read_until, start_run

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.events import Event
    from midas_engine.models import Alert

NEWEST = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEPS = ("kept", "published", "recorded", "told")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _watched(
    folder: Path, now: datetime, newest: datetime, dies_at: str = "", state: AlertEngine | None = None
) -> None:
    """One run of a watchdog on the folder's journal and alarms file; it may die at a step."""

    class Dying(StateOf):
        def put_state(self, key: str, blob: bytes, *, durable: bool = False) -> None:
            super().put_state(key, blob, durable=durable)
            if dies_at == ("told" if json.loads(blob)["told"] else "kept"):
                _die()

    class DyingJournal(Journal):
        def record_events(self, events: object) -> None:
            super().record_events(events)  # type: ignore[arg-type]
            if dies_at == "recorded":
                _die()

    async def run() -> None:
        faults: list[str] = []
        alarms = AlarmsFile(folder / "alarms.jsonl", lambda *told: faults.extend(told))
        with DyingJournal(folder / "journal.sqlite") as journal:

            def publish(event: Event) -> None:
                alarms.take(event)
                if dies_at == "published":
                    _die()

            store = Dying(journal, "venue", ("A", "B"))
            teller = OutageTeller(store, journal, publish=publish, fault=lambda *told: faults.extend(told))
            told: list[Alert] = []
            alerts = AlertEngine() if state is None else state
            dog = FeedWatchdog(ManualClock(now), 3600, 30.0, alerts=alerts, tell=told.append)
            dog.begin(newest, teller.kept())
            dog.check()
            for alert in told:
                await teller.tell(alert)
        alarms.close()
        assert not faults

    asyncio.run(run())


def _killed(folder: Path, now: datetime, newest: datetime, dies_at: str) -> None:
    child = os.fork()
    if child:
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        return
    try:
        _watched(folder, now, newest, dies_at)
    finally:
        os._exit(1)  # it should have died


def _lines(path: Path) -> list[tuple[str, str]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [(row["what"], row["id"]) for row in rows if row["feature"] == "*"]


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_of_the_telling_leaves_one_alarm_and_one_end(tmp_path: Path, step: str) -> None:
    silent = NEWEST + timedelta(hours=5)
    _killed(tmp_path, silent, NEWEST, step)
    if step in ("kept", "published"):  # the second run does it again, and dies again
        _killed(tmp_path, silent + timedelta(hours=1), NEWEST, step)
    _watched(tmp_path, silent + timedelta(hours=2), NEWEST)
    back = silent + timedelta(hours=3)
    _killed(tmp_path, back, back - timedelta(hours=1), step)
    _watched(tmp_path, back + timedelta(minutes=5), back - timedelta(hours=1))
    lines = _lines(tmp_path / "alarms.jsonl")
    assert [what for what, _ in lines] == ["raised", "resolved"]
    assert len({name for _, name in lines}) == 1
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert [type(e) for e in journal.events(AlertRaised, AlertResolved)] == [AlertRaised, AlertResolved]
    _watched(tmp_path, back + timedelta(hours=9), back)  # another silence is another alarm
    assert [what for what, _ in _lines(tmp_path / "alarms.jsonl")] == ["raised", "resolved", "raised"]


def test_the_state_of_the_last_bar_knows_less_than_what_was_told(tmp_path: Path) -> None:
    silent, old = NEWEST + timedelta(hours=5), AlertEngine()
    _watched(tmp_path, silent, NEWEST, state=old)
    before = AlertEngine()
    before.restore(old.state())  # a snapshot from within the silence, which an operator's answer made
    (key,) = before.episodes
    before.acknowledge(before.episodes[key].alert.id, silent)
    answered = AlertEngine()
    answered.restore(before.state())
    _watched(tmp_path, silent + timedelta(hours=1), NEWEST, state=answered)
    assert answered.episodes[key].alert.acknowledged_by == "operator"
    back = silent + timedelta(hours=2)
    _watched(tmp_path, back, back - timedelta(hours=1))
    _watched(tmp_path, back + timedelta(hours=9), back, state=before)  # killed before another snapshot
    assert [what for what, _ in _lines(tmp_path / "alarms.jsonl")] == ["raised", "resolved", "raised"]


def test_the_brief_says_how_often_and_how_long_no_bar_came(tmp_path: Path) -> None:
    silent = NEWEST + timedelta(hours=5)
    _watched(tmp_path, silent, NEWEST)
    back = silent + timedelta(hours=2)
    kb, since = KnowledgeBase(tmp_path / "kb"), NEWEST - timedelta(days=1)
    with Journal(tmp_path / "journal.sqlite") as journal:
        (said,) = brief_since(kb, journal, since, back).sentences
    assert "two intervals and more, 6.0 h at the longest; none has come since 2026-03-01 17:00 UTC." in said.text
    _watched(tmp_path, back, back - timedelta(hours=1))
    _watched(tmp_path, back + timedelta(hours=9), back)
    _watched(tmp_path, back + timedelta(hours=10), back + timedelta(hours=9))
    with Journal(tmp_path / "journal.sqlite") as journal:
        (said,) = brief_since(kb, journal, since, back + timedelta(hours=11)).sentences
    assert said.text == "2 time(s) no bar came for two intervals and more, 9.0 h at the longest."
    assert (said.severity, said.figures["running"]) == ("warning", 0)


def test_a_service_that_is_killed_in_a_silence_raises_it_once(tmp_path: Path) -> None:
    desk = make_desk(tmp_path / "desk", bars=60, silent_hours=6)
    for number in (signal.SIGKILL, signal.SIGTERM):
        with start_run(desk) as run:
            assert "no bar for " in read_until(run, " degraded ")
            run.send_signal(number)
    lines = _lines(desk / "kb" / "service" / "alarms.jsonl")
    assert [what for what, _ in lines] == ["raised"]
    with Journal(desk / "kb" / "journal.sqlite", read_only=True) as journal:
        assert [e.alert.rule for e in journal.events(AlertRaised)] == ["feed"]  # type: ignore[attr-defined]
