"""A claim: what it may say, that it is kept before it is scored, and that horizon and holding are what is scored."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine import events as ev
from midas_engine.dsl.expression import parse
from midas_engine.errors import EvaluationError
from midas_engine.evaluator import TrialLedger, evaluate_values
from midas_engine.events.codec import from_dict, to_dict
from midas_engine.hypothesis import Hypothesis
from midas_engine.kb import KnowledgeBase
from midas_engine.loops.expressions import cleaned
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.proposer import Plan, Proposal
from tests.helpers_evaluator import context, market
from tests.helpers_loops import FakeAssessor, FixedResearcher, events_of, loop_of

if TYPE_CHECKING:
    from pathlib import Path

CLAIM = Hypothesis("crowded longs pay to stay", sign=-1, horizon=8, holding=24)


class Claims(FixedResearcher):
    """Proposes what it is given, whole."""

    def __init__(self, *proposals: Proposal) -> None:
        super().__init__()
        self._waiting = list(proposals)

    async def write(self, context: Any, plan: Plan, count: int, on_text: Any) -> list[Proposal]:
        return self._waiting


@pytest.mark.parametrize(
    ("field", "value"),
    [("sign", 0), ("sign", True), ("horizon", -1), ("horizon", 49), ("holding", 481), ("holding", 2.5)],
)
def test_a_field_out_of_its_range_is_named(field: str, value: Any) -> None:
    with pytest.raises(EvaluationError, match=field):
        Hypothesis(**{field: value})


def test_every_proposal_carries_a_claim_and_one_of_the_other_sign_is_turned() -> None:
    clean, canonical, _ = cleaned(Proposal("f", "cs_rank(funding_rate)", "why", hypothesis=CLAIM), parse, 1)
    assert canonical == parse("-cs_rank(funding_rate)").canonical
    assert clean.hypothesis == dataclasses.replace(CLAIM, columns=("funding_rate",))
    assert (clean.hold, clean.horizon) == (24, 8)
    plain, *_ = cleaned(Proposal("f", "cs_rank(close)", "why"), parse, 4)
    assert plain.hypothesis == Hypothesis("why", horizon=4, columns=("close",))
    assert (plain.hold, plain.horizon) == (0, 4)


def test_a_holding_of_the_horizon_is_the_same_trial_as_none_said() -> None:
    said = Proposal("f", "close", hypothesis=Hypothesis(horizon=8, holding=8))
    clean, *_ = cleaned(said, parse, 1)
    assert (clean.hold, clean.horizon) == (0, 8)


def test_an_event_is_scored_over_its_hold_whatever_the_horizon_says() -> None:
    gated = Proposal("f", "close", gate="volume > 0", hold=12, hypothesis=Hypothesis(horizon=8))
    clean, *_ = cleaned(gated, parse, 1)
    assert (clean.hold, clean.horizon) == (12, 0)


@pytest.mark.parametrize("symbols", [1, 12])
def test_a_feature_is_scored_at_its_own_horizon(symbols: int) -> None:
    feature, returns, labels = market(3, 3000, symbols, 0.05)
    wide = context(returns, (1, 8), regimes=labels)
    aimed = evaluate_values(feature, wide.aimed(8))
    asked = evaluate_values(feature, context(returns, (1, 8), regimes=labels, target=8))
    assert aimed.horizon_bars == 8
    assert (aimed.score_t, aimed.net_bps, aimed.oos_ic) == (asked.score_t, asked.net_bps, asked.oos_ic)
    # one that was not asked for is made from single bars
    other = evaluate_values(feature, wide.aimed(6))
    assert other.horizon_bars == 6
    assert np.isfinite(other.score_t)
    assert wide.aimed(0) is wide.aimed(wide.target) is wide


@pytest.mark.parametrize("symbols", [1, 12])
def test_holding_sets_turnover_and_leaves_the_score(symbols: int) -> None:
    feature, returns, _ = market(4, 3000, symbols, 0.05, rho=0.5)
    world = context(returns, (1,))
    short, held = (evaluate_values(feature, world, hold=bars) for bars in (0, 24))
    assert held.score_t == short.score_t
    assert held.turnover == short.turnover
    assert held.extra["held_turnover"] < 0.2 * short.extra["held_turnover"]


async def test_a_claim_is_kept_before_it_is_scored_and_another_horizon_is_another_trial(tmp_path: Path) -> None:
    heard: list[str] = []
    texts = [Proposal(f"f{h}", "cs_rank(funding_rate)", hypothesis=Hypothesis("m", horizon=h)) for h in (1, 8)]
    assessor = FakeAssessor(lambda *_: True, before=lambda *_: heard.append("judged"))
    loop = loop_of(tmp_path, Claims(*texts), candidates_per_iter=2, refinements=0)
    events = await events_of(loop, assessor)
    told = [e for e in events if isinstance(e, ev.ExpressionProposed)]
    assert [e.hypothesis and e.hypothesis.horizon for e in told] == [1, 8]
    assert all(from_dict(to_dict(e)) == e for e in told)
    assert events.index(told[0]) < next(i for i, e in enumerate(events) if isinstance(e, ev.CandidateScored))
    with TrialLedger(loop.kb.journal_path, read_only=True) as ledger:
        rows = ledger.history()
    assert [row.summary["hypothesis"]["horizon"] for row in rows] == [1, 8]
    assert len({row.key for row in rows}) == 2
    assert [r.horizon_bars for r in loop.kb.features()] == [1, 8]


def test_horizon_and_role_survive_the_document(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    kb.write_feature(
        FeatureRecord("carry", "funding_rate", FeatureState.CANDIDATE, horizon_bars=8, hold_bars=24, role="book")
    )
    found = kb.feature("carry")
    assert (found.horizon_bars, found.hold_bars, found.role) == (8, 24, "book")
