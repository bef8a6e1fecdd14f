"""The pipeline's actions: what is allowed, what is written, what is told."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from helpers_kb import MEASURED, START, record
from midas_engine.errors import DocumentDamagedError, JournalError, TransitionError
from midas_engine.events import Event, FaultReported, FeatureMoved
from midas_engine.journal import Journal
from midas_engine.kb.store import KnowledgeBase
from midas_engine.models import FeatureState
from midas_engine.promoter import FeaturePromoter, unmet_gates
from midas_engine.promoter.measured import NEEDED

if TYPE_CHECKING:
    from pathlib import Path

from helpers_promoter import ACTIONS, ALLOWED, STATES, Stage, act

UNMEASURED = "not measured: 6 gates unknown"
FAILED = {
    **MEASURED,
    "overall_pass": False,
    "gates": [{"name": "ir", "value": 0.1, "comparison": ">=", "threshold": 0.5, "passed": False}],
}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", STATES)
def test_every_action_from_every_state(stage: Stage, state: str, action: str) -> None:
    promoter = stage.bring(state)
    before = stage.files()
    wanted = ALLOWED.get((state, action))
    preview = promoter.preview(action, "carry")
    assert preview.possible == (wanted is not None and (state, action) != ("killed", "kill"))
    if wanted is None:
        with pytest.raises(TransitionError) as caught:
            act(promoter, action)
        assert caught.value.hint
        assert stage.files() == before
        assert stage.events == []
        return
    act(promoter, action)
    found = promoter.feature_status("carry")
    assert found.state.value == wanted
    assert len(stage.files()) == 1
    if preview.possible:
        assert found.path == next(path for verb, path in preview.changes if verb == "write")
        (event,) = stage.events
        assert isinstance(event, FeatureMoved)
        assert (event.feature, event.action, event.after, event.reason) == ("carry", action, wanted, "because")
        assert found.history[-1]["action"] == action
        assert found.reason == "because"


def test_lists_and_summary_agree(stage: Stage) -> None:
    for state in STATES:
        stage.bring(state, f"f_{state}")
    p = stage.promoter
    assert p.list_candidates() == ["f_candidate"]
    assert p.list_shadow() == ["f_shadow"]
    assert p.list_deployed() == ["f_deployed", "f_paused"]
    assert p.list_archived() == ["f_archived", "f_killed"]
    summary = p.pipeline_summary()
    assert [r.name for r in summary.deployed] == p.list_deployed()
    assert [r.paused for r in summary.deployed] == [False, True]
    assert [len(group) for group in (summary.candidates, summary.shadow, summary.archived)] == [1, 1, 2]


@pytest.mark.parametrize(
    ("state", "action"), [("deployed", "demote"), ("candidate", "reject"), ("deployed", "kill"), ("killed", "redeploy")]
)
@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_reason_is_asked_for(stage: Stage, state: str, action: str, reason: str) -> None:
    promoter = stage.bring(state)
    assert promoter.preview(action, "carry").needs_reason
    with pytest.raises(TransitionError, match="needs a reason"):
        act(promoter, action, reason=reason)


def test_a_reason_is_one_bounded_line(stage: Stage) -> None:
    promoter = stage.bring("candidate")
    promoter.reject("carry", "two\nlines \ud800 " + "x" * 5000)
    reason = promoter.feature_status("carry").reason
    assert reason.startswith("two lines ? x")
    assert len(reason) == 1000
    with pytest.raises(TransitionError, match="must be text"):
        stage.bring("deployed", "other").demote("other", None)  # type: ignore[arg-type]


def test_nothing_is_overwritten(stage: Stage) -> None:
    promoter = stage.bring("archived")
    for name in ("carry",):
        with pytest.raises(TransitionError, match="there already"):
            promoter.save_candidate(record(name))
    promoter.save_candidate(record("other"))
    target = stage.kb.path / "knowledge/features/deployed/other.md"
    for put in (lambda: target.write_text("mine"), lambda: target.symlink_to("/etc/hostname"), target.mkdir):
        put()
        with pytest.raises((TransitionError, DocumentDamagedError)):
            promoter.promote("other")
        target.rmdir() if target.is_dir() and not target.is_symlink() else target.unlink()
    promoter.promote("other")


def test_saving_sets_what_a_candidate_may_not_bring(stage: Stage) -> None:
    saved = stage.promoter.save_candidate(
        record(state=FeatureState.DEPLOYED, killed=True, paused=True, version=7, created_at=None, history=({"a": 1},))
    )
    found = stage.promoter.feature_status("carry")
    assert (found.state, found.killed, found.paused, found.version, found.history) == (
        FeatureState.CANDIDATE,
        False,
        False,
        1,
        (),
    )
    assert found.created_at == START
    assert saved == found


def test_gates_that_are_not_met_ask_for_force(stage: Stage) -> None:
    stage.promoter.save_candidate(record(metrics=FAILED))
    preview = stage.promoter.preview("promote", "carry")
    assert preview.unmet == ("ir 0.1, needs >= 0.5",)
    assert "--force" in preview.command
    with pytest.raises(TransitionError, match="ir 0.1, needs >= 0.5"):
        stage.promoter.promote("carry")
    with pytest.raises(TransitionError, match="needs a reason"):
        stage.promoter.promote("carry", force=True)
    forced = stage.promoter.promote("carry", "a colleague measured it", force=True)
    assert forced.state is FeatureState.DEPLOYED
    assert forced.history[-1]["forced"] == "ir 0.1, needs >= 0.5"


@pytest.mark.parametrize(
    ("metrics", "unmet"),
    [
        ({}, (UNMEASURED,)),
        (MEASURED, ()),
        ({"overall_pass": True}, (UNMEASURED,)),
        ({"rank_ic": 0.03, "score_t": 4.0}, (UNMEASURED,)),  # figures nobody judged
        ({**MEASURED, "overall_pass": False}, ("the evaluation did not pass",)),
        (
            {**MEASURED, "overall_pass": False, "failed_agents": "trading_cost, predictive_power"},
            ("trading_cost", "predictive_power"),
        ),
        ({**MEASURED, "failed_agents": ["trading_cost"]}, ("trading_cost",)),
        ({**MEASURED, "gates": "rubbish", "failed_agents": ""}, ()),
        (
            {**MEASURED, "gates": [{"name": "ir", "passed": False, "value": None}]},
            ("ir unknown, needs  unknown",),
        ),
        (
            {**MEASURED, "rank_ic": math.nan},
            ("not measured: 1 of 6 gates unknown (predictive_power)",),
        ),
        ({**MEASURED, "turnover": "low"}, ("not measured: 1 of 6 gates unknown (trading_cost)",)),
        (
            {k: v for k, v in MEASURED.items() if k not in ("oos_ic", "bars_scored")},
            ("not measured: 3 of 6 gates unknown (decay_analysis, overfit_detection, regime_robustness)",),
        ),
        ({"passed_agents": ", ".join(NEEDED), "overall_pass": True}, ()),
        (
            {"passed_agents": ", ".join(NEEDED), "overall_pass": True, "oos_ic": math.nan},
            ("not measured: 1 of 6 gates unknown (overfit_detection)",),
        ),
    ],
)
def test_unmet_gates_are_read_from_the_figures(metrics: dict[str, object], unmet: tuple[str, ...]) -> None:
    assert unmet_gates(record(metrics=metrics)) == unmet


# -- the journal ----------------------------------------------------------------------------------


def test_a_journal_that_fails_loses_no_action(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    p = stage.bring("candidate")
    original = Journal.append_action

    def refuse(*args: object, **kwargs: object) -> bool:
        raise JournalError("disk full")

    monkeypatch.setattr(Journal, "append_action", refuse)
    p.promote("carry")
    p.kill("carry", "flipped")
    assert p.feature_status("carry").killed
    assert [e.message for e in stage.events if isinstance(e, FaultReported)]
    assert [k.feature for k in p.pending_kills()] == ["carry"]
    monkeypatch.setattr(Journal, "append_action", original)
    again = FeaturePromoter(KnowledgeBase(stage.kb.path))
    assert [a.action for a in again.journal.actions()] == ["save", "promote", "kill"]
    assert [k.feature for k in again.pending_kills()] == ["carry"]
    assert again.kb.transactions.idle


def test_who_did_what_when_is_on_record(stage: Stage) -> None:
    p = stage.bring("candidate")
    stage.clock.advance(60)
    monitor = FeaturePromoter(stage.kb, p.journal, actor="monitor")
    monitor.promote("carry", "looks good")
    action = p.journal.actions()[-1]
    assert (action.actor, action.action, action.reason, action.at) == (
        "monitor",
        "promote",
        "looks good",
        START + timedelta(minutes=1),
    )
    assert action.body["moves"] == [["carry", "candidate", "deployed"]]
    assert set(action.body["before"]) == set(action.body["after"])


def test_an_event_listener_that_raises_does_not_undo_the_action(stage: Stage) -> None:
    def explode(event: Event) -> None:
        raise RuntimeError("a listener's own fault")

    p = stage.bring("candidate")
    loud = FeaturePromoter(stage.kb, p.journal, on_event=explode)
    with pytest.raises(RuntimeError):
        loud.promote("carry")
    assert p.list_deployed() == ["carry"]
    assert stage.kb.transactions.idle
    p.undo()
    assert p.list_candidates() == ["carry"]


def test_the_preview_shows_the_command_and_changes_nothing(stage: Stage) -> None:
    p = stage.bring("deployed")
    before = stage.files()
    preview = p.preview("kill", "carry")
    assert preview.command == f"midas kill carry --kb {stage.kb.path} --reason ..."
    assert (preview.confirmation, preview.undoable, preview.before, preview.after) == (2, False, "deployed", "archived")
    assert preview.changes == (
        ("write", "knowledge/features/archived/carry.md"),
        ("remove", "knowledge/features/deployed/carry.md"),
    )
    assert preview.metrics["rank_ic"] == 0.031
    assert "no feature 'none'" in p.preview("kill", "none").refusal
    with pytest.raises(TransitionError, match="no action"):
        p.preview("delete", "carry")
    assert stage.files() == before
