"""Somebody is told: one message for what has one cause, nothing secret in it, tried again, on record; and the brief."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock
from midas_engine.errors import MonitorError, SettingsError
from midas_engine.events import AlertRaised, AlertUpdated, FaultReported, FeatureMoved
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.models import Alert, FeatureRecord, FeatureState, Severity
from midas_engine.monitor.daily.brief import brief_since, read_since
from midas_engine.outbound import Source, outputs_of
from midas_engine.outbound.order import Order
from midas_engine.outbound.outbox import FOLDER, Outbox
from midas_engine.outbound.told import GATHER_SECONDS, Gathering, Word, read_hours
from midas_engine.outbound.told_output import MOST_TRIES, ToldOutput
from midas_engine.outbound_settings import OutboundSettings
from midas_engine.promoter import FeaturePromoter
from tests.helpers_cli import call_midas
from tests.helpers_outbound import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Phone:
    """A notifier that apprise reaches over json://; it may be down."""

    def __init__(self) -> None:
        self.messages: list[dict[str, str]] = []
        self.down = False
        self.server = LoopbackServer(self._answer)
        self.address = f"json://127.0.0.1:{self.server.port}/told"

    def _answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        if self.down:
            return 500, b""
        self.messages.append(json.loads(body))
        return 200, b"{}"

    @property
    def texts(self) -> list[str]:
        return [m["message"] for m in self.messages]


@pytest.fixture
def phone() -> Iterator[Phone]:
    made = Phone()
    yield made
    made.server.close()


class Desk:
    """The output on a clock that is moved."""

    def __init__(self, folder: Path, phone: Phone, **settings: Any) -> None:
        self.clock = ManualClock(settings.pop("at", NOON))
        self.source = Source(KnowledgeBase(folder / "kb"), EventBus(), self.clock)
        told = {**settings.pop("before", {}), "phone": phone.address}
        outputs = outputs_of(OutboundSettings(told=told, **settings), self.source)
        (output,) = outputs.outputs
        assert isinstance(output, ToldOutput)
        self.output = output
        self.faults = self.source.bus.subscribe("test", FaultReported)

    async def __aenter__(self) -> Desk:
        await self.output.start()
        self.output._tasks[0].cancel()  # looked at by hand
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.output.close()

    def raised(self, feature: str, severity: Severity = Severity.WARNING, incident: str = "i-1") -> None:
        at = self.clock.now()
        alert = Alert(f"a-{feature}", feature, "ic_decay", severity, "its IC fell", at, at, incident=incident)
        self.source.bus.publish(AlertRaised(at=at, alert=alert))

    async def later(self, seconds: float = GATHER_SECONDS) -> None:
        self.clock.advance(seconds)
        await self.look()

    async def look(self) -> None:
        await self.output.look()
        await self.output.rest()


async def test_one_incident_is_one_message_until_it_is_louder(tmp_path: Path, phone: Phone) -> None:
    async with Desk(tmp_path, phone) as desk:
        for name in ("carry", "trend", "basis"):
            desk.raised(name)
        await desk.look()
        assert phone.messages == []  # what comes close together is waited for
        await desk.later()
        assert phone.texts == ["warning: carry: its IC fell (and 2 more with the same cause)"]
        desk.raised("value")
        await desk.later()
        assert len(phone.messages) == 1
        desk.raised("value", Severity.CRITICAL)
        await desk.later()
        assert phone.texts[1:] == ["critical: value: its IC fell"]
        at = desk.clock.now()
        for feature in ("carry", "trend"):
            desk.source.bus.publish(
                FeatureMoved(at=at, feature=feature, action="kill", before="deployed", after="archived", reason="dead")
            )
        await desk.later()
    assert phone.messages[-1]["title"] == "Midas: 2 critical thing(s)"
    assert len(phone.messages) == 3


async def test_quiet_hours_hold_all_but_what_is_critical(tmp_path: Path, phone: Phone) -> None:
    async with Desk(tmp_path, phone, quiet_hours="22:00-07:00", at=NOON.replace(hour=23)) as desk:
        desk.raised("carry", incident="i-1")
        desk.raised("trend", Severity.CRITICAL, incident="i-2")
        await desk.later()
        assert phone.texts == ["critical: trend: its IC fell"]
        await desk.later(7 * 3600)
        assert len(phone.messages) == 1
        await desk.later(3600)
    assert phone.texts[1:] == ["warning: carry: its IC fell"]


async def test_what_is_below_the_least_severity_is_not_told(tmp_path: Path, phone: Phone) -> None:
    async with Desk(tmp_path, phone, told_from="critical") as desk:
        desk.raised("carry")
        desk.source.bus.publish(AlertUpdated(at=NOON, alert=Alert("x", "f", "r", Severity.INFO, "m", NOON, NOON)))
        await desk.later()
    assert phone.messages == []


async def test_nothing_secret_is_in_a_message(tmp_path: Path, phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENUE_SECRET", "0f1e2d3c4b5a69780f1e")
    async with Desk(tmp_path, phone) as desk:
        words = "refused with key 0f1e2d3c4b5a69780f1e"
        desk.source.bus.publish(FaultReported(at=NOON, where="feed", message=words, severity="critical"))
        desk.output._gathering.take(Word("other", "critical", words), NOON)  # past the bus, too
        await desk.later()
    assert len(phone.messages) == 1
    assert "0f1e2d3c" not in json.dumps(phone.messages)
    assert b"0f1e2d3c" not in (tmp_path / "kb" / "outbound" / "told.messages").read_bytes()


async def test_a_notifier_that_is_down_is_tried_again_over_a_restart_and_given_up_in_the_end(
    tmp_path: Path, phone: Phone
) -> None:
    phone.down = True
    async with Desk(tmp_path, phone) as desk:
        desk.raised("carry")
        await desk.later()
        assert desk.output.status() == {"waiting": 1, "sent": 0, "given_up": 0}
        desk.raised("trend", incident="i-2")  # gathered, not due: on record all the same
    phone.down = False
    async with Desk(tmp_path, phone) as desk:
        await desk.look()
        assert sorted(phone.texts) == ["warning: carry: its IC fell", "warning: trend: its IC fell"]
    phone.down = True
    async with Desk(tmp_path, phone) as desk:
        desk.raised("carry", incident="i-3")
        for _ in range(MOST_TRIES):
            await desk.later(700)
        assert desk.output.status() == {"waiting": 0, "sent": 0, "given_up": 1}
        said = [e.message for e in desk.faults.take() if isinstance(e, FaultReported)]
    assert ["tried again" in said[0], "given up" in said[1]] == [True, True]
    assert len(said) == 2


async def test_the_brief_comes_once_a_morning(tmp_path: Path, phone: Phone) -> None:
    for at, messages in ((NOON.replace(hour=6), 0), (NOON.replace(hour=8), 1), (NOON.replace(hour=9), 1)):
        async with Desk(tmp_path, phone, brief_at="07:00", at=at) as desk:
            desk.source.kb.kill_file.latch("carry", reason="dead", actor="operator", at=NOON - timedelta(hours=10))
            await desk.look()
        assert len(phone.messages) == messages
    assert "1 kill(s): carry" in phone.texts[0]


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"told": {"phone": "no-such-service://x"}}, "apprise knows"),
        ({"told": {"phone": "json://${NOT_SET_ANYWHERE}"}}, "NOT_SET_ANYWHERE"),
        ({"told": {"phone": "json://127.0.0.1"}, "quiet_hours": "late"}, "no time of day"),
        ({"told": {"phone": "json://127.0.0.1"}, "brief_at": "25:00"}, "no time of day"),
    ],
)
def test_what_cannot_be_used_is_refused_at_the_start(tmp_path: Path, settings: Any, wanted: str) -> None:
    source = Source(KnowledgeBase(tmp_path / "kb"), EventBus(), ManualClock(NOON))
    with pytest.raises(SettingsError, match=wanted):
        outputs_of(OutboundSettings(**settings), source)


def test_many_words_are_bounded() -> None:
    gathering = Gathering(quiet=read_hours(""))
    for number in range(500):
        gathering.take(Word("one cause", "warning", f"word {number}"), NOON)
    message = gathering.due(NOON + timedelta(seconds=GATHER_SECONDS))
    assert message is not None
    assert len(message.text) < 500
    assert "480 more" in message.text


def test_the_brief_says_what_changed_each_with_its_figures(tmp_path: Path, capsys: Any) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    promoter = FeaturePromoter(kb)
    for name in ("carry", "trend"):
        promoter.save_candidate(FeatureRecord(name, f"ts_mean(close, {len(name)})", FeatureState.CANDIDATE))
        promoter.promote(name, "test", force=True)
    promoter.pause("trend", "for a while")
    promoter.kill("carry", "it fell")
    promoter.close()
    now = kb.clock.now()
    with Journal(kb.journal_path) as journal:
        journal.record_event(FaultReported(at=now, where="feed", message="it is down", severity="warning"))
        found = brief_since(kb, journal, now - timedelta(hours=1), kb.clock.now())
    texts = [s.text for s in found.sentences]
    assert texts[0].startswith("1 kill(s): carry; the first because: it fell")
    assert texts[0].endswith("1 of them: nobody outside has taken it, neither a far side nor a callback.")
    assert "2 promoted: carry, trend." in texts
    assert "1 paused: trend." in texts
    assert any("1 of feed" in text for text in texts)
    assert all(s.figures for s in found.sentences)
    shown = call_midas(capsys, "report", "--since", "1h", "--kb", str(tmp_path / "kb"))
    assert "1 kill(s): carry" in shown.out
    shown = call_midas(capsys, "report", "--since", "1h", "--date", "2026-01-01", "--kb", str(tmp_path / "kb"))
    assert (shown.code, "exclude each other" in shown.err) == (2, True)
    with Journal(kb.journal_path) as journal:
        later = kb.clock.now() + timedelta(seconds=1)
        assert brief_since(kb, journal, later, later).text.endswith("nothing changed that is on record.")


@pytest.mark.parametrize(
    ("state", "words", "needs"),
    [
        ("pending", "1 of them: not acknowledged by bot (pending).", "1 needs you"),
        ("delivered", "1 of them: not acknowledged by bot (delivered).", "1 needs you"),
        ("acknowledged", "1 of them: acknowledged by bot.", "nothing needs you"),
    ],
)
def test_the_brief_says_whether_a_kill_was_acknowledged(
    tmp_path: Path, capsys: Any, state: str, words: str, needs: str
) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    promoter = FeaturePromoter(kb)
    promoter.save_candidate(FeatureRecord("carry", "close", FeatureState.CANDIDATE))
    promoter.promote("carry", "test", force=True)
    promoter.kill("carry", "it fell")
    promoter.close()
    (kill,) = kb.kill_file.read().kills.values()
    box = Outbox(kb.path / FOLDER / "bot.log")
    box.post(Order(kill.id, 1, "kill", "carry", at=kill.at), kill.at)
    if state != "pending":
        box.settle(kill.id, state, kill.at)
    shown = call_midas(capsys, "report", "--since", "1h", "--kb", str(kb.path)).out
    assert words in shown
    assert f"{needs}." in shown


def test_a_time_is_read_or_refused() -> None:
    assert read_since("2026-01-01", NOON) == NOON - timedelta(hours=36)
    for text in ("yesterday", "2027-01-01", "48b", ""):
        with pytest.raises(MonitorError):
            read_since(text, NOON)
