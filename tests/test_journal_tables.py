"""The journal's contents: what goes in comes back, once, in order."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock
from midas_engine.errors import JournalError
from midas_engine.events import AlertRaised, BarProcessed, FeatureMoved, FeatureTicked, SessionStarted, TokensStreamed
from midas_engine.journal import AsyncJournal, EventRecorder, Journal
from midas_engine.journal.schema import pack, stamp
from midas_engine.models import Alert, FeatureMetrics, ModelUsage, SessionSummary, Severity

AT = datetime(2026, 1, 2, 3, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite", clock=ManualClock(AT))


def _moved(feature: str = "carry", minute: int = 0) -> FeatureMoved:
    return FeatureMoved(
        at=AT + timedelta(minutes=minute), feature=feature, action="promote", before="candidate", after="deployed"
    )


def _alert(**changes: object) -> Alert:
    values: dict[str, object] = {
        "id": "a1",
        "feature": "carry",
        "alert_type": "ic_decay",
        "severity": Severity.WARNING,
        "message": "low",
        "raised_at": AT,
        "last_seen_at": AT,
    }
    return Alert(**(values | changes))  # type: ignore[arg-type]


def test_actions_come_back_in_order_and_twice_is_once(journal: Journal) -> None:
    assert journal.append_action("promote", "carry", id="one", actor="operator", reason="good", body={"n": 1})
    assert not journal.append_action("promote", "carry", id="one")
    assert journal.append_action("pause", "other", at=AT + timedelta(hours=1))
    actions = journal.actions()
    assert [(a.action, a.feature, a.actor, a.reason) for a in actions] == [
        ("promote", "carry", "operator", "good"),
        ("pause", "other", "", ""),
    ]
    assert actions[0].body == {"n": 1}
    assert actions[0].at == AT
    assert [a.action for a in journal.actions(feature="other")] == ["pause"]
    assert [a.action for a in journal.actions(limit=1)] == ["pause"]
    assert [a.action for a in journal.actions(limit=5)] == ["promote", "pause"]


def test_events_come_back_as_they_were(journal: Journal) -> None:
    events = [
        _moved(),
        SessionStarted(at=AT, session_id="s1", goal="carry", researcher="local"),
        AlertRaised(at=AT, alert=_alert(value=math.nan)),
    ]
    journal.record_events(events[:2])
    journal.record_event(events[2])
    found = journal.events()
    assert found[:2] == events[:2]
    assert isinstance(found[2], AlertRaised)
    assert math.isnan(found[2].alert.value)
    assert journal.events(FeatureMoved) == [events[0]]
    assert journal.events(subject="s1") == [events[1]]
    assert journal.events(subject="carry", limit=1) == [found[2]] or len(journal.events(subject="carry", limit=1)) == 1
    assert journal.events(since=AT + timedelta(seconds=1)) == []
    assert journal.events(until=AT) == []


def test_events_that_this_version_does_not_know_are_left_out(journal: Journal) -> None:
    journal.record_event(_moved())
    journal.tables.append("events", [("", AT, "x", "Invented", {"type": "Invented", "version": 1})])
    journal.tables.append("events", [("", AT, "x", "FeatureMoved", {"type": "FeatureMoved", "version": 99})])
    assert journal.events() == [_moved()]


def test_a_session_has_its_newest_form(journal: Journal) -> None:
    journal.record_session(SessionSummary("s1", "goal", "local", AT))
    journal.record_session(SessionSummary("s1", "goal", "local", AT, status="success", tried=9))
    assert [(r.key, r.kind, r.body["tried"]) for r in journal.sessions()] == [("s1", "success", 9)]


def test_the_days_spend_is_added_up(journal: Journal) -> None:
    for hour, cost in ((0, 0.5), (5, 0.25), (30, 1.0)):
        journal.record_model_call(
            ModelUsage("openai", "m", 10, 5, cost, 1.0), session_id="s1", at=AT + timedelta(hours=hour)
        )
    assert journal.model_spend(since=AT, until=AT + timedelta(days=1)) == (2, 0.75)
    assert journal.model_spend(since=AT + timedelta(days=9)) == (0, 0.0)


def test_the_forward_record_of_a_shadow_feature_grows_once_a_bar(journal: Journal) -> None:
    for hour in (0, 1, 1):
        journal.record_shadow("carry@2", AT + timedelta(hours=hour), {"score": hour})
    assert [row.body["score"] for row in journal.shadow_record("carry@2")] == [0, 1]
    assert journal.shadow_record("carry") == []


def test_states_are_replaced_together(journal: Journal) -> None:
    assert journal.get_state("engine") is None
    journal.put_states({"engine": b"\x00\xff", "detector": b""})
    journal.put_state("engine", b"new", durable=True)
    assert journal.get_state("engine") == b"new"
    assert journal.get_state("detector") == b""
    assert journal.state_keys() == ["detector", "engine"]
    assert journal.state_keys("eng") == ["engine"]


def test_a_failed_transaction_leaves_nothing(journal: Journal) -> None:
    with pytest.raises(JournalError, match="more than"):
        journal.put_states({"a": b"x", "b": bytes(200_000_001)})
    with pytest.raises(TypeError):
        journal.tables.append("events", [("", AT, "a", "k", {}), ("", AT, "b", "k", {"x": object()})])
    assert journal.state_keys() == []
    assert journal.tables.count("events") == 0
    with pytest.raises(ValueError, match="timezone"):
        journal.record_shadow("carry", datetime(2026, 1, 1), {})


def test_retention_removes_what_is_old_and_never_an_action(journal: Journal) -> None:
    old = AT - timedelta(days=100)
    journal.append_action("promote", "carry", at=old)
    journal.record_events([_moved(), FeatureMoved(at=old, feature="x", action="a", before="", after="")])
    journal.record_shadow("carry", old, {})
    assert journal.prune(30) == {"events": 1, "model_calls": 0, "shadow": 1}
    assert len(journal.actions()) == 1
    assert len(journal.events()) == 1
    with pytest.raises(JournalError, match="kept for good"):
        journal.prune({"actions": 1})


def test_unknown_tables_and_closed_journals_are_named(journal: Journal) -> None:
    with pytest.raises(JournalError, match="no table"):
        journal.tables.rows("events; DROP TABLE actions")
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.actions()


def test_read_only_reads_and_refuses(tmp_path: Path) -> None:
    empty = Journal(tmp_path / "none.sqlite", read_only=True)
    assert empty.actions() == []
    assert not (tmp_path / "none.sqlite").exists()
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.append_action("promote", "carry")
        reader = Journal(journal.path, read_only=True)
        assert len(reader.actions()) == 1
        with pytest.raises(JournalError, match="read-only"):
            reader.append_action("demote", "carry")
        reader.close()
    empty.close()


@given(
    st.dictionaries(
        st.text(max_size=5), st.floats() | st.text(max_size=9) | st.lists(st.floats(), max_size=3), max_size=5
    )
)
def test_packed_json_is_strict(body: dict[str, object]) -> None:
    text = pack(body)
    assert "NaN" not in text.replace('"', "") or "NaN" in str(body)
    assert pack(body) == text


def test_text_order_is_time_order() -> None:
    times = [AT, AT + timedelta(microseconds=1), AT + timedelta(seconds=1), datetime(2030, 1, 1, tzinfo=UTC)]
    assert sorted(map(stamp, times)) == list(map(stamp, times))


async def test_the_recorder_writes_what_the_bus_carries_without_blocking_it(journal: Journal) -> None:
    bus = EventBus()
    recorder = EventRecorder(journal, flush_seconds=0.01)
    untap = bus.tap(recorder.take)
    task = asyncio.create_task(recorder.run())
    for minute in range(50):
        bus.publish(_moved(minute=minute))
    bus.publish(TokensStreamed(at=AT, session_id="s", iteration=1, phase="plan", text="tok"))
    bus.publish(FeatureTicked(at=AT, metrics=FeatureMetrics(feature="carry", at=AT)))
    bus.publish(BarProcessed(at=AT, bar_at=AT, regime="", features=1))
    await recorder.close()
    await task
    untap()
    assert recorder.written == 51
    assert [e.at.minute for e in journal.events(FeatureMoved)] == list(range(50))
    assert len(journal.events(BarProcessed)) == 1


async def test_events_wait_while_the_journal_fails(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[str] = []
    recorder = EventRecorder(journal, on_fault=faults.append)
    original = journal.record_events
    failing = True

    def record(events: list[FeatureMoved]) -> None:
        if failing:
            raise JournalError("disk full")
        original(events)

    monkeypatch.setattr(journal, "record_events", record)
    for minute in range(3):
        recorder.take(_moved(minute=minute))
    await recorder.flush()
    await recorder.flush()
    assert faults == ["disk full"]
    failing = False
    recorder.take(_moved(minute=3))
    await recorder.flush()
    assert [e.at.minute for e in journal.events()] == [0, 1, 2, 3]
    assert recorder.dropped == 0


async def test_calls_from_the_loop_keep_their_order(journal: Journal) -> None:
    calls = AsyncJournal(journal)
    await asyncio.gather(*(calls.call(journal.append_action, "promote", f"f{n}") for n in range(20)))
    assert [a.feature for a in journal.actions()] == [f"f{n}" for n in range(20)]


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["append", "reopen", "repeat"]), max_size=12))
def test_the_chain_holds_whatever_the_order_of_writes(steps: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite"
        journal = Journal(path)
        written = 0
        for step in steps:
            if step == "append":
                written += journal.append_action("promote", "carry", id=f"id{written}")
            elif step == "repeat" and written:
                assert not journal.append_action("promote", "carry", id=f"id{written - 1}")
            else:
                journal.close()
                journal = Journal(path)
        assert len(journal.actions()) == written
        assert journal.verify() == []
        journal.close()


def test_actions_are_synced_and_the_file_is_private(journal: Journal) -> None:
    assert journal.path.stat().st_mode & 0o777 == 0o600
    connection = sqlite3.connect(journal.path)
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.close()
