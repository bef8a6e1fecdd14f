"""Every fault of an endpoint, once in mid-session, on every API over real sockets: what is left of the budget is used.

Each session is repeated from its record byte for byte; killed around the fault, it goes on to the same ledger. Each
fault is tried on one API by turns; with MIDAS_EVERY_API=1 in the environment each on every one (some four minutes).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine import events as ev
from midas_engine.clock import ManualClock, WallClock
from midas_engine.evaluator import TrialLedger
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.llm import Budget, make_client
from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig
from midas_engine.loops.interrupted import end_interrupted
from midas_engine.loops.replay import read_record, read_resumable, replay
from midas_engine.proposer import LLMResearcher
from midas_engine.settings import EvaluationSettings, ModelSettings, Settings
from tests.helpers_llm import NOW
from tests.helpers_loops import FakeAssessor
from tests.helpers_model_faults import APIS, FAULTS, LASTING, FaultyModel, faulty

if TYPE_CHECKING:
    from pathlib import Path

ITERATIONS = 3
SETTINGS = Settings(evaluation=EvaluationSettings(workers=0))
# What costs the step, and no more: a refusal is an answer, and asking again for what was refused is pointless.
LOST = frozenset({"refusal", "two bad replies", "413", "redirect"})
DEADLINE, SHORT = 20.0, 1.0
ONCE = [name for name in FAULTS if name not in LASTING]


def _tried(faults: list[str]) -> list[tuple[str, str]]:
    """Faults with the APIs that they are tried on."""
    if os.environ.get("MIDAS_EVERY_API"):
        return [(fault, api) for fault in faults for api in APIS]
    return [(fault, APIS[number % len(APIS)]) for number, fault in enumerate(faults)]


class Killed(BaseException):
    """The process is gone: nobody can catch this."""


class _Clock(ManualClock):
    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


def _settings(server: FaultyModel) -> ModelSettings:
    deadline = SHORT if server.fault.startswith("stall") else DEADLINE
    known: dict[str, Any] = {"model": "m", "prices": {"m": "1,2"}, "deadline_seconds": deadline}
    if server.api == "messages":
        return ModelSettings(provider="anthropic", base_url=server.url, **known)
    options = {"*.api": server.api if server.api == "responses" else "chat"}
    if server.api == "old dialect":
        options |= {"*.structured": "no", "*.tokens_parameter": "max_tokens", "*.usage": "no"}
    return ModelSettings(provider="compatible", base_url=f"{server.url}/v1", options=options, **known)


class Base:
    """A base with a journal, and sessions on it."""

    def __init__(self, folder: Path) -> None:
        self.kb = KnowledgeBase(folder / "kb")
        self.journal = Journal(self.kb.journal_path)

    async def run(
        self, server: FaultyModel, *, kill_at: int = -1, iterations: int = ITERATIONS, **more: Any
    ) -> list[ev.Event]:
        """A session; with `kill_at` it dies before that call."""
        clock = _Clock(NOW)
        client = make_client(_settings(server), clock=clock)
        ask, calls = client.complete, iter(range(10_000))

        async def complete(request: Any, on_text: Any = None) -> Any:
            if next(calls) == kill_at:
                raise Killed
            server.asked = request.purpose.split()[0]
            return await ask(request, on_text)

        client.complete = complete  # type: ignore[method-assign]
        researcher = LLMResearcher(client, Budget(60, 2.0, 10.0), clock=clock)
        config = OfflineLoopConfig(max_iterations=iterations, candidates_per_iter=1, refinements=0)
        loop = OfflineCompoundLoop(
            self.kb, lambda: researcher, config=config, settings=SETTINGS, journal=self.journal, clock=clock
        )
        found: list[ev.Event] = []
        with contextlib.suppress(Killed):
            async for event in loop.stream("carry", FakeAssessor(), **more):
                found.append(event)  # noqa: PERF401  (what came before the kill is wanted)
        await client.close()
        return found

    def trials(self) -> list[tuple[Any, ...]]:
        with TrialLedger(self.kb.journal_path, read_only=True) as ledger:
            return [(t.canonical, t.outcome, t.score_t, t.accepted) for t in ledger.history()]


@pytest.fixture
def base(tmp_path: Path) -> Any:
    made = Base(tmp_path)
    yield made
    made.journal.close()


async def _repeated(base: Base, session: str) -> None:
    record, inputs = read_record(base.journal, session)
    found = await replay(record, inputs, SETTINGS, FakeAssessor(), WallClock())
    assert (found.difference, found.digest) == ("", record.end["digest"])  # type: ignore[index]


@pytest.mark.parametrize(("fault", "api"), _tried(ONCE))
async def test_a_fault_in_mid_session_costs_at_most_its_step(base: Base, fault: str, api: str) -> None:
    async with faulty(api, fault) as server:
        events = await base.run(server)
    ended = events[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert server.spoilt == FAULTS[fault][1], "it was met"
    assert server.answered.count("plan") == ITERATIONS
    assert server.answered[-1] == "learn"
    assert (ended.result, ended.tried) == ("failed", ITERATIONS - (fault in LOST))
    (document,) = base.kb.learnings()
    assert document.title == "the model's own words"
    await _repeated(base, ended.session_id)


@pytest.mark.parametrize(("fault", "api"), _tried(sorted(LASTING)))
async def test_one_that_stays_ends_the_session_with_its_learning(base: Base, fault: str, api: str) -> None:
    async with faulty(api, fault) as server:
        ended = (await base.run(server, iterations=9))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert (ended.result, ended.tried) == ("error", 1)
    (document,) = base.kb.learnings()
    assert document.expressions == ("ts_mean(close, 2)",)
    await _repeated(base, ended.session_id)


@pytest.mark.parametrize(("number", "fault"), list(enumerate(ONCE))[:: 1 if os.environ.get("MIDAS_EVERY_API") else 3])
async def test_killed_around_a_fault_it_goes_on_to_the_same_ledger(tmp_path: Path, number: int, fault: str) -> None:
    api, call = APIS[(number + 2) % len(APIS)], 3 + number % 3  # the fault meets call 3
    whole, broken = Base(tmp_path / "whole"), Base(tmp_path / "broken")
    try:
        async with faulty(api, fault) as server:
            await whole.run(server)
        async with faulty(api, fault) as server:
            session = (await broken.run(server, kill_at=call))[0].session_id  # type: ignore[attr-defined]
            assert broken.journal.sessions()[0].kind == "running"
            await asyncio.to_thread(end_interrupted, broken.kb, broken.journal, WallClock())
            record, given = read_resumable(broken.journal, session)
            ended = (await broken.run(server, record=record, existing=given.existing))[-1]
        assert isinstance(ended, ev.SessionEnded)
        assert ended.session_id == session
        assert broken.trials() == whole.trials()
        (document,) = broken.kb.learnings()
        assert document.title == "the model's own words"
        await _repeated(broken, session)
    finally:
        whole.journal.close()
        broken.journal.close()
