"""One identity: a formula is tried once on a data set and saved once, whatever session, process or spelling."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine import events as ev
from midas_engine.dsl.expression import canonical
from midas_engine.evaluator import TrialLedger
from midas_engine.kb import KnowledgeBase
from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.promoter import FeaturePromoter
from midas_engine.proposer.local_researcher import LocalResearcher
from midas_engine.settings import CostSettings, EvaluationSettings, Settings
from tests.helpers_cli import ROOT
from tests.helpers_loops import FakeAssessor, FixedResearcher, events_of
from tests.many_sessions_kb import session

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Settings(evaluation=EvaluationSettings(workers=0))
CARRY, SAME = "cs_rank(neg(funding_rate))", "cs_rank(funding_rate * -3)"


def _all(expression: str, part: str) -> bool:
    return True


class Stage:
    """A base, and sessions on it one after another."""

    def __init__(self, folder: Path) -> None:
        self.kb = KnowledgeBase(folder / "kb")
        self.promoter = FeaturePromoter(self.kb)

    async def session(self, *texts: str, passes: Any = _all, settings: Settings = QUICK, data: str = "one") -> Any:
        """Run one; returns its events and the assessor."""
        researcher = FixedResearcher(texts)
        assessor = FakeAssessor(passes)
        assessor.snapshot_id = data
        loop = OfflineCompoundLoop(
            self.kb, lambda: researcher, promoter=self.promoter, settings=settings,
            config=OfflineLoopConfig(max_iterations=1, candidates_per_iter=len(texts)),
        )  # fmt: skip
        return await events_of(loop, assessor), assessor

    def names(self) -> list[str]:
        return [r.name for r in self.kb.features()]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def _scores(events: list[ev.Event]) -> list[ev.CandidateScored]:
    return [e for e in events if isinstance(e, ev.CandidateScored)]


@pytest.mark.parametrize("state", list(FeatureState))
async def test_a_repeat_is_answered_from_the_record_whatever_became_of_it(stage: Stage, state: FeatureState) -> None:
    await stage.session(CARRY)
    name = stage.names()[0]
    if state is FeatureState.SHADOW:
        stage.promoter.shadow(name)
    elif state is FeatureState.DEPLOYED:
        stage.promoter.promote(name, force=True, reason="a test")
    elif state is FeatureState.ARCHIVED:
        stage.promoter.reject(name, reason="a test")
    events, assessor = await stage.session(SAME)
    assert assessor.judged == []
    (score,) = _scores(events)
    assert score.repeated
    assert not score.accepted
    assert score.score_t == 3.5
    assert len(score.agents) == 6
    assert len(stage.kb.features()) == 1
    assert f"{name} ({state.value})" in "".join(e.text for e in events if isinstance(e, ev.TokensStreamed))
    with TrialLedger(stage.kb.journal_path, read_only=True) as ledger:
        assert ledger.counted() == 1


async def test_a_refusal_is_answered_too_and_reaches_the_researcher(stage: Stage) -> None:
    await stage.session(CARRY, passes=lambda e, part: False)
    events, assessor = await stage.session(SAME, passes=lambda e, part: False)
    assert assessor.judged == []
    assert _scores(events)[0].repeated
    learning = stage.kb.learnings(1)[0]
    assert learning.metrics["known_before"] == 1
    assert learning.metrics["best_t"] == 3.5


async def test_the_same_formula_on_other_data_is_another_trial(stage: Stage) -> None:
    await stage.session(CARRY, passes=lambda e, part: False)
    _, assessor = await stage.session(CARRY, passes=lambda e, part: False, data="two")
    assert [part for _, part in assessor.judged] == ["research"]
    with TrialLedger(stage.kb.journal_path, read_only=True) as ledger:
        assert ledger.counted() == 2


async def test_other_rules_judge_anew_and_charge_nothing(stage: Stage) -> None:
    await stage.session(CARRY, passes=lambda e, part: False)
    dear = Settings(evaluation=EvaluationSettings(workers=0), costs=CostSettings(fee_bps=1.0))
    events, assessor = await stage.session(SAME, settings=dear)
    assert [part for _, part in assessor.judged] == ["research", "sealed"]
    assert len(stage.kb.features()) == 1
    assert _scores(events)[0].accepted
    with TrialLedger(stage.kb.journal_path, read_only=True) as ledger:
        assert ledger.counted() == 1


async def test_what_passed_and_was_never_saved_is_saved_by_the_next_session(stage: Stage) -> None:
    await stage.session(CARRY)
    next((stage.kb.path / "knowledge/features/candidates").glob("*.md")).unlink()
    await stage.session(SAME)
    assert len(stage.names()) == 1


async def test_a_feature_made_by_hand_is_not_made_again(stage: Stage) -> None:
    stage.promoter.save_candidate(FeatureRecord("by_hand", CARRY, FeatureState.CANDIDATE))
    events, _ = await stage.session(SAME)
    assert stage.names() == ["by_hand"]
    assert not _scores(events)[0].accepted


async def test_candidates_of_the_base_are_what_a_find_must_differ_from(stage: Stage) -> None:
    await stage.session(CARRY)
    _, assessor = await stage.session("cs_rank(close)", passes=lambda e, part: False)
    assert assessor.existing == {stage.names()[0]: CARRY}


def test_twenty_sessions_in_parallel_processes_save_no_candidate_twice(tmp_path: Path) -> None:
    folder = tmp_path / "kb"
    driver = [sys.executable, str(ROOT / "tests" / "many_sessions_kb.py"), str(folder), "20"]
    done = subprocess.run(driver, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    saved = [name for names in json.loads(done.stdout) for name in names]
    kb = KnowledgeBase(folder)
    forms = [canonical(r.expression) for r in kb.features()]
    assert len(forms) == len(set(forms)) == len(saved) == 3
    with TrialLedger(kb.journal_path, read_only=True) as ledger:
        assert ledger.counted() == 3
        assert ledger.verify() == []
    for number in range(3):  # and one after another, in the other spellings too
        assert asyncio.run(session(str(folder), number)) == []
    assert len(kb.features()) == 3


class _Counted(dict[str, str]):
    """Counts how often it is asked."""

    asked = 0

    def __contains__(self, key: object) -> bool:
        self.asked += 1
        return super().__contains__(key)


def test_naming_costs_the_same_after_a_thousand_names() -> None:
    researcher = LocalResearcher(7)
    researcher._stories = names = _Counted()
    for _ in range(1_000):
        researcher._name("momentum_24")
    assert names.asked <= 2_000
    assert researcher._name("momentum_24") == "momentum_24_v1001"
