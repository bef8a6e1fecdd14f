"""What fell short at its sealed look, or is undecided on costs, is promoted only by the record of its forward bars."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from helpers_kb import START, record
from helpers_promoter import Stage
from midas_engine.cli.app import app
from midas_engine.errors import TransitionError
from midas_engine.evaluator.trials.sealed_evidence import sealed_figures, sealed_look, text_mark
from midas_engine.models import FeatureMetrics, FeatureState
from midas_engine.promoter.graduated import GRADUATED, awaited, outcome_id
from midas_engine.runtime.queries import ForwardRecord
from midas_tui.screens.card import card_content
from midas_tui.screens.live_detail import facts
from tests.helpers_loops import FakeAssessor, FixedResearcher, events_of, loop_of, verdict

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.models import FeatureRecord, MultiAgentResult

UNTIL = START - timedelta(days=1)
SHORT = sealed_figures(0.04, 0.02, 3000, UNTIL)


def short_of_the_line(stage: Stage, **more: Any) -> FeatureRecord:
    kept = record("carry")
    stage.promoter.save_candidate(dataclasses.replace(kept, metrics=kept.metrics | SHORT | more))
    return stage.promoter.shadow("carry")


def graduate(stage: Stage, *, actor: str = "monitor", **body: Any) -> None:
    kept = stage.kb.feature("carry")
    look = sealed_look(kept)
    assert look is not None
    stage.promoter.journal.append_action(
        GRADUATED, "carry", id=outcome_id(GRADUATED, "carry", look), actor=actor,
        body={"look": look.key, "expression": kept.expression, **body},
    )  # fmt: skip


def test_short_of_the_line_is_refused_with_what_it_has_and_when_it_is_expected(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    short_of_the_line(stage)
    for t in range(30):
        stage.promoter.journal.record_shadow("carry", UNTIL + timedelta(hours=t), {"score": 0.1})
    with pytest.raises(TransitionError, match=r"sealed p 0.04, needed 0.015; ln e .* after 29 forward bars, about \d+"):
        stage.promoter.promote("carry")
    assert "short of the lifetime's line" in stage.promoter.preview("promote", "carry").unmet[0]
    # as everything that is against a feature: a person may, with a reason, which is kept
    done = stage.promoter.promote("carry", "known from the paper", force=True)
    assert "short of the lifetime's line" in done.history[-1]["forced"]


def test_graduated_is_promoted_without_force(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    short_of_the_line(stage)
    graduate(stage)
    assert not stage.promoter.preview("promote", "carry").unmet
    assert stage.promoter.promote("carry").state is FeatureState.DEPLOYED


@pytest.mark.parametrize(
    "wrong", [{"actor": "operator"}, {"look": "another"}, {"expression": "cs_rank(volume)"}], ids=str
)
def test_only_the_monitors_record_of_this_look_and_text_counts(tmp_path: Path, wrong: dict[str, str]) -> None:
    stage = Stage(tmp_path)
    short_of_the_line(stage)
    graduate(stage, **wrong)
    with pytest.raises(TransitionError, match="short of the lifetime's line"):
        stage.promoter.promote("carry")


def test_the_record_of_a_graduation_stays_and_undo_steps_over_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    short_of_the_line(stage)
    graduate(stage)
    stage.promoter.journal.prune(0.0)
    assert [a.action for a in stage.promoter.journal.actions(feature="carry")][-1] == GRADUATED
    stage.promoter.undo()  # the shadow, not the record
    assert stage.kb.feature("carry").state is FeatureState.CANDIDATE


def test_what_reached_its_line_or_had_no_look_waits_for_nothing() -> None:
    plain = record("carry")
    assert awaited(plain, None) == ()
    reached = sealed_figures(0.001, 0.02, 3000, UNTIL)
    assert awaited(dataclasses.replace(plain, metrics=plain.metrics | reached), None) == ()
    lost = dataclasses.replace(plain, metrics=plain.metrics | SHORT | {"sealed_p": 0.9})
    assert "too weak to go on in shadow" in awaited(lost, None)[0]


def test_a_look_speaks_of_the_text_it_was_of(tmp_path: Path) -> None:
    plain = record("carry")
    marked = dataclasses.replace(plain, metrics=plain.metrics | SHORT | {"sealed_of": text_mark(plain.expression)})
    assert sealed_look(marked) is not None
    edited = dataclasses.replace(marked, expression="cs_rank(-volume)")
    assert sealed_look(edited) is None
    assert awaited(edited, None) == ("its sealed look was of another text: discover it anew",)


def test_undecided_on_costs_goes_to_shadow_only_until_its_forward_bars_decide(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    kept = record("carry")
    costs = {"net_bps": 0.5, "net_se": 0.36, "bars_scored": 5000}
    stage.promoter.save_candidate(dataclasses.replace(kept, metrics=kept.metrics | costs))
    with pytest.raises(TransitionError, match=r"undecided on costs: net \+0.500 ± 0.360 .* about 2,0\d\d more bars"):
        stage.promoter.promote("carry")
    stage.promoter.shadow("carry")
    rng = np.random.default_rng(1)
    for t, net in enumerate(rng.normal(0.6, 2.0, 400)):
        stage.promoter.journal.record_shadow("carry", START + timedelta(hours=t), {"score": 0.1, "net_bps": net})
    assert not stage.promoter.preview("promote", "carry").unmet
    assert stage.promoter.promote("carry").state is FeatureState.DEPLOYED


def test_status_says_how_far_it_is(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    short_of_the_line(stage)
    for t in range(1, 30):
        stage.promoter.journal.record_shadow("carry", UNTIL + timedelta(hours=t), {"score": 0.1})
    said = CliRunner().invoke(app, ["status", "--kb", str(stage.kb.path)])
    assert "Short of the line at their sealed look (1)" in said.output
    assert "after 29 forward bars, about" in said.output
    found = json.loads(CliRunner().invoke(app, ["status", "--json", "--kb", str(stage.kb.path)]).output)
    assert found["graduation"]["carry"]["forward_bars"] == 29
    assert found["graduation"]["carry"]["days_to_go"] > 0
    graduate(stage)
    said = CliRunner().invoke(app, ["status", "--kb", str(stage.kb.path)])
    assert "graduated after 29 forward bars" in said.output


def test_the_card_shows_what_it_has_and_what_is_proposed() -> None:
    record_now = ForwardRecord(START, 216, 0.01, 0.005, 31.5, True, "ln e 1.0 of 5.2, about 40 days more", "")
    plain = dataclasses.replace(record("carry"), state=FeatureState.SHADOW)
    live = FeatureMetrics("carry", START)
    assert "graduates" in card_content(plain, live, record_now).plain
    crossed = dataclasses.replace(record_now, graduation="crossed the line", proposed="promote")
    assert "promote proposed" in card_content(plain, live, crossed).plain
    assert "promote?" in facts(live, plain, [], crossed, "").plain


class ShortAssessor(FakeAssessor):
    """Everything passes but the sealed look, which falls short by a little."""

    def __init__(self, p: float) -> None:
        super().__init__(lambda expression, part: True)
        self._p = p

    async def judge(self, *args: Any) -> MultiAgentResult:
        found = verdict(args[1], True, t=3.5, ic=0.03)
        if args[1] != "sealed":
            return found
        extra = {**found.evaluation.extra, "until": "2025-03-01T00:00:00.000000000", "hours_per_bar": 4.0}
        short = dataclasses.replace(found.evaluation, score_p=self._p, bars_scored=3000, extra=extra)
        return dataclasses.replace(found, evaluation=short)


async def test_a_session_keeps_what_is_sound_and_short_for_shadow(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, FixedResearcher(["cs_rank(-funding_rate)"]))
    events = await events_of(loop, ShortAssessor(0.03))
    told = json.dumps([str(e) for e in events])
    assert "sound and short of the lifetime's line: kept as a candidate for shadow" in told
    assert "days more" in told
    assert loop.kb.learnings()[0].accepted == ()  # the researcher hears nothing of it
    kept = loop.kb.features(FeatureState.CANDIDATE)[0]
    look = sealed_look(kept)
    assert look is not None
    assert (look.evidence.p, look.evidence.bars, look.hours_per_bar) == (0.03, 3000, 4.0)
    assert "short of the lifetime's line" in awaited(kept, None)[0]


async def test_a_session_keeps_nothing_of_what_is_unsound(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, FixedResearcher(["cs_rank(-funding_rate)"]))
    await events_of(loop, ShortAssessor(0.6))
    assert loop.kb.features() == []
