"""A weaker candidate does not stand in the way of the whole; what is traded does, and so does noise on top of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import rankdata

from benchmarks.statistics.sim_beside import TWINS, twin
from helpers_evaluator import ar1, context, market
from midas_engine.evaluator import DEFAULT_THRESHOLDS, evaluate_values, judge
from midas_engine.evaluator.gates.beside import OWN_SHARE, proven_beside
from midas_engine.loops import PanelAssessor
from midas_engine.market import SyntheticMarket
from midas_engine.proposer import Proposal
from midas_engine.settings import EvaluationSettings, Settings
from midas_engine.stats.hac import hac_lag
from midas_engine.stats.normal_scores import location_table, scores_of_ranks
from midas_engine.stats.ranks import own_ranks

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
        found = dataclasses.replace(_beside(8, 0.8, frozenset({"part"}), part=part).evaluation, score_t=6.0)
        for t in (needed - 0.01, needed):
            assert proven_beside(dataclasses.replace(found, marginal_t=t), line, 3.3) == (t >= needed), part


@pytest.mark.parametrize("part", ["research", "sealed"])
def test_the_rest_has_to_be_a_share_of_the_whole(part: str) -> None:
    line = DEFAULT_THRESHOLDS["diversification"]
    found = _beside(8, 0.8, frozenset({"part"}), part=part).evaluation
    needed = OWN_SHARE**0.5 * 20.0
    for t in (needed - 0.01, needed + 0.01):
        held = dataclasses.replace(found, score_t=20.0, marginal_t=t)
        assert proven_beside(held, line, 3.3) == (t > needed)


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_adds_nothing_and_is_refused(name: str) -> None:
    seeds = 40
    found = [twin(name, seed, 2000, 1, 0.3) for seed in range(seeds)]
    assert sum("diversification" not in v.failed_agents for v in found) <= 1
    t = np.array([v.evaluation.marginal_t for v in found])
    assert np.isfinite(t).all()
    assert abs(t.mean()) < 4.0 / seeds**0.5 + 0.3  # the score of returns is not quite straight
    assert t.std() < 1.4


@pytest.mark.parametrize("name", ["noise on top", "in steps", "smoothed", "ranked again", "scaled by a column"])
def test_a_twin_is_refused_across_symbols_however_strong_the_candidate_is(name: str) -> None:
    found = [twin(name, seed, 2500, 12, 0.15) for seed in range(10)]
    assert min(v.evaluation.score_t for v in found) > 10.0
    assert all("diversification" in v.failed_agents for v in found if v.evaluation.max_correlation > LIMIT)


@pytest.mark.parametrize("symbols", [1, 4])
def test_twins_of_a_price_that_says_nothing_pass_as_seldom_as_noise(symbols: int) -> None:
    through = []
    for seed in range(30):
        _, returns, labels = market(seed, 1500, symbols)
        price = -np.vstack([np.zeros((1, symbols)), np.cumsum(returns, axis=0)[:-1]])
        data = context(returns, regimes=labels, existing={"price": price}, waiting=frozenset({"price"}))
        for name in ("smoothed", "a column beside it", "ranked again"):
            values = TWINS[name](price / price.std(), np.random.default_rng([seed, 4]))
            through.append(evaluate_values(values, data).marginal_t > 1.645)
    assert 0 <= sum(through) <= 12  # 4.5 of 90 are meant


def test_the_t_of_the_rest_is_that_of_a_regression_on_all_of_them() -> None:
    sm = pytest.importorskip("statsmodels.api")
    for seed in range(5):
        feature, returns, labels = market(seed, 4000, 1, 0.15)
        rng = np.random.default_rng([seed, 4])
        parts = {name: 0.8 * feature + 0.6 * ar1(rng, 0.9, feature.shape) for name in ("one", "other")}
        data = context(returns, regimes=labels, existing=parts, waiting=frozenset(parts))
        result = evaluate_values(feature, data)
        rows, order, _ = data.scaled(1)
        known = np.isfinite(rows[0])
        columns = [feature[known, 0], *(p[known, 0] for p in parts.values())]
        z = [ndtri(rankdata(c) / (known.sum() + 1.0)) for c in columns]
        y = scores_of_ranks(*own_ranks(rows, order), 30, location_table)[0, known]
        fit = sm.OLS(y, sm.add_constant(np.column_stack(z))).fit(
            cov_type="HAC", cov_kwds={"maxlags": hac_lag(1), "use_correction": True}
        )
        # What a score explains itself stays in its error: a little less than the regression's.
        assert 0.88 < result.marginal_t / fit.tvalues[1] < 1.01, seed


def test_twins_that_come_one_after_the_other_do_not_fill_a_base() -> None:
    feature, returns, labels = market(3, 4000, 1, 0.3)
    rng = np.random.default_rng(4)
    kept = {"candidate": feature}
    for turn in range(40):
        again = 0.9 * feature + 0.44 * rng.normal(size=feature.shape)
        data = context(returns, regimes=labels, existing=kept, waiting=frozenset(kept))
        if "diversification" not in judge(evaluate_values(again, data), trials=60 + turn).failed_agents:
            kept[f"twin {turn}"] = again
    assert len(kept) <= 2


@pytest.mark.parametrize("own", [False, True])
def test_a_chain_of_wholes_is_short(own: bool) -> None:
    feature, returns, labels = market(5, 6000, 1, 0.3)
    noises = ar1(np.random.default_rng(4), 0.95, (6000, 60))
    kept: dict[str, np.ndarray] = {}
    for turn, alike in enumerate(np.linspace(0.86, 0.999, 60)):  # each a little more of what is there
        noise = noises[:, [turn if own else 0]]
        part = alike * feature + np.sqrt(1.0 - alike**2) * noise
        data = context(returns, regimes=labels, existing=kept, waiting=frozenset(kept))
        if not kept or "diversification" not in judge(evaluate_values(part, data), trials=60).failed_agents:
            kept[f"{alike:.3f}"] = part
    assert 2 <= len(kept) <= 6, sorted(kept)


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
