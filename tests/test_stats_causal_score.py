"""The causal score: batch equals live, no future in it, robust to what markets do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, pearsonr, rankdata, spearmanr

from midas_engine.errors import MonitorError
from midas_engine.stats.causal_kernels import normal_quantile, psi
from midas_engine.stats.causal_score import CausalScorer, causal_scores
from tests.helpers_monitor import ar1, linked


def _world(seed: int = 0, bars: int = 3000, ic: float = 0.1, phi: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = ar1(rng, bars, phi)
    return values, linked(rng, values, ic)


def test_normal_quantile_equals_scipy() -> None:
    p = np.concatenate([np.linspace(1e-9, 1e-3, 200), np.linspace(1e-3, 1 - 1e-3, 500)])
    found = np.array([normal_quantile(x) for x in p])
    np.testing.assert_allclose(found, norm.ppf(p), atol=1e-8, rtol=2e-9)


def test_psi_has_unit_variance_under_t4_and_is_bounded() -> None:
    z = np.random.default_rng(0).standard_t(4, 400_000) / np.sqrt(2)
    u = np.array([psi(x) for x in z])
    assert u.var() == pytest.approx(1.0, abs=0.01)
    assert np.abs(u).max() < 1.5


def test_the_series_score_is_its_definition() -> None:
    values, returns = _world(bars=400)
    u, w = causal_scores(values, returns)
    t, keep, keep_r = 300, 0.5 ** (1 / 720), 0.5 ** (1 / 24)
    past = keep ** np.arange(t - 1, -1, -1)
    mean = (past * values[:t]).sum() / past.sum()
    sd = np.sqrt((past * (values[:t] - mean) ** 2).sum() / past.sum())
    lagged = keep_r ** np.arange(t - 1, -1, -1)
    size = (lagged * np.abs(returns[:t])).sum() / lagged.sum()
    z = np.clip((values[t] - mean) / sd, -3, 3)
    assert u[t] == pytest.approx(z * psi(returns[t] / (size * np.sqrt(2))), rel=1e-3)
    assert w[t] == pytest.approx(z * z, rel=1e-3)


def test_the_score_of_a_bar_uses_nothing_that_follows() -> None:
    values, returns = _world(bars=500)
    before = causal_scores(values, returns)
    values[300:], returns[300:] = 99.0, -0.5
    after = causal_scores(values, returns)
    np.testing.assert_array_equal(before[0][:300], after[0][:300])
    np.testing.assert_array_equal(before[1][:300], after[1][:300])


@pytest.mark.parametrize("factor", [1e-9, 1e3, 1e12])
def test_units_do_not_matter(factor: float) -> None:
    values, returns = _world(bars=800)
    plain, scaled = causal_scores(values, returns), causal_scores(values * factor + 7 * factor, returns * 0.1)
    np.testing.assert_allclose(plain[0], scaled[0], rtol=1e-6, atol=1e-9)


def test_the_mean_score_measures_the_ic() -> None:
    for ic in (0.0, 0.1, 0.2):
        values, returns = _world(seed=3, bars=30_000, ic=ic)
        u, w = causal_scores(values, returns)
        assert np.nanmean(u) / np.nanmean(w) == pytest.approx(1.15 * ic, abs=0.02)


def test_constant_missing_and_short_features_give_no_score() -> None:
    _, returns = _world(bars=200)
    assert np.isnan(causal_scores(np.full(200, 3.0), returns)[0]).all()
    assert np.isnan(causal_scores(np.full(200, np.nan), returns)[0]).all()
    values, _ = _world(bars=200)
    u, _ = causal_scores(values, returns)
    assert np.isnan(u[:47]).all()
    assert np.isfinite(u[60:]).all()
    values[100:110] = np.nan
    u, _ = causal_scores(values, returns)
    assert np.isnan(u[100:110]).all()
    assert np.isfinite(u[110:]).all()


def test_one_bad_tick_does_not_silence_a_feature() -> None:
    values, returns = _world(bars=1500)
    clean = causal_scores(values, returns)[1]
    values[700] = 1e10
    struck = causal_scores(values, returns)[1]
    assert struck[800:].mean() == pytest.approx(clean[800:].mean(), rel=0.12)


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_a_change_of_unit_is_noticed_and_survived(factor: float) -> None:
    values, returns = _world(bars=6000, phi=0.0)
    values[3000:] *= factor
    scorer = CausalScorer(1, 1)
    weights = []
    for t in range(6000):
        scorer.update(values[t].reshape(1, 1), returns[t : t + 1])
        weights.append(scorer.w[0])
    assert 0.6 < np.mean(weights[5000:]) < 1.4
    assert scorer.breaks[0] == (1 if factor < 1 else 0)


def test_one_wick_moves_the_score_by_a_bounded_amount() -> None:
    values, returns = _world(bars=300)
    returns[250] = -0.99
    u, _ = causal_scores(values, returns)
    assert abs(u[250]) <= 3 * 1.5


def test_the_cross_section_is_its_definition() -> None:
    rng = np.random.default_rng(5)
    values, returns = rng.normal(size=(60, 15)), rng.normal(size=(60, 15)) * 0.01
    values[:, 3] = np.nan
    scorer = CausalScorer(1, 15)
    for t in range(60):
        size = scorer.scale[:, 1].copy()
        scorer.update(values[t : t + 1], returns[t])
    keep = np.arange(15) != 3
    x, y = values[59, keep], returns[59, keep]
    scaled = y / size[keep]
    zx, zr = (norm.ppf((rankdata(a) - 0.5) / len(a)) for a in (x, scaled))
    assert scorer.u[0] == pytest.approx((zx * zr).mean(), abs=1e-7)
    assert scorer.rank_ic[0] == pytest.approx(spearmanr(x, y)[0], abs=1e-12)
    assert scorer.pearson[0] == pytest.approx(pearsonr(x, y)[0], abs=1e-12)
    assert scorer.w[0] == 1.0


def test_a_cross_section_below_ten_symbols_is_not_scored() -> None:
    rng = np.random.default_rng(5)
    values, returns = rng.normal(size=(40, 12)), rng.normal(size=(40, 12)) * 0.01
    values[:, :3] = np.nan
    u, _ = causal_scores(values, returns)
    assert np.isnan(u).all()


def test_two_to_nine_symbols_are_averaged_in_time() -> None:
    rng = np.random.default_rng(6)
    values, returns = rng.normal(size=(300, 3)), rng.normal(size=(300, 3)) * 0.01
    together, _ = causal_scores(values, returns)
    alone = [causal_scores(values[:, s], returns[:, s])[0] for s in range(3)]
    np.testing.assert_allclose(together[100:], np.mean(alone, axis=0)[100:])


def test_state_moves_and_is_checked() -> None:
    values, returns = _world(bars=200)
    whole, first = CausalScorer(1, 1), CausalScorer(1, 1)
    for t in range(150):
        whole.update(values[t].reshape(1, 1), returns[t : t + 1])
        first.update(values[t].reshape(1, 1), returns[t : t + 1])
    second = CausalScorer(1, 1)
    second.load(first.arrays())
    second.select([0, -1])
    whole.update(values[150].reshape(1, 1), returns[150:151])
    second.update(np.array([[values[150]], [1.0]]), returns[150:151])
    assert second.u[0] == whole.u[0]
    assert np.isnan(second.u[1])
    with pytest.raises(MonitorError, match="shape"):
        CausalScorer(3, 1).load(first.arrays())
    with pytest.raises(MonitorError, match="one shape"):
        causal_scores(np.zeros(3), np.zeros(4))
