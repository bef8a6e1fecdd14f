"""Messages under faults: a notifier that hangs, a process that is killed, a clock that is set."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.clock import ManualClock
from midas_engine.models import Severity
from tests.helpers_outbound import LoopbackServer
from tests.test_outbound_told import NOON, Desk, Phone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def phone() -> Iterator[Phone]:
    made = Phone()
    yield made
    made.server.close()


class Stuck:
    """A notifier's server that takes a message and does not answer before it is told to."""

    def __init__(self) -> None:
        self.taken, self.go = 0, threading.Event()
        self.server = LoopbackServer(self._answer)
        self.address = f"json://127.0.0.1:{self.server.port}/stuck?rto=60"

    def _answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        self.taken += 1
        self.go.wait(20)
        return 200, b"{}"


async def test_a_notifier_that_hangs_holds_up_nobody_and_gets_each_message_once(tmp_path: Path, phone: Phone) -> None:
    stuck = Stuck()
    try:
        async with Desk(tmp_path, phone, before={"stuck": stuck.address}) as desk:
            for notifier in desk.output._notifiers:
                notifier.seconds = 0.3 if notifier.name == "stuck" else 10.0
            desk.raised("carry", incident="i-1")
            await desk.later()
            assert phone.texts == ["warning: carry: its IC fell"]
            assert [e.message for e in desk.faults.take()] == ["stuck hangs"]  # type: ignore[attr-defined]
            desk.raised("trend", incident="i-2")
            await desk.later()
            await desk.later(60)
            assert len(phone.messages) == 2
            assert desk.output.status() == {"waiting": 2, "sent": 2, "given_up": 0}
            assert stuck.taken == 1, "a call that hangs is the only one"
            stuck.go.set()
            desk.output._notifiers[0].seconds = 10.0
            await desk.later(3600)
            assert desk.output.status()["waiting"] == 0
            assert stuck.taken == 2, "what went through after its try was given up is not sent again"
    finally:
        stuck.go.set()
        stuck.server.close()


def _heard_and_killed(folder: Path, phone: Phone) -> None:
    """A process that hears two words, one of them for after the quiet hours, and dies."""

    async def heard() -> None:
        desk = Desk(folder, phone, quiet_hours="11:00-13:00")
        await desk.output.start()
        desk.raised("carry", incident="i-1")
        desk.raised("trend", Severity.CRITICAL, incident="i-2")
        await desk.output._worker.submit(int)  # in line behind what is written
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        try:
            asyncio.run(heard())
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


async def test_a_kill_costs_no_word_that_was_heard_and_tells_no_cause_twice(tmp_path: Path, phone: Phone) -> None:
    async with Desk(tmp_path, phone) as desk:
        desk.raised("basis", incident="i-0")
        await desk.later()
    _heard_and_killed(tmp_path, phone)
    async with Desk(tmp_path, phone, quiet_hours="11:00-13:00") as desk:
        desk.raised("basis", incident="i-0")  # the monitor tells its last bar again after a start
        desk.raised("trend", Severity.CRITICAL, incident="i-2")
        await desk.later()
    assert phone.texts[1:] == ["critical: trend: its IC fell"]
    async with Desk(tmp_path, phone, at=NOON + timedelta(hours=2)) as desk:  # the quiet is over, after a restart
        await desk.later()
    assert phone.texts[2:] == ["warning: carry: its IC fell"]


class SetClock(ManualClock):
    """A wall clock that can be set, beside a monotonic one that cannot."""

    ahead = timedelta()

    def now(self) -> Any:
        return super().now() + self.ahead


@pytest.mark.parametrize("hours", [-5, 9000])
async def test_a_clock_that_is_set_delays_no_message_and_no_brief(tmp_path: Path, phone: Phone, hours: int) -> None:
    desk = Desk(tmp_path, phone, brief_at="07:00")
    clock = SetClock(NOON)
    desk.clock = clock
    object.__setattr__(desk.source, "clock", clock)
    async with desk:
        await desk.look()
        assert len(phone.messages) == 1  # the brief of today
        phone.down = True
        desk.raised("carry", incident="i-1")
        clock.ahead = timedelta(hours=hours)
        await desk.later()
        phone.down = False
        await desk.later(6)
        assert "warning: carry: its IC fell" in phone.texts
        clock.ahead = timedelta()
        before = len(phone.messages)
        clock.advance(86400)
        desk.raised("carry", incident="i-1")
        await desk.later()
        assert [m["title"] for m in phone.messages[before:]] == ["Midas: warning", "Midas: the morning brief"]


async def test_a_clock_that_is_set_back_over_a_morning_sends_no_brief_twice(tmp_path: Path, phone: Phone) -> None:
    at = datetime(2026, 1, 2, 8, tzinfo=UTC)
    for hours in (0, 24, 0, 24, 48):  # two mornings, the first one again, and on from there
        async with Desk(tmp_path, phone, brief_at="07:00", at=at + timedelta(hours=hours)) as desk:
            await desk.output.look()
            await desk.output.rest()
    assert [m["title"] for m in phone.messages] == ["Midas: the morning brief"] * 3
