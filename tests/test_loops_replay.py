"""A session is kept as it happens: repeated from its record without a key, and resumed after a kill at any call."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import signal
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine import events as ev
from midas_engine.clock import ManualClock, WallClock
from midas_engine.errors import ModelOutageError, ModelTruncatedError, SessionError
from midas_engine.evaluator import TrialLedger
from midas_engine.journal import Journal
from midas_engine.journal.transcript import Transcripts
from midas_engine.kb import KnowledgeBase
from midas_engine.llm import Budget, ScriptedClient
from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig
from midas_engine.loops.interrupted import end_interrupted
from midas_engine.loops.replay import read_record, read_resumable, replay
from midas_engine.proposer import LLMResearcher
from midas_engine.settings import EvaluationSettings, Settings
from tests.helpers_cli import ROOT, call_midas
from tests.helpers_llm import NOW, block, candidates, learning, plan
from tests.helpers_loops import FakeAssessor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SETTINGS = Settings(evaluation=EvaluationSettings(workers=0))
CONFIG = OfflineLoopConfig(max_iterations=2, candidates_per_iter=2)
FOUND = "cs_rank(-funding_rate)"
KEY = "sk-sentinel-0123456789abcdef"
# One session with a find, a refinement, a fault that passes, one that does not, and a reply that needs repair.
SCRIPT: tuple[Any, ...] = (
    plan(),
    candidates("cs_rank(close)", FOUND),
    block(name="better", expression="cs_rank(volume)", rationale=f"why, {KEY}"),
    ModelOutageError("down for a moment"),
    "no JSON at all",
    plan(hypothesis="the second"),
    candidates("cs_rank(high)", FOUND, name="again"),
    ModelTruncatedError("the reply was withheld"),
    learning(title="in the model's words"),
)


class Killed(BaseException):
    """The process is gone: nobody can catch this."""


class _Clock(ManualClock):
    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


class _Dying(ScriptedClient):
    """Dies before call `at`; a client that goes on skips what was answered before."""

    def __init__(self, answers: Iterable[Any], *, at: int = -1) -> None:
        super().__init__(answers)
        self._at = at

    async def complete(self, request: Any, on_text: Any = None) -> Any:
        if len(self.requests) == self._at:
            raise Killed
        return await super().complete(request, on_text)


def _assessor() -> FakeAssessor:
    return FakeAssessor(lambda expression, part: expression == FOUND)


class Base:
    """A base with a journal, and sessions on it."""

    def __init__(self, folder: Path) -> None:
        self.kb = KnowledgeBase(folder / "kb")
        self.journal = Journal(self.kb.journal_path)
        self.client = _Dying(())

    def loop(self, answers: Sequence[Any], *, at: int = -1) -> OfflineCompoundLoop:
        self.client = _Dying(answers, at=at)
        researcher = LLMResearcher(self.client, Budget(60, 2.0, 10.0), clock=_Clock(NOW))
        return OfflineCompoundLoop(
            self.kb, lambda: researcher, config=CONFIG, settings=SETTINGS, journal=self.journal
        )  # fmt: skip

    async def run(self, answers: Sequence[Any] = SCRIPT, *, at: int = -1, **more: Any) -> list[ev.Event]:
        found: list[ev.Event] = []
        with contextlib.suppress(Killed):
            async for event in self.loop(answers, at=at).stream("carry", _assessor(), **more):
                found.append(event)  # noqa: PERF401  (what came before the kill is wanted)
        return found

    def trials(self) -> list[tuple[Any, ...]]:
        with TrialLedger(self.kb.journal_path, read_only=True) as ledger:
            return [(t.canonical, t.outcome, t.score_t, t.accepted, t.summary) for t in ledger.history()]


@pytest.fixture
def base(tmp_path: Path) -> Any:
    made = Base(tmp_path)
    yield made
    made.journal.close()


def _session(events: Sequence[ev.Event]) -> str:
    return events[0].session_id  # type: ignore[attr-defined, no-any-return]


async def test_every_call_is_in_the_journal_with_its_cost_and_without_a_key(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    session = _session(await base.run())
    rows = Transcripts(base.journal).rows(session, "call", "failed")
    assert [row.kind.partition(":")[2] for row in rows] == ["call"] * 3 + [
        "failed",
        "call",
        "call",
        "call",
        "failed",
        "call",
    ]
    assert [row.body["purpose"] for row in rows] == [
        "plan", "generate", "refine", "plan", "plan", "plan repair", "generate", "refine", "learn",
    ]  # fmt: skip
    first = rows[0].body
    assert "carry" in first["prompt"]
    assert first["reply"] == SCRIPT[0]
    assert len(first["prompt_hash"]) == len(first["reply_hash"]) == 64
    assert {"tokens_in", "tokens_out", "tokens_cached", "cost_usd", "seconds", "provider", "model"} <= set(first)
    assert rows[3].body["message"] == "down for a moment"
    assert KEY not in json.dumps([row.body for row in rows])
    assert base.journal.model_spend(since=NOW.replace(year=2000))[0] == 7  # the transcript is charged nowhere


async def test_a_replay_is_equal_by_hash_and_leaves_no_trace(base: Base) -> None:
    session = _session(await base.run())
    before = base.trials(), len(base.kb.learnings()), [f.name for f in base.kb.features()]
    base.kb.save_learning(base.kb.learnings()[0])  # the base moves on
    record, given = read_record(base.journal, session)
    heard: list[ev.Event] = []
    found = await replay(record, given, given.restored(SETTINGS), _assessor(), WallClock(), heard.append)
    assert found.difference == ""
    assert found.digest == record.end["digest"]  # type: ignore[index]
    assert (found.result, found.calls) == ("success", 9)
    assert found.steps == len(record.end["marks"])  # type: ignore[index]
    assert isinstance(heard[-1], ev.SessionEnded)
    assert heard[-1].accepted == ("idea_1",)
    assert heard[-1].learning_path == "", "what it wrote is thrown away"
    assert (base.trials(), len(base.kb.learnings()) - 1, [f.name for f in base.kb.features()]) == before


async def test_a_replay_of_other_data_is_refused(base: Base) -> None:
    record, given = read_record(base.journal, _session(await base.run()))
    other = _assessor()
    other.snapshot_id = "another"
    with pytest.raises(SessionError, match=r"of other data \(test-snapsho\) than this \(another\)"):
        await replay(record, given, SETTINGS, other, WallClock())


async def test_a_replay_whose_verdicts_differ_says_where(base: Base) -> None:
    record, given = read_record(base.journal, _session(await base.run()))
    changed = FakeAssessor(lambda expression, part: expression == FOUND, figures={"research": (3.4, 0.031)})
    heard: list[ev.Event] = []
    found = await replay(record, given, SETTINGS, changed, WallClock(), heard.append)
    assert "is not the same (CandidateScored)" in found.difference
    assert not [e for e in heard if isinstance(e, ev.CandidateScored | ev.LearningWritten | ev.SessionEnded)]
    assert isinstance(heard[0], ev.SessionStarted)


async def test_a_cancelled_session_is_repeated_as_far_as_it_came(base: Base) -> None:
    loop = base.loop(SCRIPT)
    events: list[ev.Event] = []
    async for event in loop.stream("carry", _assessor()):
        events.append(event)
        if isinstance(event, ev.CandidateScored):
            loop.cancel()
    assert events[-1].result == "cancelled"  # type: ignore[attr-defined]
    record, given = read_record(base.journal, _session(events))
    found = await replay(record, given, SETTINGS, _assessor(), WallClock())
    assert (found.result, found.difference) == ("cancelled", "")
    assert found.steps > 5


async def test_a_session_that_left_nothing_is_refused_by_name(base: Base) -> None:
    session = _session(await base.run())
    with pytest.raises(SessionError, match="there is no session 'nowhere'") as caught:
        read_record(base.journal, "nowhere")
    assert session in caught.value.hint
    with pytest.raises(SessionError, match="came to its end"):
        read_resumable(base.journal, session)
    Transcripts(base.journal).journal.tables.drop_oldest("model_calls", "transcript:", 10**9)
    base.journal.tables.append("model_calls", [("", NOW, "newer", "transcript:answer", {"what": "inputs"})])
    assert Transcripts(base.journal).fit(50) == 1
    with pytest.raises(SessionError, match="left no transcript, or it was removed"):
        read_record(base.journal, session)


@pytest.mark.parametrize("call", range(len(SCRIPT)))
async def test_killed_at_any_call_a_resumed_session_has_the_ledger_of_an_uninterrupted_one(
    tmp_path: Path, call: int
) -> None:
    whole, broken = Base(tmp_path / "whole"), Base(tmp_path / "broken")
    try:
        await whole.run()
        session = _session(await broken.run(at=call))
        assert broken.journal.sessions()[0].kind == "running"
        await asyncio.to_thread(end_interrupted, broken.kb, broken.journal, WallClock())
        assert [d.result for d in broken.kb.learnings()] == ["interrupted"]
        record, given = read_resumable(broken.journal, session)
        # A client of a new process: it answers only what was never asked.
        events = await broken.run(SCRIPT[call:], record=record, existing=given.existing)
        assert _session(events) == session
        assert events[-1].result == "success"  # type: ignore[attr-defined]
        assert len(broken.client.requests) == len(SCRIPT) - call
        assert broken.trials() == whole.trials()
        assert [f.name for f in broken.kb.features()] == [f.name for f in whole.kb.features()] == ["idea_1"]
        (document,) = broken.kb.learnings()
        assert (document.result, document.title) == ("success", "in the model's words")
        assert broken.journal.sessions()[0].kind == "success"
        assert broken.journal.model_spend(since=NOW.replace(year=2000))[0] == 7
        again, inputs = read_record(broken.journal, session)
        assert (await replay(again, inputs, SETTINGS, _assessor(), WallClock())).difference == ""
    finally:
        whole.journal.close()
        broken.journal.close()


async def test_a_process_that_was_killed_outright_is_resumed_with_the_same_ledger(tmp_path: Path) -> None:
    call = 5
    driver = [sys.executable, str(ROOT / "tests" / "killed_session.py"), str(tmp_path / "broken"), str(call)]
    done = await asyncio.to_thread(subprocess.run, driver, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    whole, broken = Base(tmp_path / "whole"), Base(tmp_path / "broken")
    try:
        await whole.run()
        session = broken.journal.sessions()[0].key
        record, given = read_resumable(broken.journal, session)
        events = await broken.run(SCRIPT[call:], record=record, existing=given.existing)
        assert events[-1].result == "success"  # type: ignore[attr-defined]
        assert broken.trials() == whole.trials()
        assert [f.name for f in broken.kb.features()] == ["idea_1"]
    finally:
        whole.journal.close()
        broken.journal.close()


async def test_transcripts_stay_within_their_size(base: Base) -> None:
    for _ in range(3):
        await base.run()
    assert Transcripts(base.journal).size() > 0
    loop = base.loop(SCRIPT)
    loop.settings = dataclasses.replace(SETTINGS, model=dataclasses.replace(SETTINGS.model, transcripts_mb=0))
    async for _ in loop.stream("carry", _assessor()):
        pass
    kept = [s.key for s in base.journal.sessions() if Transcripts(base.journal).rows(s.key)]
    assert len(kept) == 2  # the newest of before, and this one


async def test_transcripts_are_kept_for_the_days_that_are_set(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    await base.run()
    await base.run()
    old = [s.key for s in base.journal.sessions()]
    transcripts = Transcripts(base.journal)
    assert transcripts.expire(1.0) == 0
    monkeypatch.setattr(base.journal, "clock", ManualClock(base.journal.clock.now() + timedelta(days=3)))
    assert transcripts.expire(0.0) == 0
    loop = base.loop(SCRIPT)
    loop.settings = dataclasses.replace(SETTINGS, model=dataclasses.replace(SETTINGS.model, transcripts_days=2.0))
    async for _ in loop.stream("carry", _assessor()):
        pass
    assert [s.key for s in base.journal.sessions() if transcripts.rows(s.key) and s.key in old] == []
    assert transcripts.size() > 0


def test_the_verbs_repeat_a_local_session_and_refuse_other_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDAS_EVALUATION_WORKERS", "0")
    kb = str(tmp_path / "kb")
    words = ("discover", "carry", "--kb", kb, "--iterations", "1", "--candidates", "2", "--seed", "3", "--json")
    made = json.loads(call_midas(capsys, *words).out)
    ran = call_midas(capsys, "replay", made["session"], "--kb", kb, "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["equal"] is True
    assert json.loads(ran.out)["digest"]
    refused = call_midas(capsys, "replay", made["session"], "--kb", kb, "--data", "synthetic:3")
    assert refused.code == 9
    assert "was of other data" in refused.err
    refused = call_midas(capsys, "discover", "--resume", made["session"], "--kb", kb)
    assert refused.code == 9
    assert "nothing to resume" in refused.err
