"""Fix and redeploy: versions, lineage, one swap, one way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from helpers_kb import MEASURED, record
from midas_engine.errors import TransitionError
from midas_engine.kb.store import KnowledgeBase
from midas_engine.models import FeatureState
from midas_engine.promoter import FeaturePromoter

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def promoter(tmp_path: Path) -> FeaturePromoter:
    promoter = FeaturePromoter(KnowledgeBase(tmp_path / "kb"))
    promoter.save_candidate(record())
    promoter.promote("carry")
    return promoter


def test_a_version_is_a_candidate_with_its_lineage(promoter: FeaturePromoter) -> None:
    fix = promoter.propose_version(
        "carry", "neg(cs_rank(funding_rate))", "faster", session_id="s9", metrics={"overall_pass": True}
    )
    assert (fix.name, fix.version, fix.lineage, fix.state) == ("carry@2", 2, ("carry",), FeatureState.CANDIDATE)
    assert (fix.reason, fix.session_id, fix.hypothesis, fix.expected_score) == (
        "faster",
        "s9",
        record().hypothesis,
        None,
    )
    assert promoter.propose_version("carry", "neg(close)", "again").name == "carry@3"
    promoter.reject("carry@3", "worse")
    third = promoter.propose_version("carry@2", "neg(open)", "and again")
    assert (third.name, third.lineage) == ("carry@4", ("carry", "carry@2"))
    assert promoter.list_deployed() == ["carry"]


def test_two_versions_are_never_live_at_once(promoter: FeaturePromoter) -> None:
    promoter.propose_version("carry", "neg(close)", "fix", metrics=MEASURED)
    promoter.shadow("carry@2")
    with pytest.raises(TransitionError, match="another version"):
        promoter.promote("carry@2")
    assert not promoter.preview("promote", "carry@2").possible
    preview = promoter.preview("redeploy", "carry@2")
    assert sorted(preview.changes) == [
        ("remove", "knowledge/features/candidates/carry@2.md"),
        ("remove", "knowledge/features/deployed/carry.md"),
        ("write", "knowledge/features/archived/carry.md"),
        ("write", "knowledge/features/deployed/carry@2.md"),
    ]
    promoter.redeploy("carry@2")
    assert promoter.list_deployed() == ["carry@2"]
    assert promoter.list_archived() == ["carry"]


def test_roll_back_and_forth(promoter: FeaturePromoter) -> None:
    promoter.propose_version("carry", "neg(close)", "fix", metrics=MEASURED)
    promoter.redeploy("carry@2", "the fix is better")
    back = promoter.rollback("carry@2")
    assert back.name == "carry"
    assert promoter.list_deployed() == ["carry"]
    assert promoter.feature_status("carry@2").reason == "rolled back from carry@2"
    with pytest.raises(TransitionError, match="replaced nothing"):
        promoter.rollback("carry")
    promoter.redeploy("carry@2")
    assert promoter.rollback("carry", "again").name == "carry"


def test_a_swap_is_undone_as_one(promoter: FeaturePromoter) -> None:
    promoter.propose_version("carry", "neg(close)", "fix", metrics=MEASURED)
    promoter.redeploy("carry@2")
    promoter.undo()
    assert (promoter.list_deployed(), promoter.list_candidates()) == (["carry"], ["carry@2"])
    promoter.redo()
    assert (promoter.list_deployed(), promoter.list_archived()) == (["carry@2"], ["carry"])
    promoter.rollback("carry")
    promoter.undo()
    assert promoter.list_deployed() == ["carry@2"]


def test_a_killed_version_is_not_rolled_back_to(promoter: FeaturePromoter) -> None:
    promoter.propose_version("carry", "neg(close)", "fix", metrics=MEASURED)
    promoter.kill("carry", "flipped")
    promoter.redeploy("carry@2")
    with pytest.raises(TransitionError, match="replaced nothing"):
        promoter.rollback("carry")
    assert promoter.feature_status("carry").killed


def test_redeploying_an_old_version_swaps_the_live_one_out(promoter: FeaturePromoter) -> None:
    promoter.propose_version("carry", "neg(close)", "fix", metrics=MEASURED)
    promoter.redeploy("carry@2")
    promoter.redeploy("carry")
    assert (promoter.list_deployed(), promoter.list_archived()) == (["carry"], ["carry@2"])
    assert promoter.rollback("carry").name == "carry@2"


def test_a_version_that_fails_its_gates_asks_for_force(promoter: FeaturePromoter) -> None:
    promoter.propose_version("carry", "neg(close)", "fix", metrics={**MEASURED, "overall_pass": False})
    with pytest.raises(TransitionError, match="did not pass"):
        promoter.redeploy("carry@2")
    with pytest.raises(TransitionError, match="needs a reason"):
        promoter.redeploy("carry@2", force=True)
    forced = promoter.redeploy("carry@2", "known to hold", force=True)
    assert forced.history[-1]["forced"] == "the evaluation did not pass"
    assert promoter.list_deployed() == ["carry@2"]


def test_the_reference_score_is_stored_with_the_feature(promoter: FeaturePromoter) -> None:
    promoter.calibrate("carry", 0.033, breadth=12)
    found = promoter.feature_status("carry")
    assert (found.expected_score, found.breadth) == (0.033, 12.0)
    promoter.undo()
    assert promoter.feature_status("carry").expected_score == record().expected_score
    promoter.undo()
    promoter.promote("carry", expected_score=0.04)
    assert promoter.feature_status("carry").expected_score == 0.04
    promoter.undo()
    assert promoter.list_candidates() == ["carry"]


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_reference_score_is_a_number(promoter: FeaturePromoter, score: float) -> None:
    with pytest.raises(TransitionError, match="finite"):
        promoter.calibrate("carry", score)
    assert promoter.feature_status("carry").expected_score == record().expected_score
