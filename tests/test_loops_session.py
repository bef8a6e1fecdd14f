"""A discovery session: the order of its events, and the learning it leaves whatever happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine import events as ev
from midas_engine.errors import EvaluationError, KnowledgeBaseError, ReadOnlyError, SessionError
from midas_engine.evaluator import TrialLedger
from midas_engine.kb import KnowledgeBase
from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig
from midas_engine.loops.records import flat_figures
from midas_engine.promoter import FeaturePromoter
from midas_engine.stats.graduation import look_line
from midas_engine.stats.online_fdr import LordPlusPlus
from tests.helpers_loops import FakeAssessor, FixedResearcher, events_of, kinds, loop_of, verdict

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "cs_rank(-funding_rate)"
BAD = "cs_rank(close)"


def _all_pass(expression: str, part: str) -> bool:
    return expression == GOOD


def _of(events: list[ev.Event], kind: type[Any]) -> list[Any]:
    return [e for e in events if isinstance(e, kind)]


async def test_the_order_of_one_session(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, FixedResearcher([BAD, GOOD]))
    events = await events_of(loop, FakeAssessor(_all_pass), "funding carry")
    assert [k for k in kinds(events) if k != "TokensStreamed"] == [
        "SessionStarted",
        "PhaseStarted",  # plan
        "PlanMade",
        "PhaseStarted",  # write
        "PhaseStarted",  # assess the bad one
        "ExpressionProposed",
        "CandidateScored",
        "PhaseStarted",  # refine: nothing to change
        "PhaseStarted",  # assess the good one
        "ExpressionProposed",
        "HoldoutLooked",
        "CandidateAccepted",
        "CandidateScored",
        "PhaseStarted",  # learn
        "LearningWritten",
        "SessionEnded",
    ]
    assert [e.phase for e in _of(events, ev.PhaseStarted)] == ["plan", "write", "assess", "refine", "assess", "learn"]
    bad, good = _of(events, ev.CandidateScored)
    assert (bad.accepted, good.accepted) == (False, True)
    assert [a.agent for a in good.agents] == [
        "predictive_power", "decay_analysis", "trading_cost", "diversification", "overfit_detection",
        "regime_robustness",
    ]  # fmt: skip
    session = {e.session_id for e in events if isinstance(e, ev.SessionEvent)}
    assert len(session) == 1


async def test_success_saves_the_candidate_with_its_figures_and_a_learning(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, FixedResearcher([GOOD]))
    ended = (await events_of(loop, FakeAssessor(_all_pass)))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert (ended.result, ended.accepted, ended.tried) == ("success", ("idea_1_0",), 1)
    record = loop.kb.feature("idea_1_0")
    assert record.state == "candidate"
    assert record.expression == GOOD
    assert record.session_id == ended.session_id
    assert record.expected_score == 0.02
    assert record.breadth == pytest.approx(20.0)
    assert record.metrics["score_t"] == 3.5
    assert record.metrics["sealed_score_t"] == record.metrics["sealed_t"] == 4.0
    first = LordPlusPlus().level()
    assert (record.metrics["sealed_level"], record.metrics["sealed_line"]) == (first, look_line(first))
    assert (record.metrics["sealed_p"], record.metrics["sealed_look"]) == (1e-6, 1)
    assert record.metrics["sealed_bars"] > 1000
    document = loop.kb.learnings()[0]
    assert document.path == ended.learning_path
    assert (document.result, document.accepted, document.pattern_identified) == ("success", ("idea_1_0",), "a pattern")
    assert document.metrics["best_t"] == 3.5
    assert loop.last_learning is not None
    assert loop.last_learning.result == "success"


async def test_failure_leaves_a_learning_with_everything_that_was_tried(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, FixedResearcher([BAD, "cs_rank(nonsense)"]))
    ended = (await events_of(loop, FakeAssessor()))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert (ended.result, ended.accepted) == ("failed", ())
    document = loop.kb.learnings()[0]
    assert document.result == "failed"
    assert set(document.expressions) == {BAD, "cs_rank(nonsense)"}
    assert "nonsense" in document.body
    assert loop.kb.features() == []


@pytest.mark.parametrize("stage", ["plan", "judge"])
async def test_a_cancelled_session_still_writes_its_learning(tmp_path: Path, stage: str) -> None:
    started = asyncio.Event()

    class Slow(FixedResearcher):
        async def plan(self, context: Any, on_text: Any) -> Any:
            if stage == "plan" and context.iteration == 2:
                started.set()
                await asyncio.Event().wait()
            return await super().plan(context, on_text)

    def before(expression: str, part: str) -> Any:
        if stage == "judge" and expression == GOOD:
            started.set()
            return asyncio.Event().wait()
        return None

    researcher = Slow([BAD], [GOOD])
    assessor = FakeAssessor(before=before)
    loop = loop_of(tmp_path, researcher, max_iterations=3)
    running = asyncio.ensure_future(events_of(loop, assessor))
    await started.wait()
    assert loop.running
    assert loop.cancel()
    ended = (await running)[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert (ended.result, ended.tried) == ("cancelled", 1)
    assert ended.learning_path
    document = loop.kb.learnings()[0]
    assert (document.result, document.expressions) == ("cancelled", (BAD,))
    assert (assessor.closed, researcher.closed) == (1, 1)
    assert not loop.running
    assert not loop.cancel()


async def test_a_second_cancel_does_not_keep_the_learning_from_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = loop_of(tmp_path, FixedResearcher([BAD]))
    writing = asyncio.Event()

    class Slow(FakeAssessor):
        async def close(self) -> None:
            writing.set()
            for _ in range(20):
                await asyncio.sleep(0)
            await super().close()

    assessor = Slow(before=lambda *_: asyncio.Event().wait())
    running = asyncio.ensure_future(events_of(loop, assessor))
    await asyncio.sleep(0)
    assert loop.cancel()  # before the session's task took its first step
    await writing.wait()
    for _ in range(5):
        loop.cancel()
        await asyncio.sleep(0)
    ended = (await running)[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert ended.result == "cancelled"
    assert len(loop.kb.learnings()) == 1
    assert assessor.closed == 1


async def test_a_reader_that_leaves_ends_the_session_well(tmp_path: Path) -> None:
    assessor = FakeAssessor(before=lambda expression, _: asyncio.Event().wait() if expression == GOOD else None)
    loop = loop_of(tmp_path, FixedResearcher([BAD, GOOD]))
    stream = loop.stream("a goal", assessor)
    async for event in stream:
        if isinstance(event, ev.CandidateScored):
            break
    await stream.aclose()
    assert not loop.running
    assert assessor.closed == 1
    assert [d.result for d in loop.kb.learnings()] == ["cancelled"]


async def test_a_base_that_takes_no_learning_is_said_and_nothing_else_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = loop_of(tmp_path, FixedResearcher([BAD]))

    def refuse(document: Any) -> Any:
        raise KnowledgeBaseError("the disk is full")

    monkeypatch.setattr(loop.kb, "save_learning", refuse)
    ended = (await events_of(loop, FakeAssessor()))[-1]
    assert isinstance(ended, ev.SessionEnded)
    assert "the learning could not be written: the disk is full" in ended.reason
    assert loop.last_learning is not None


async def test_a_candidate_that_fails_costs_itself_only(tmp_path: Path) -> None:
    def before(expression: str, part: str) -> None:
        if expression == BAD:
            raise EvaluationError("its worker died")

    loop = loop_of(tmp_path, FixedResearcher([BAD, GOOD]))
    events = await events_of(loop, FakeAssessor(_all_pass, before=before))
    assert [e.reason for e in _of(events, ev.ExpressionRefused)] == ["its worker died"]
    assert events[-1].accepted == ("idea_1_1",)  # type: ignore[attr-defined]


# -- trials ----------------------------------------------------------------------------------------


async def test_a_repeat_in_another_spelling_is_free(tmp_path: Path) -> None:
    assessor = FakeAssessor()
    loop = loop_of(tmp_path, FixedResearcher(["cs_rank(close * 2)"], ["cs_rank( 2*close )"]), max_iterations=2)
    events = await events_of(loop, assessor)
    assert [e.repeated for e in _of(events, ev.CandidateScored)] == [False, True]
    assert len(assessor.judged) == 1
    assert events[-1].tried == 1  # type: ignore[attr-defined]


async def test_every_try_is_charged_before_its_verdict_is_told(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, FixedResearcher([BAD, "cs_rank(nonsense)"]))
    with TrialLedger(loop.kb.journal_path) as ledger:
        stream = loop.stream("a goal", FakeAssessor())
        charged = [ledger.counted() async for e in stream if isinstance(e, ev.CandidateScored | ev.ExpressionRefused)]
        # the session may be a step ahead of who listens to it, never behind
        assert len(charged) == 2
        assert charged[0] in (1, 2)
        assert charged[1] == 2
        assert [t.outcome for t in ledger.history()] == ["scored", "invalid"]


async def test_the_line_is_drawn_for_the_whole_budget_from_the_first_trial_on(tmp_path: Path) -> None:
    assessor = FakeAssessor()
    loop = loop_of(tmp_path, FixedResearcher([BAD], [GOOD]), max_iterations=5, candidates_per_iter=3, refinements=1)
    await events_of(loop, assessor)
    assert assessor.trials == [30, 30]


async def test_a_refusal_is_refined_once_and_its_origin_told(tmp_path: Path) -> None:
    researcher = FixedResearcher([BAD], refined={BAD: GOOD, GOOD: "cs_rank(volume)"})
    assessor = FakeAssessor(_all_pass)
    events = await events_of(loop_of(tmp_path, researcher), assessor)
    proposed = _of(events, ev.ExpressionProposed)
    assert [(e.expression, e.refined_from) for e in proposed] == [(BAD, ""), (GOOD, "idea_1_0")]
    assert events[-1].accepted == ("idea_1_0_refined",)  # type: ignore[attr-defined]


async def test_what_passed_is_not_refined_and_refinements_are_bounded(tmp_path: Path) -> None:
    researcher = FixedResearcher([BAD], refined={BAD: "cs_rank(open)", "cs_rank(open)": "cs_rank(high)"})
    assessor = FakeAssessor()
    await events_of(loop_of(tmp_path, researcher, refinements=1), assessor)
    assert [e for e, _ in assessor.judged] == [BAD, "cs_rank(open)"]
    none = FakeAssessor()
    await events_of(loop_of(tmp_path / "b", FixedResearcher([BAD], refined={BAD: GOOD}), refinements=0), none)
    assert [e for e, _ in none.judged] == [BAD]


async def test_a_plan_gives_no_more_candidates_than_the_budget(tmp_path: Path) -> None:
    assessor = FakeAssessor()
    texts = [f"ts_mean(close, {n})" for n in range(2, 9)]
    await events_of(loop_of(tmp_path, FixedResearcher(texts), candidates_per_iter=2), assessor)
    assert [e for e, _ in assessor.judged] == texts[:2]


async def test_the_session_stops_after_as_many_finds_as_were_asked_for(tmp_path: Path) -> None:
    assessor = FakeAssessor(lambda expression, part: True)
    loop = loop_of(tmp_path, FixedResearcher([GOOD, BAD], [BAD]), max_iterations=2, stop_after=1)
    ended = (await events_of(loop, assessor))[-1]
    assert ended.accepted == ("idea_1_0",)  # type: ignore[attr-defined]


# -- the sealed part -------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["figures", "agents"])
async def test_a_find_must_hold_on_the_sealed_part(tmp_path: Path, failing: str) -> None:
    figures = {"sealed": (0.2, 0.001)} if failing == "figures" else {}
    assessor = _Later(lambda expression, part: part != "sealed" or failing == "figures", figures=figures)
    loop = loop_of(tmp_path, FixedResearcher([GOOD]))
    events = await events_of(loop, assessor)
    scored = _of(events, ev.CandidateScored)[0]
    assert all(a.passed for a in scored.agents)
    assert not scored.accepted
    assert loop.kb.features() == []
    assert loop.kb.learnings()[0].metrics["passed_research_only"] == 1
    assert [part for _, part in assessor.judged] == ["research", "sealed"]
    with TrialLedger(loop.kb.journal_path, read_only=True) as ledger:
        assert [(look["passed"], look["p"] < look["line"]) for look in ledger.looks()] == [(False, failing == "agents")]


class _Later(FakeAssessor):
    """The sealed part decides by its p: a t of 0.2 has none to speak of."""

    async def judge(self, proposal: Any, part: str, *args: Any) -> Any:
        import dataclasses

        found = await super().judge(proposal, part, *args)
        if part == "sealed" and found.evaluation.score_t < 1:
            return dataclasses.replace(found, evaluation=dataclasses.replace(found.evaluation, score_p=0.4))
        return found


@pytest.mark.parametrize("p", [0.25, 1e-6, 3.2e-17])
def test_a_small_p_is_kept_as_one(p: float) -> None:
    assert flat_figures(verdict("research", True, t=8.3, ic=0.02, p=p))["score_p"] == pytest.approx(p, rel=1e-4)


async def test_what_could_not_be_looked_at_is_not_confirmed(tmp_path: Path) -> None:
    def before(expression: str, part: str) -> None:
        if part == "sealed":
            raise EvaluationError("the worker died")

    loop = loop_of(tmp_path, FixedResearcher([GOOD]))
    events = await events_of(loop, FakeAssessor(lambda *_: True, before=before))
    assert events[-1].accepted == ()  # type: ignore[attr-defined]
    assert any("could not be confirmed" in e.text for e in _of(events, ev.TokensStreamed))


# -- refusals --------------------------------------------------------------------------------------


async def test_one_session_at_a_time_and_never_without_a_goal(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, FixedResearcher([BAD]))
    with pytest.raises(SessionError, match="empty"):
        await events_of(loop, FakeAssessor(), "   ")
    gate = asyncio.Event()
    first = asyncio.ensure_future(events_of(loop, FakeAssessor(before=lambda *_: gate.wait())))
    await asyncio.sleep(0)
    with pytest.raises(SessionError, match="runs already"):
        await events_of(loop, FakeAssessor())
    gate.set()
    await first


async def test_a_read_only_base_is_refused_before_anything_runs(tmp_path: Path) -> None:
    KnowledgeBase(tmp_path / "kb")
    loop = OfflineCompoundLoop(KnowledgeBase(tmp_path / "kb", read_only=True), lambda: FixedResearcher([BAD]))
    with pytest.raises(ReadOnlyError, match="read-only"):
        await events_of(loop, FakeAssessor())


@pytest.mark.parametrize("bad", [{"max_iterations": 0}, {"candidates_per_iter": True}, {"refinements": -1},
                                 {"max_tokens": 1.5}, {"stop_after": "2"}])  # fmt: skip
def test_a_budget_is_checked(bad: dict[str, Any]) -> None:
    from midas_engine.errors import SettingsError

    with pytest.raises(SettingsError, match=next(iter(bad))):
        OfflineLoopConfig(**bad)


# -- its record ------------------------------------------------------------------------------------


async def test_the_journal_keeps_events_spending_and_summary(tmp_path: Path) -> None:
    from tests.helpers_llm import candidates, learning, plan, scripted

    kb = KnowledgeBase(tmp_path / "kb")
    with FeaturePromoter(kb).journal as journal:
        loop = OfflineCompoundLoop(
            kb, lambda: scripted(plan(), candidates(GOOD), learning()), journal=journal,
            config=OfflineLoopConfig(max_iterations=1),
        )  # fmt: skip
        events = await events_of(loop, FakeAssessor(_all_pass))
        kept = [type(e).__name__ for e in journal.events()]
        assert kept == [k for k in kinds(events) if k != "TokensStreamed"]
        assert kept.count("ModelCalled") == 3
        since = events[0].at.replace(hour=0, minute=0, second=0, microsecond=0)
        assert journal.model_spend(since=since)[0] == 3
        summary = journal.sessions()[-1].body
        assert (summary["status"], summary["tried"]) == ("success", 1)


async def test_learnings_are_shown_unless_the_config_says_no(tmp_path: Path) -> None:
    first = FixedResearcher([BAD])
    await events_of(loop_of(tmp_path, first), FakeAssessor(), "funding carry")
    seen, blind = FixedResearcher([GOOD]), FixedResearcher([GOOD])
    await events_of(loop_of(tmp_path, seen), FakeAssessor(), "funding carry")
    await events_of(loop_of(tmp_path, blind, use_learnings=False), FakeAssessor(), "funding carry")
    assert [d.title for d in seen.contexts[0].learnings] == ["fixed learning"]
    assert list(blind.contexts[0].learnings) == []
