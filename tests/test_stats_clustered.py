"""The two-way error of a panel's mean score against plain numpy, statsmodels and known cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from midas_engine.evaluator.metrics.significance import score_figures, time_figures
from midas_engine.stats.bar_scores import combine
from midas_engine.stats.clustered import clustered_variance, symbol_variances
from midas_engine.stats.hac import hac_lag, moments


def _reference(z_f: np.ndarray, z_r: np.ndarray, mean: float, lag: int) -> tuple[float, float]:
    """V_symbol and V_both by the formulas, symbol by symbol and lag by lag."""
    q = z_f * z_r
    known = ~np.isnan(q)
    counts = np.maximum(known.sum(axis=1, keepdims=True), 1)
    x = np.where(known, (q - mean) / counts, 0.0)
    sums = x.sum(axis=0)
    live = int(known.any(axis=0).sum())
    both = 0.0
    for s in range(x.shape[1]):
        for k in range(min(lag, len(x) - 1) + 1):
            weight = 1.0 if k == 0 else 2.0 * (1.0 - k / (lag + 1.0))
            both += weight * float(x[k:, s] @ x[: len(x) - k, s])
    return float(sums @ sums) * live / (live - 1), both


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    bars=st.integers(5, 90),
    symbols=st.integers(3, 14),
    lag=st.integers(0, 40),
    holes=st.sampled_from([0.0, 0.2, 0.6]),
)
def test_both_parts_equal_plain_numpy(seed: int, bars: int, symbols: int, lag: int, holes: float) -> None:
    rng = np.random.default_rng(seed)
    z_f, z_r = rng.normal(size=(2, bars, symbols))
    z_f[rng.random(z_f.shape) < holes] = np.nan
    z_r[0, 0] = z_f[1, 1] = np.nan
    mean = float(rng.normal())
    if (~np.isnan(z_f * z_r)).any(axis=0).sum() < 2:
        return
    symbol, both, _ = symbol_variances(z_f, z_r, mean, lag)
    assert (symbol, both) == pytest.approx(_reference(z_f, z_r, mean, lag), rel=1e-9, abs=1e-12)


def test_without_lags_it_is_the_two_way_error_of_statsmodels() -> None:
    rng = np.random.default_rng(5)
    bars, symbols = 120, 15
    z_f = rng.normal(size=(bars, symbols)) + rng.normal(size=symbols)
    z_r = rng.normal(size=(bars, symbols)) + 0.3 * rng.normal(size=symbols)
    q = (z_f * z_r).ravel()
    groups = np.column_stack([np.repeat(np.arange(bars), symbols), np.tile(np.arange(symbols), bars)])
    fit = sm.OLS(q, np.ones_like(q)).fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})
    bar_scores = combine(z_f, z_r, True)
    count, mean, _, long_run = moments(bar_scores.u, 0)
    symbol, both, live = symbol_variances(z_f, z_r, mean, 0)
    total = long_run * count + symbol * (live - 1) / live - both
    assert math.sqrt(total) / count == pytest.approx(float(fit.bse[0]), rel=1e-9)


def test_a_constant_has_the_degrees_of_its_symbols_and_a_fast_feature_those_of_time() -> None:
    rng = np.random.default_rng(3)
    bars, symbols = 2000, 20
    z_r = rng.normal(size=(bars, symbols)) + 0.3 * rng.normal(size=symbols)
    constant = np.tile(rng.normal(size=symbols), (bars, 1))
    figures = score_figures(combine(constant, z_r, True), 1, 1.0, True)
    assert symbols - 1 <= figures.dof < 1.5 * (symbols - 1)
    assert figures.widening > 3.0
    fast = score_figures(combine(rng.normal(size=(bars, symbols)), z_r, True), 1, 0.0, True)
    assert fast.dof > 5 * symbols
    assert 1.0 <= fast.widening < 1.3


def test_the_error_is_never_below_that_of_the_time_axis() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scores = combine(rng.normal(size=(300, 12)), rng.normal(size=(300, 12)), True)
        assert score_figures(scores, 4, 0.5, True).se >= time_figures(scores.u, 4, 0.5).se
    assert clustered_variance(1.0, 100.0, (0.5, 1.0, 12)) == (1.0, 100.0)


@pytest.mark.parametrize("horizon", [1, 24])
@pytest.mark.parametrize("memory", ["constant", "slow", "fast"])
def test_noise_on_symbols_that_drift_keeps_its_size(memory: str, horizon: int) -> None:
    """A small cut of the simulation: 300 draws, two sides; far fewer than the time axis alone would pass."""
    rng = np.random.default_rng([horizon, len(memory)])
    bars, symbols = 600, 24
    outside = {"time": 0, "clustered": 0}
    for _ in range(150):
        steps = rng.normal(size=(bars + horizon, symbols)) + 0.12 * rng.normal(size=symbols)
        moved = np.cumsum(steps, axis=0)
        z_r = (moved[horizon:] - moved[:-horizon]) / math.sqrt(horizon)
        z_r -= z_r.mean(axis=1, keepdims=True)
        z_f = rng.normal(size=(1, symbols)) + np.zeros((bars, 1))
        if memory != "constant":
            rho = 0.999 if memory == "slow" else 0.5
            for t in range(1, bars):
                z_f[t] = rho * z_f[t - 1] + math.sqrt(1 - rho * rho) * rng.normal(size=symbols)
        z_f = (z_f - z_f.mean(axis=1, keepdims=True)) / z_f.std(axis=1, keepdims=True)
        scores = combine(z_f, z_r, True)
        rho = {"constant": 1.0, "slow": 0.999, "fast": 0.5}[memory]
        both = score_figures(scores, horizon, rho, True).p
        alone = time_figures(scores.u, horizon, rho).p
        outside["clustered"] += (both < 0.05) + (both > 0.95)
        outside["time"] += (alone < 0.05) + (alone > 0.95)
    assert outside["clustered"] <= 32  # 300 x 5 % and four standard errors
    if memory != "fast":
        assert outside["time"] > 40


def test_lags_beyond_the_sample_are_fine() -> None:
    rng = np.random.default_rng(1)
    z_f, z_r = rng.normal(size=(2, 12, 5))
    got = symbol_variances(z_f, z_r, 0.0, hac_lag(24))
    assert got[:2] == pytest.approx(_reference(z_f, z_r, 0.0, hac_lag(24)), rel=1e-9)
