"""Newey-West and bootstrap errors against statsmodels, arch's formulas and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.signal import lfilter

from midas_engine.stats.bootstrap import block_length, bootstrap_means, bootstrap_se
from midas_engine.stats.hac import (
    degrees_of_freedom,
    group_moments,
    hac_lag,
    hac_mean,
    one_sided_p,
    overlap_correction,
    t_line,
)


@pytest.mark.parametrize("lag", [0, 1, 10, 32, 33, 104])
def test_hac_mean_equals_statsmodels(lag: int) -> None:
    rng = np.random.default_rng(lag)
    u = np.convolve(rng.normal(size=900), np.ones(9) / 3, "valid") + 0.1
    fit = sm.OLS(u, np.ones_like(u)).fit(cov_type="HAC", cov_kwds={"maxlags": lag, "use_correction": False})
    mean, se, t = hac_mean(u, lag)
    assert mean == pytest.approx(fit.params[0], abs=1e-12)
    assert se == pytest.approx(fit.bse[0], rel=1e-10)
    assert t == pytest.approx(fit.tvalues[0], rel=1e-10)


@pytest.mark.parametrize("lag", [3, 60])
def test_missing_bars_keep_the_true_lags(lag: int) -> None:
    rng = np.random.default_rng(1)
    u = rng.normal(size=400)
    u[rng.random(400) < 0.3] = np.nan
    known = ~np.isnan(u)
    d = np.where(known, u - u[known].mean(), 0.0)
    total = d @ d + 2 * sum((1 - k / (lag + 1)) * (d[k:] @ d[:-k]) for k in range(1, lag + 1))
    assert hac_mean(u, lag)[1] == pytest.approx(math.sqrt(total) / known.sum(), rel=1e-10)


def test_groups_are_scored_as_if_alone() -> None:
    rng = np.random.default_rng(2)
    u, codes = rng.normal(size=500), rng.integers(-1, 3, 500).astype(np.int32)
    rows = group_moments(u, codes, 3, 8)
    for g in range(3):
        alone = np.where(codes == g, u, np.nan)
        mean, se, _ = hac_mean(alone, 8)
        assert rows[g, 0] == (codes == g).sum()
        assert rows[g, 1] == pytest.approx(mean)
        assert math.sqrt(rows[g, 3] / rows[g, 0]) == pytest.approx(se)


def test_nothing_known_and_nothing_varying_give_no_error() -> None:
    assert all(math.isnan(x) for x in hac_mean(np.full(50, np.nan), 5))
    mean, se, t = hac_mean(np.ones(50), 5)
    assert mean == 1.0
    assert math.isnan(se)
    assert math.isnan(t)


def test_t_line_and_p_are_inverse_and_reach_the_normal() -> None:
    assert one_sided_p(t_line(0.001, 50), 50) == pytest.approx(0.001, rel=1e-6)
    assert t_line(0.05 / 60, 1e9) == pytest.approx(stats.norm.isf(0.05 / 60), abs=1e-4)
    assert degrees_of_freedom(8760, 10) == pytest.approx(1.5 * 8760 / 11)
    assert hac_lag(24) == 56


def test_overlap_correction_repairs_a_known_overlap() -> None:
    """Sums of 24 white-noise terms have long-run variance 24^2; Bartlett at lag 56 sees 1 / 1.16 of it."""
    h, n = 24, 60_000
    u = np.convolve(np.random.default_rng(0).normal(size=n + h - 1), np.ones(h), "valid")
    _, plain, _ = hac_mean(u, hac_lag(h))
    _, fixed, _ = hac_mean(u, hac_lag(h), correction=overlap_correction(h, hac_lag(h), 1.0))
    truth = h / math.sqrt(n)
    assert plain < 0.97 * truth
    assert fixed == pytest.approx(truth, rel=0.04)


@pytest.mark.parametrize(("horizon", "memory"), [(1, 0.98), (4, 0.9), (24, 0.98)])
def test_p_values_of_noise_are_honest(horizon: int, memory: float) -> None:
    """A coarse net; `benchmarks/statistics/sim_evaluator.py calibration` measures the cells finely."""
    from helpers_evaluator import ar1, context, market
    from midas_engine.evaluator.metrics.evaluate import evaluate_values

    below = count = 0
    for seed in range(6):
        _, returns, _ = market(seed, 3000)
        data = context(returns, (1, horizon) if horizon > 1 else (1,), target=horizon)
        features = ar1(np.random.default_rng([seed, horizon]), memory, (3000, 40))
        for i in range(40):
            below += evaluate_values(features[:, i], data).score_p < 0.05
            count += 1
    assert stats.binomtest(below, count, 0.05).pvalue > 0.002


@pytest.mark.parametrize("stationary", [False, True])
def test_bootstrap_error_of_independent_bars_is_the_textbook_one(stationary: bool) -> None:
    u = np.random.default_rng(4).normal(size=3000)
    means = bootstrap_means(u, 24, resamples=3000, stationary=stationary)
    assert means.mean() == pytest.approx(u.mean(), abs=2e-3)
    assert means.std() == pytest.approx(u.std() / math.sqrt(3000), rel=0.12)


def test_bootstrap_error_sees_overlap() -> None:
    h, n = 48, 20_000
    u = np.convolve(np.random.default_rng(5).normal(size=n + h - 1), np.ones(h), "valid")
    assert bootstrap_se(u, block_length(h)) == pytest.approx(h / math.sqrt(n), rel=0.2)


def test_bootstrap_is_seeded_and_refuses_short_series() -> None:
    u = np.random.default_rng(6).normal(size=300)
    np.testing.assert_array_equal(bootstrap_means(u, 24), bootstrap_means(u, 24))
    assert bootstrap_means(u[:40], 24).size == 0
    assert math.isnan(bootstrap_se(u[:40], 24))


@pytest.mark.parametrize("stationary", [False, True])
def test_bootstrap_spread_is_that_of_arch(stationary: bool) -> None:
    from arch.bootstrap import CircularBlockBootstrap, StationaryBootstrap

    rng = np.random.default_rng(6)
    u = lfilter([1.0], [1.0, -0.7], rng.normal(size=1500))
    kind = StationaryBootstrap if stationary else CircularBlockBootstrap
    peer = kind(30, u, seed=np.random.default_rng(7)).apply(np.mean, 3000)[:, 0]
    mine = bootstrap_means(u, 30, resamples=3000, stationary=stationary)
    assert mine.std() == pytest.approx(peer.std(), rel=0.07)
    assert mine.mean() == pytest.approx(u.mean(), abs=4 * mine.std() / np.sqrt(3000))
