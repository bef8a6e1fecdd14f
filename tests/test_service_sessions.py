"""Discovery over the door: the form is checked, begun, cancelled and remembered there as at home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from midas_engine import events as ev
from midas_engine.clock import WallClock
from midas_engine.errors import ReadOnlyError, SessionError
from midas_engine.service.remote import RemoteRuntime
from midas_engine.service.service import Service
from tests.helpers_holders import until
from tests.helpers_service import make_desk, plan_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    desk = make_desk(tmp_path / "desk", bars=60, candidates=("spare",))
    async with Service(plan_of(desk, evaluation__workers=0, evaluation__screened=30)) as found:
        yield found


async def remote_of(service: Service, *, read_only: bool = False) -> RemoteRuntime:
    remote = RemoteRuntime(str(service.plan.place.socket), clock=WallClock(), read_only=read_only)
    await remote.start()
    return remote


async def test_a_session_is_ordered_cancelled_continued_and_remembered_over_the_door(service: Service) -> None:
    remote = await remote_of(service)
    heard = remote.bus.subscribe("test", ev.SessionEvent)
    told: list[Any] = []

    def said(kind: type[Any]) -> bool:
        told.extend(heard.take())
        return any(isinstance(event, kind) for event in told)

    try:
        fields = {field.name: field.value for field in await remote.sessions.form()}
        assert fields["provider"] == "local"
        wrong = await remote.sessions.check({"goal": "", "horizon": "soon", "colour": "red"})
        assert set(wrong.errors) == {"goal", "horizon", "colour"}
        assert (await remote.sessions.check({"goal": "x", "data": "/nowhere.parquet"})).errors.keys() == {"data"}
        answers = {**fields, "goal": "momentum", "plans": "1000", "candidates": "1"}
        reach = await remote.sessions.check(answers)
        assert reach.errors == {}
        assert any("the gate: t of" in line for line in reach.lines)
        assert reach.command.startswith("midas discover momentum --provider local --iterations 1000")
        with pytest.raises(SessionError, match="horizon: a whole number"):
            await remote.sessions.begin({**answers, "horizon": "0"})
        await remote.sessions.begin(answers)
        await until(lambda: said(ev.PhaseStarted), 60)
        session = next(event.session_id for event in told if isinstance(event, ev.SessionStarted))
        assert next(e for e in told if isinstance(e, ev.SessionStarted)).planned_trials == 2010
        with pytest.raises(SessionError, match="does not run here"):
            await remote.sessions.cancel("another")
        await remote.sessions.cancel(session)
        await until(lambda: said(ev.SessionEnded), 60)
        told.clear()
        await remote.sessions.resume(session)
        await until(lambda: said(ev.SessionStarted), 60)
        await remote.sessions.cancel()
        recalled = await remote.sessions.recall(session)
        assert {type(event).__name__ for event in recalled} >= {"SessionStarted", "SessionEnded"}
        assert await remote.sessions.earlier() == (), "of this run: told as events"
        looker = await remote_of(service, read_only=True)
        try:
            for call in (
                looker.sessions.check(answers), looker.sessions.begin(answers), looker.sessions.resume(session),
                looker.sessions.replay(session), looker.sessions.cancel(session),
            ):  # fmt: skip
                with pytest.raises(ReadOnlyError, match="attached read-only"):
                    await call
        finally:
            await looker.stop()
    finally:
        await remote.stop()


async def test_ordered_sessions_follow_one_another_until_one_finds_something_or_somebody_stops(
    service: Service,
) -> None:
    remote = await remote_of(service)
    heard = remote.bus.subscribe("test", ev.SessionEvent)
    told: list[Any] = []

    def of(kind: type[Any]) -> list[Any]:
        told.extend(heard.take())
        return [event for event in told if isinstance(event, kind)]

    def over() -> bool:
        ended = of(ev.SessionEnded)
        return len(ended) == 3 or bool(ended and ended[-1].accepted)

    try:
        fields = {field.name: field.value for field in await remote.sessions.form()}
        answers = {**fields, "goal": "momentum", "plans": "1", "candidates": "1", "sessions": "3"}
        assert "--sessions 3" in (await remote.sessions.check(answers)).command
        await remote.sessions.begin(answers)
        await until(over, 120)
        ended = of(ev.SessionEnded)
        assert [event.result for event in ended[:-1]] == ["failed"] * (len(ended) - 1)
        tried = [event.expression for event in of(ev.CandidateScored)]
        assert len(tried) == len(set(tried)) == sum(event.tried for event in ended)
        told.clear()
        await remote.sessions.begin({**answers, "plans": "1000"})
        await until(lambda: of(ev.PhaseStarted), 60)
        await remote.sessions.cancel()
        await until(lambda: of(ev.SessionEnded), 60)
        with pytest.raises(SessionError, match="no session runs"):
            await remote.sessions.cancel()
        assert len(of(ev.SessionStarted)) == 1
    finally:
        await remote.stop()
