"""`evaluate_values`: what the figures are, what they do not depend on, and what bad input gives."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import stats

from helpers_evaluator import ar1, context, forwards, market, stamps
from midas_engine.errors import EvaluationError
from midas_engine.evaluator.context.evaluation_context import EvaluationContext
from midas_engine.evaluator.gates.verdict import judge
from midas_engine.evaluator.metrics.evaluate import evaluate_values
from midas_engine.settings import CostSettings


def test_rank_ic_and_ic_of_a_series_equal_scipy() -> None:
    feature, returns, labels = market(1, 3000, 1, 0.05)
    result = evaluate_values(feature, context(returns, regimes=labels))
    for h, r in forwards(returns).items():
        ok = ~np.isnan(r[:, 0])
        expected = stats.spearmanr(feature[ok, 0], r[ok, 0]).statistic
        assert result.ic_by_horizon[f"ret_{h}h"].value == pytest.approx(expected, abs=1e-12)
    assert result.ic.value == pytest.approx(stats.pearsonr(feature[:, 0], returns[:, 0]).statistic, abs=1e-9)


def test_rank_ic_of_a_panel_is_the_mean_of_per_bar_spearman() -> None:
    feature, returns, _ = market(2, 700, 15, 0.1)
    feature[np.random.default_rng(0).random(feature.shape) < 0.05] = np.nan
    result = evaluate_values(feature, context(returns, (1, 4)))
    per_bar = []
    for t in range(700):
        ok = ~np.isnan(feature[t]) & ~np.isnan(returns[t])
        if ok.sum() >= 10:
            per_bar.append(stats.spearmanr(feature[t, ok], returns[t, ok]).statistic)
    assert result.rank_ic.value == pytest.approx(np.mean(per_bar), abs=1e-9)


@pytest.mark.parametrize("symbols", [1, 14])
@pytest.mark.parametrize("change", [lambda v: 0.001 * v, lambda v: 1000 * v, np.exp, np.arctan])
def test_verdicts_do_not_depend_on_scale_or_shape(symbols: int, change: object) -> None:
    feature, returns, labels = market(3, 2000, symbols, 0.05)
    other, _, _ = market(33, 2000, symbols)
    data = context(returns, (1, 4), regimes=labels, existing={"other": other})
    a, b = judge(evaluate_values(feature, data)), judge(evaluate_values(change(feature), data))
    assert repr(a.verdicts) == repr(b.verdicts)
    assert a.evaluation.rank_ic == b.evaluation.rank_ic
    assert a.composite_score == b.composite_score


def test_breadth_multiplies_information() -> None:
    """On 20 independent symbols t grows by the root of the effective breadth."""
    one, many = [], []
    for seed in range(6):
        f, r, _ = market(seed, 2500, 20, 0.05)
        panel = evaluate_values(f, context(r, (1,)))
        assert panel.effective_breadth == pytest.approx(19, rel=0.15)
        many.append(panel.score_t / math.sqrt(panel.effective_breadth))
        one.append(evaluate_values(f[:, :1], context(r[:, :1], (1,))).score_t)
    assert np.mean(many) == pytest.approx(np.mean(one), abs=1.0)


def test_breadth_of_copies_is_one() -> None:
    f, r, _ = market(4, 1500, 1, 0.05)
    result = evaluate_values(np.repeat(f, 5, axis=1), context(np.repeat(r, 5, axis=1), (1,)))
    assert result.effective_breadth == pytest.approx(1.0)


@pytest.mark.parametrize("symbols", [1, 12])
def test_useless_features_are_refused_without_a_warning(symbols: int) -> None:
    feature, returns, labels = market(5, 2000, symbols)
    data = context(returns, (1, 4), regimes=labels, existing={"other": feature + 1})
    rng = np.random.default_rng(0)
    sparse = np.where(rng.random(feature.shape) < 0.01, feature, np.nan)
    cases = {
        "nothing": np.full_like(feature, np.nan),
        "constant": np.ones_like(feature),
        "sparse": sparse,
        "infinite": np.where(feature > 0, np.inf, feature),
        "one value": np.where(np.arange(len(feature))[:, None] == 7, 1.0, np.nan) + 0 * feature,
        "huge": feature * 1e300,
        "tiny": feature * 1e-300,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, values in cases.items():
            verdict = judge(evaluate_values(values, data, name), trials=60)
            assert not verdict.overall_pass, name
            assert 0.0 <= verdict.evaluation.coverage <= 1.0
            assert len(verdict.verdicts) == 6
    empty = judge(evaluate_values(cases["nothing"], data))
    assert empty.evaluation.coverage == 0.0
    assert "coverage 0.0%" in empty.verdicts[0].summary
    assert evaluate_values(cases["infinite"], data).warnings[0].endswith("infinite values were treated as missing")


def test_the_forward_return_itself_is_implausible() -> None:
    _, returns, labels = market(6, 2000)
    verdict = judge(evaluate_values(returns, context(returns, regimes=labels)))
    assert not verdict.statistical_pass
    assert "implausible" in verdict.suggestions[0]


def test_a_feature_that_works_backwards_is_told_to_flip() -> None:
    feature, returns, labels = market(7, 4000, 1, 0.1)
    data = context(returns, regimes=labels)
    assert "flip the sign" in judge(evaluate_values(-feature, data)).suggestions[0]
    assert judge(evaluate_values(feature, data), trials=60).statistical_pass


def test_a_deployed_copy_is_refused_and_adds_nothing() -> None:
    feature, returns, labels = market(8, 3000, 1, 0.1)
    noise = np.random.default_rng(0).normal(size=feature.shape)
    data = context(returns, regimes=labels, existing={"noise": noise, "old": np.exp(feature)})
    result = evaluate_values(feature, data)
    assert result.max_correlation == pytest.approx(1.0, abs=1e-6)
    assert result.most_correlated == "old"
    assert result.marginal_ic.value == 0.0
    verdict = judge(result)
    assert "diversification" in verdict.failed_agents
    assert any("old" in tip for tip in verdict.suggestions)


def test_a_new_feature_keeps_its_marginal_ic_beside_a_deployed_one() -> None:
    feature, returns, labels = market(9, 6000, 1, 0.08)
    old = 0.5 * feature + ar1(np.random.default_rng(1), 0.95, feature.shape)
    result = evaluate_values(feature, context(returns, regimes=labels, existing={"old": old}))
    assert 0.3 < result.max_correlation < 0.6
    assert result.marginal_t > 2
    assert result.marginal_ic.value > 0.02


def test_costs_and_funding_move_net_but_not_gross() -> None:
    feature, returns, _ = market(10, 3000, 1, 0.1)
    cheap = evaluate_values(feature, context(returns, costs=CostSettings(0.0, 0.0, 0.0)))
    dear = evaluate_values(feature, context(returns, costs=CostSettings(20.0, 5.0, 5.0)))
    assert cheap.gross_bps == dear.gross_bps == pytest.approx(cheap.net_bps)
    assert cheap.gross_bps - dear.net_bps == pytest.approx(30.0 * dear.turnover)
    assert dear.break_even_ic > 0 == cheap.break_even_ic
    long_only = np.where(feature > 0, 2.0, -1.0)
    funded = evaluate_values(long_only, context(returns, funding=np.where(feature > 0, 1e-4, 0.0)))
    assert funded.extra["funding_bps"] > 0.1
    assert funded.net_bps == pytest.approx(
        funded.gross_bps - funded.turnover * funded.cost_bps - funded.extra["funding_bps"]
    )


def test_bar_size_and_annualisation_come_from_the_data() -> None:
    feature, returns, _ = market(11, 3000, 1, 0.05)
    hourly = evaluate_values(feature, context(returns))
    minutes = EvaluationContext.from_returns(forwards(returns), timestamps=stamps(3000, 300), bar_seconds=300.0)
    five = evaluate_values(feature, minutes)
    assert set(five.ic_by_horizon) == {"ret_5m", "ret_20m", "ret_2h"}
    assert five.bars_per_year == pytest.approx(12 * hourly.bars_per_year)
    assert five.ir.value == pytest.approx(hourly.ir.value * math.sqrt(12))


def test_long_horizons_take_the_weaker_of_hac_and_bootstrap() -> None:
    from midas_engine.evaluator.metrics.significance import time_figures
    from midas_engine.stats.bootstrap import block_length, bootstrap_se

    u = np.convolve(np.random.default_rng(3).normal(size=4047), np.ones(48), "valid")
    figures = time_figures(u, 48, 0.0)
    assert figures.se >= bootstrap_se(u, block_length(48)) * 0.999
    assert figures.t == pytest.approx(figures.mean / figures.se)


def test_regimes_are_judged_one_by_one() -> None:
    feature, returns, _ = market(12, 6000, 1, 0.12)
    labels = np.where(np.arange(6000) % 2000 < 1000, "GOOD", "BAD")
    flipped = np.where((labels == "BAD")[:, None], -feature, feature)
    verdict = judge(evaluate_values(flipped, context(returns, regimes=labels)))
    robust = verdict.verdicts[5]
    assert not robust.passed
    assert "BAD" in robust.summary
    assert verdict.evaluation.ic_by_regime["GOOD"].value > 0 > verdict.evaluation.ic_by_regime["BAD"].value
    short = np.where(np.arange(6000) < 100, "RARE", "COMMON")
    result = evaluate_values(feature, context(returns, regimes=short))
    assert result.regime_bars["RARE"] < 300
    assert "RARE" not in result.ic_by_regime


def test_a_feature_that_dies_is_seen_by_the_folds() -> None:
    feature, returns, _ = market(13, 8000, 1, 0.15)
    rng = np.random.default_rng(0)
    dying = np.where((np.arange(8000) < 4800)[:, None], feature, ar1(rng, 0.95, feature.shape))
    verdict = judge(evaluate_values(dying, context(returns, (1,))))
    assert "overfit_detection" in verdict.failed_agents
    assert verdict.evaluation.is_ic.value > verdict.evaluation.oos_ic.value


def test_wrong_shapes_are_named() -> None:
    _, returns, _ = market(14, 300)
    with pytest.raises(EvaluationError, match=r"shape \(10, 1\)"):
        evaluate_values(np.zeros(10), context(returns))
    with pytest.raises(EvaluationError, match="no forward returns"):
        EvaluationContext.from_returns({}, timestamps=stamps(10))
    with pytest.raises(EvaluationError, match="target"):
        context(returns, target=7)


def test_the_callers_arrays_are_not_touched() -> None:
    feature, returns, labels = market(15, 1500)
    feature[3] = np.inf
    before = feature.copy(), returns.copy()
    feature.flags.writeable = False
    evaluate_values(feature, context(returns, regimes=labels))
    np.testing.assert_array_equal(feature, before[0])
    np.testing.assert_array_equal(returns, before[1])


def test_threads_and_one_thread_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    from midas_engine.evaluator.metrics import result as metrics

    feature, returns, labels = market(16, 1500, 12, 0.05)
    data = context(returns, regimes=labels)
    alone = evaluate_values(feature, data)
    monkeypatch.setattr(metrics, "PARALLEL_CELLS", 0)
    assert repr(evaluate_values(feature, data)) == repr(alone)


def test_event_features_are_scored_on_triggered_bars() -> None:
    rng = np.random.default_rng(0)
    bars = 6000
    shock = (rng.random((bars, 1)) < 0.08).astype(float)
    direction = np.sign(rng.normal(size=(bars, 1)))
    drift = shock * direction * 0.004
    returns = drift + 0.006 * rng.standard_t(4, size=(bars, 1)) / np.sqrt(2)
    data = context(returns, (1, 4))
    good = evaluate_values(direction, data, "shock", gate=shock, hold=1)
    event = good.extra["event"]
    assert event["triggers"] == pytest.approx(shock.sum(), abs=15)
    assert event["frequency"] == pytest.approx(0.08, abs=0.01)
    assert event["mean_bps"] == pytest.approx(40 - 12, abs=12)
    assert event["hit_rate"] > 0.6
    assert good.score_t > 5
    assert judge(good, trials=10).verdicts[0].gates[0].name == "events"
    noise = evaluate_values(direction, data, gate=1.0 - shock, hold=1)
    assert abs(noise.score_t) < 4
    odd = evaluate_values(direction, data, gate=shock, hold=3)
    assert odd.horizon_bars == 3
    rare = evaluate_values(direction, data, gate=np.where(np.arange(bars)[:, None] == 50, 1.0, 0.0), hold=1)
    assert not judge(rare).overall_pass
    assert "1 events" in rare.warnings[0]


def test_a_one_sided_event_is_scored_too() -> None:
    """Always long after a drop: the feature never changes sign on triggered bars."""
    rng = np.random.default_rng(1)
    bars = 6000
    noise = 0.006 * rng.standard_t(4, size=(bars, 1)) / np.sqrt(2)
    drop = np.roll(noise, 1, axis=0)
    hit = drop < np.quantile(drop, 0.08)
    returns = noise + 0.003 * hit
    result = evaluate_values(-drop, context(returns, (1,)), gate=hit.astype(float), hold=1)
    assert result.score_t > 4
    assert result.extra["event"]["mean_bps"] == pytest.approx(30 - 12, abs=10)


def test_an_effect_of_a_single_bar_is_there_but_not_worth_trading() -> None:
    """How long it lasts is an economic question: the statistical gates hold, the whole set does not."""
    feature, returns, labels = market(11, 6000, 1, 0.12, rho=0.0)
    verdict = judge(evaluate_values(feature, context(returns, regimes=labels)), trials=60)
    assert verdict.statistical_pass
    assert not verdict.overall_pass
    assert "decay_analysis" in verdict.failed_agents
    assert verdict.evaluation.half_life_hours.high < 4.0
