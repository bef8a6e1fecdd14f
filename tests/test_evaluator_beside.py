"""A weaker candidate does not stand in the way of the whole; what is traded does, and so does noise on top of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers_evaluator import context, market
from midas_engine.evaluator import DEFAULT_THRESHOLDS, evaluate_values, judge
from midas_engine.evaluator.gates.beside import proven_beside
from midas_engine.loops import PanelAssessor
from midas_engine.market import SyntheticMarket
from midas_engine.proposer import Proposal
from midas_engine.settings import EvaluationSettings, Settings

if TYPE_CHECKING:
    from midas_engine.models import MultiAgentResult

LIMIT = DEFAULT_THRESHOLDS["diversification"]["max_correlation"]


def _beside(
    seed: int, alike: float, waiting: frozenset[str], ic: float = 0.2, part: str = "research"
) -> MultiAgentResult:
    """The whole, judged beside a part of it that correlates with it so much."""
    feature, returns, labels = market(seed, 6000, 1, ic)
    noise = np.random.default_rng([seed, 3]).normal(size=feature.shape)
    old = alike * feature / feature.std() + np.sqrt(1.0 - alike**2) * noise
    data = context(returns, regimes=labels, existing={"part": old}, waiting=waiting, part=part)
    return judge(evaluate_values(feature, data))


def test_a_whole_is_let_past_a_part_that_waits_and_not_past_one_that_is_traded() -> None:
    traded = _beside(8, 0.8, frozenset())
    waits = _beside(8, 0.8, frozenset({"part"}))
    assert waits.evaluation.max_correlation == traded.evaluation.max_correlation > LIMIT
    assert "diversification" in traded.failed_agents
    assert "diversification" not in waits.failed_agents
    gate = next(g for v in waits.verdicts for g in v.gates if g.name == "max_correlation")
    assert gate.passed
    assert gate.value > gate.threshold  # the figure is told as it is, with why it passes
    assert (
        gate.detail
        == f"part, which nobody trades: what it does not explain has a t of {waits.evaluation.marginal_t:.1f}"
    )


@pytest.mark.parametrize("held", [LIMIT + 0.01, LIMIT])
def test_a_traded_one_counts_by_itself_whoever_is_nearest(held: float) -> None:
    found = _beside(8, 0.8, frozenset({"part"})).evaluation
    line = DEFAULT_THRESHOLDS["diversification"]
    beside = dataclasses.replace(found, extra={**found.extra, "held_correlation": held})
    assert proven_beside(found, line, 3.0)
    assert proven_beside(beside, line, 3.0) == (held <= LIMIT)


def test_the_rest_has_to_pass_the_line_on_research_and_the_gate_on_the_sealed_part() -> None:
    line = DEFAULT_THRESHOLDS["diversification"]
    for part, needed in (("research", 3.3), ("sealed", float(line["min_marginal_t"]))):
        found = _beside(8, 0.8, frozenset({"part"}), part=part).evaluation
        for t in (needed - 0.01, needed):
            assert proven_beside(dataclasses.replace(found, marginal_t=t), line, 3.3) == (t >= needed), part


def test_noise_on_top_of_a_candidate_is_refused() -> None:
    through = 0
    for seed in range(100):
        feature, returns, labels = market(seed, 2000, 1, 0.2)
        noise = np.random.default_rng([seed, 4]).normal(size=feature.shape)
        twin = 0.85 * feature / feature.std() + np.sqrt(1.0 - 0.85**2) * noise
        waiting = frozenset({"candidate"})
        data = context(returns, regimes=labels, existing={"candidate": feature}, waiting=waiting)
        through += "diversification" not in judge(evaluate_values(twin, data)).failed_agents
    assert through <= 1  # the line is drawn for one in a hundred and less


async def test_a_session_knows_its_finds_and_the_bases_candidates_from_what_is_deployed() -> None:
    panel = SyntheticMarket(3, bars=3000, symbols=14).panel()
    assessor = PanelAssessor(panel, Settings(evaluation=EvaluationSettings(workers=0)))
    known = {"live": "cs_rank(close)", "waits": "cs_rank(volume)"}
    await assessor.start(known, ("waits",))
    asked = Proposal("asked", "-cs_zscore(funding_rate)")
    held = []
    for found in ({}, {"carry": "cs_rank(-funding_rate)"}):
        verdict = await assessor.judge(asked, "research", 10, DEFAULT_THRESHOLDS, found)
        held.append((verdict.evaluation.most_correlated, verdict.evaluation.extra["held_correlation"]))
    await assessor.close()
    assert held[1][0] == "carry"
    assert held[0][1] == held[1][1] < LIMIT  # what it shares with the live one, whatever was found since
