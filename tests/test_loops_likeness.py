"""A trial that was refused for its likeness alone is judged again once what it was like is gone or not traded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from midas_engine import events as ev
from midas_engine.dsl.expression import canonical
from midas_engine.evaluator import TrialLedger
from midas_engine.evaluator.gates import beside as gate
from midas_engine.kb import KnowledgeBase
from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig, PanelAssessor, likeness
from midas_engine.loops.inputs import gather
from midas_engine.loops.likeness import Beside
from midas_engine.mcp_door.desk import Caps, Desk
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.promoter import FeaturePromoter
from midas_engine.proposer.protocol import Proposal
from tests.helpers_loops import FixedResearcher, events_of
from tests.helpers_search import SETTINGS, planted_panel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIKE, NOISE = "ts_mean(alpha, 2)", "cs_rank(gamma)"
WHOLE = "alpha - 0.7 * beta"
"""Of which what is traded is a part."""


class Stage:
    """A base whose live book holds the signal already, and sessions on it; every part is the real one."""

    def __init__(self, folder: Path) -> None:
        self.kb = KnowledgeBase(folder / "kb")
        self.promoter = FeaturePromoter(self.kb)
        self.panel = planted_panel(0.35)
        self.put("old", "alpha")

    def put(self, name: str, expression: str) -> None:
        self.promoter.save_candidate(FeatureRecord(name, expression, FeatureState.CANDIDATE))
        self.promoter.promote(name, force=True, reason="a test")

    async def session(self, text: str) -> ev.CandidateScored:
        """What one proposal comes to."""
        loop = OfflineCompoundLoop(
            self.kb, lambda: FixedResearcher([text]), promoter=self.promoter, settings=SETTINGS,
            config=OfflineLoopConfig(max_iterations=1, candidates_per_iter=1),
        )  # fmt: skip
        (score,) = [e for e in await events_of(loop, self.assessor()) if isinstance(e, ev.CandidateScored)]
        return score

    def assessor(self) -> PanelAssessor:
        return PanelAssessor(self.panel, SETTINGS)

    def ledger(self) -> tuple[int, list[bool]]:
        """Trials counted, and whether each verdict on record passed."""
        with TrialLedger(self.kb.journal_path, read_only=True) as ledger:
            assert ledger.verify() == []
            return ledger.counted(), [t.accepted for t in ledger.history(again=True)]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def _kill(stage: Stage) -> None:
    stage.promoter.kill("old", reason="a test")


def _demote(stage: Stage) -> None:
    stage.promoter.demote("old", reason="a test")


def _delete(stage: Stage) -> None:
    stage.promoter.close()
    for path in (stage.kb.path / "knowledge/features").rglob("*old*.md"):
        path.unlink()
    stage.kb = KnowledgeBase(stage.kb.path)
    stage.promoter = FeaturePromoter(stage.kb)


def _replace(stage: Stage) -> None:
    _delete(stage)
    stage.put("old", NOISE)


async def test_it_is_answered_from_the_record_while_what_it_is_like_is_traded(stage: Stage) -> None:
    first = await stage.session(LIKE)
    assert [agent.agent for agent in first.agents if not agent.passed] == ["diversification"]
    stage.put("another", NOISE)  # more to differ from lets nothing past
    assert (await stage.session(LIKE)).repeated
    stage.promoter.demote("another", reason="a test")
    assert (await stage.session(LIKE)).repeated, "what it is too close to refuses it alone"
    assert stage.ledger() == (1, [False])


@pytest.mark.parametrize("change", [_kill, _demote, _delete, _replace])
async def test_it_is_judged_again_once_what_it_was_like_is_gone(stage: Stage, change: Callable[[Stage], None]) -> None:
    await stage.session(LIKE)
    identity = stage.assessor().snapshot_id
    assert gather(stage.kb, SETTINGS, OfflineLoopConfig(), "g", "", None, None).tried == {identity: (canonical(LIKE),)}
    change(stage)
    assert gather(stage.kb, SETTINGS, OfflineLoopConfig(), "g", "", None, None).tried == {}
    again = await stage.session(LIKE)
    assert (again.repeated, again.accepted) == (False, True)
    assert stage.ledger() == (1, [False, True]), "the same trial, with its new verdict"
    known = await stage.session(LIKE)
    assert known.repeated
    assert all(agent.passed for agent in known.agents), "as it was judged last"


async def test_it_is_judged_again_once_what_it_was_like_is_not_traded_any_more(stage: Stage) -> None:
    await stage.session(WHOLE)
    stage.promoter.undo("old")
    assert stage.kb.feature("old").state is FeatureState.CANDIDATE
    again = await stage.session(WHOLE)
    assert not again.repeated
    assert all(agent.passed for agent in again.agents), "the gate lets a whole past what waits"
    assert stage.ledger() == (1, [False, True])


async def test_what_waits_refuses_no_less_once_it_is_traded(stage: Stage) -> None:
    stage.promoter.undo("old")
    twin = "cs_rank(alpha)"
    first = await stage.session(twin)
    assert [agent.agent for agent in first.agents if not agent.passed] == ["diversification"]
    assert (await stage.session(twin)).repeated
    stage.promoter.promote("old", force=True, reason="a test")
    assert (await stage.session(twin)).repeated
    _kill(stage)
    assert (await stage.session(twin)).accepted


async def test_what_was_refused_for_other_reasons_too_stays_on_record(stage: Stage) -> None:
    stage.put("noise", NOISE)
    first = await stage.session(f"ts_mean({NOISE}, 2)")
    failed = [agent.agent for agent in first.agents if not agent.passed]
    assert "diversification" in failed
    assert len(failed) > 1
    stage.promoter.kill("noise", reason="a test")
    assert (await stage.session(f"ts_mean({NOISE}, 2)")).repeated


@pytest.mark.parametrize("older", ["a gate that did otherwise", "a row without a mark"])
async def test_a_refusal_of_a_gate_that_did_otherwise_is_judged_again_once(
    stage: Stage, older: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:
        if older == "a row without a mark":
            past.setattr(Beside, "kept", lambda self, nearest: None)
        else:
            past.setattr(likeness, "RULE", older)
        await stage.session(LIKE)
    assert gate.RULE == likeness.RULE
    assert not (await stage.session(LIKE)).repeated
    assert (await stage.session(LIKE)).repeated
    assert stage.ledger() == (1, [False, False])


async def test_of_two_that_judge_it_again_beside_each_other_one_verdict_is_kept(stage: Stage) -> None:
    await stage.session(LIKE)
    with TrialLedger(stage.kb.journal_path) as ledger:
        (trial,) = ledger.history()
        key: Any = type("Key", (), {"digest": trial.key, **{n: getattr(trial, n) for n in ("canonical", "snapshot")},
                                    "horizon": trial.horizon, "gate": "", "hold": 0, "sign": 1})  # fmt: skip
        rows = [ledger.record(key, who, accepted=who == "one", instead_of=trial.seq) for who in ("one", "two")]
    assert [(row.session, row.accepted, row.repeated) for row in rows] == [("one", True, True)] * 2
    assert stage.ledger() == (1, [False, True])


async def test_an_open_door_judges_beside_the_features_of_now(stage: Stage) -> None:
    desk = Desk(stage.kb, SETTINGS, stage.assessor(), OfflineLoopConfig(), Caps())
    try:
        first = await desk.evaluate("alice", Proposal("like", LIKE))
        assert first["failed"] == ["diversification"]
        assert (await desk.evaluate("alice", Proposal("like", LIKE)))["answered_from_the_record"]
        _kill(stage)
        again = await desk.evaluate("alice", Proposal("like", LIKE))
        assert (again["passed_research"], again["answered_from_the_record"]) == (True, "")
        assert again["trials_left"] == first["trials_left"], "the same trial is paid for once"
        assert (await desk.data_schema())["existing"] == {}
    finally:
        await desk.close()
