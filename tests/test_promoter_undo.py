"""Taking back: undo to the byte, kill final, damage survived."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from helpers_kb import record
from midas_engine.errors import DocumentDamagedError, TransitionError, UndoError
from midas_engine.kb.store import KnowledgeBase
from midas_engine.models import FeatureState
from midas_engine.promoter import FeaturePromoter

if TYPE_CHECKING:
    from pathlib import Path

from helpers_promoter import ALLOWED, Stage, act


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


# -- undo -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "action"), [key for key in ALLOWED if key[1] != "kill"], ids=lambda v: v if isinstance(v, str) else None
)
def test_every_action_but_kill_is_undone_and_redone_to_the_byte(stage: Stage, state: str, action: str) -> None:
    promoter = stage.bring(state)
    before = {f: (stage.kb.path / "knowledge/features" / f).read_bytes() for f in stage.files()}
    act(promoter, action)
    after = {f: (stage.kb.path / "knowledge/features" / f).read_bytes() for f in stage.files()}
    assert promoter.undo().action == "undo"
    assert {f: (stage.kb.path / "knowledge/features" / f).read_bytes() for f in stage.files()} == before
    again = FeaturePromoter(KnowledgeBase(stage.kb.path))  # also after a restart
    again.redo()
    assert {f: (stage.kb.path / "knowledge/features" / f).read_bytes() for f in stage.files()} == after
    again.undo()
    assert {f: (stage.kb.path / "knowledge/features" / f).read_bytes() for f in stage.files()} == before


def test_undo_goes_back_step_by_step_and_a_new_action_ends_redo(stage: Stage) -> None:
    p = stage.bring("candidate")
    p.shadow("carry")
    p.promote("carry")
    p.pause("carry")
    p.undo()
    p.undo()
    assert p.feature_status("carry").state is FeatureState.SHADOW
    p.redo()
    assert p.feature_status("carry").state is FeatureState.DEPLOYED
    p.demote("carry", "weak")
    with pytest.raises(UndoError, match="nothing to redo"):
        p.redo()
    for _ in range(3):
        p.undo()
    assert p.feature_status("carry").state is FeatureState.CANDIDATE
    with pytest.raises(UndoError, match="nothing to undo"):
        p.undo()
    assert p.undoable() is None


def test_undo_of_one_feature_leaves_the_others(stage: Stage) -> None:
    p = stage.bring("candidate", "a")
    stage.bring("candidate", "b")
    p.promote("a")
    p.promote("b")
    p.undo("a")
    assert p.list_deployed() == ["b"]
    with pytest.raises(UndoError, match="nothing to undo for a"):
        p.undo("a")
    p.redo("a")
    assert p.list_deployed() == ["a", "b"]


def test_undo_refuses_when_somebody_edited_the_file(stage: Stage) -> None:
    p = stage.bring("deployed")
    path = stage.kb.path / "knowledge/features/deployed/carry.md"
    path.write_text(path.read_text() + "My note.\n")
    with pytest.raises(UndoError, match="changed since promote"):
        p.undo()
    assert path.read_text().endswith("My note.\n")
    assert p.demote("carry", "weak").state is FeatureState.ARCHIVED
    assert (stage.kb.path / "knowledge/features/archived/carry.md").read_text().endswith("My note.\n")


def test_a_kill_is_final(stage: Stage) -> None:
    p = stage.bring("deployed")
    p.kill("carry", "flipped")
    for again in (p.undo, lambda: p.undo("carry")):
        with pytest.raises(UndoError, match="a kill is final"):
            again()
    with pytest.raises(TransitionError, match="carry is killed"):
        p.promote("carry")
    assert p.undoable() is None
    stage.bring("deployed", "other")
    p.undo()  # newer actions on other features are not blocked
    assert p.list_candidates() == ["other"]


def test_killing_twice_is_one_kill_and_survives_a_restart(stage: Stage) -> None:
    p = stage.bring("deployed")
    first = p.kill("carry", "flipped")
    assert p.kill("carry", "again") == first
    again = FeaturePromoter(KnowledgeBase(stage.kb.path))
    assert again.feature_status("carry").killed
    assert again.kill("carry", "").killed
    assert [a.reason for a in again.journal.actions() if a.action == "kill"] == ["flipped"]
    (pending,) = again.pending_kills()
    again.kb.kill_file.told(pending.id)
    assert p.pending_kills() == []


def test_only_a_reasoned_redeploy_brings_a_killed_feature_back(stage: Stage) -> None:
    p = stage.bring("killed")
    back = p.redeploy("carry", "the exchange had sent wrong data")
    assert (back.state, back.killed) == (FeatureState.DEPLOYED, False)
    assert p.kill("carry", "flipped again").killed
    assert len([a for a in p.journal.actions() if a.action == "kill"]) == 2


@pytest.mark.parametrize("rubbish", [b"", b"\xff\xfe", b"---\nname: carry\nexpression: close\nkilled: 'false'\n---\n"])
def test_a_feature_with_a_damaged_file_can_still_be_killed(stage: Stage, rubbish: bytes) -> None:
    p = stage.bring("deployed")
    (stage.kb.path / "knowledge/features/deployed/carry.md").write_bytes(rubbish)
    with pytest.raises(DocumentDamagedError):
        p.pause("carry")
    killed = p.kill("carry", "cannot be read")
    assert killed.killed
    assert killed.expression == record().expression
    assert stage.files() == ["archived/carry.md"]


def test_a_damaged_feature_is_restored_from_the_journal(stage: Stage) -> None:
    p = stage.bring("deployed")
    path = stage.kb.path / "knowledge/features/deployed/carry.md"
    whole = path.read_bytes()
    with pytest.raises(TransitionError, match="not damaged"):
        p.restore("carry")
    path.write_bytes(whole.replace(b"funding_rate, 72", b"funding_rate, 71"))
    assert p.list_deployed() == []
    restored = p.restore("carry")
    assert restored.expression == record().expression
    assert p.list_deployed() == ["carry"]
    (stage.kb.path / "knowledge/features/candidates/never.md").write_bytes(b"x")
    with pytest.raises(TransitionError, match="no copy of never"):
        p.restore("never")
