"""Decay, costs, regimes, folds, residuals, events and the small formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import linalg, stats
from statsmodels.stats.multitest import multipletests

from helpers_evaluator import ar1
from midas_engine.stats.book import break_even_ic, effective_ic, run_book
from midas_engine.stats.cholesky import factorise, forward, solve
from midas_engine.stats.decay import fit_half_life, half_life_known, lagged_means
from midas_engine.stats.deflation import benjamini_hochberg, session_p
from midas_engine.stats.events import (
    clustered_mean,
    event_numbers,
    event_returns,
    held_positions,
    held_score,
    less_what_follows,
)
from midas_engine.stats.folds import split_folds
from midas_engine.stats.information_ratio import information_ratio
from midas_engine.stats.marginal import Regressors, known_factor, residual
from midas_engine.stats.normal_scores import normal_scores
from midas_engine.stats.positions import positions
from midas_engine.stats.power import bars_needed, effective_breadth, smallest_detectable_ic
from midas_engine.stats.regimes import cochran_q
from midas_engine.stats.scale import lagged_scale


def test_scale_is_lagged_and_weighted() -> None:
    rng = np.random.default_rng(0)
    forward_returns = rng.normal(size=(60, 1))
    forward_returns[20] = np.nan
    scale = lagged_scale(forward_returns, 2, half_life=24)
    t = 40
    past = np.abs(forward_returns[: t - 1, 0])  # returns known at t: those of bars up to t - 2
    ok = ~np.isnan(past)
    weights = 0.5 ** (np.cumsum(ok[::-1])[::-1][ok] / 24)
    assert scale[t, 0] == pytest.approx((weights * past[ok]).sum() / weights.sum())
    changed = forward_returns.copy()
    changed[t - 1 :] *= 100
    assert lagged_scale(changed, 2)[t, 0] == lagged_scale(forward_returns, 2)[t, 0]
    assert np.isnan(scale[:8]).all()
    assert np.isnan(lagged_scale(np.zeros((50, 1)), 1)).all()


def test_lagged_means_are_plain_cross_moments() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 300)), rng.normal(size=(2, 300))
    a[0, :40], b[1, 100] = np.nan, np.nan
    means, counts = lagged_means(a, b, False, lags=5, stride=3)
    for k in range(5):
        product = a[:, : 300 - 3 * k] * b[:, 3 * k :]
        assert means[k] == pytest.approx(np.nanmean(product))
        assert counts[k] == np.isfinite(product).sum()
    wide, counts = lagged_means(np.ascontiguousarray(a.T), np.ascontiguousarray(b.T), True, lags=5, stride=3)
    np.testing.assert_allclose(wide, means)
    whole, counts = lagged_means(b[:1], b[:1], False, lags=4)
    assert counts.tolist() == [300.0, 299.0, 298.0, 297.0]
    assert whole[0] == pytest.approx((b[0] ** 2).mean())


@pytest.mark.parametrize("half_life", [3.0, 12.0])
def test_a_clean_decay_is_read_back(half_life: float) -> None:
    k = np.arange(48)
    means = 0.1 * 2.0 ** (-k / half_life)
    found, low, high, height = fit_half_life(means, np.full(48, 8760.0), 1.0, np.eye(1, 48)[0])
    assert found == pytest.approx(half_life, rel=0.13)
    assert low <= half_life <= high
    assert half_life_known(low, high)
    assert height == pytest.approx(0.1, rel=0.05)


def test_half_life_interval_covers_the_truth_for_slow_features() -> None:
    """Ninety per cent intervals under generalised least squares cover; ordinary ones would not."""
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        f = ar1(rng, 0.9, (4000,))
        z = normal_scores(f).reshape(1, -1)
        r = normal_scores(0.08 * f + rng.normal(size=4000)).reshape(1, -1)
        own, _ = lagged_means(z, z, False)
        means, counts = lagged_means(z, r, False)
        _, low, high, _ = fit_half_life(means, counts, 1.0, own)
        covered += low <= math.log(2) / -math.log(0.9) <= high
    assert covered >= 30


def test_noise_has_no_half_life() -> None:
    rng = np.random.default_rng(3)
    means = rng.normal(size=48) * 0.001
    _, low, high, _ = fit_half_life(np.abs(means), np.full(48, 100.0), 1.0, np.eye(1, 48)[0])
    assert not half_life_known(low, high)
    assert all(math.isnan(x) for x in fit_half_life(np.full(48, np.nan), np.ones(48), 1.0, np.ones(48)))


def test_positions_have_unit_gross() -> None:
    z = np.random.default_rng(0).normal(size=(50, 12)) * 2
    z[0, 0] = np.nan
    p = positions(z, True)
    np.testing.assert_allclose(np.abs(p).sum(axis=1), 1.0)
    assert p[0, 0] == 0.0
    series = positions(np.ascontiguousarray(z.T), False)
    assert np.abs(series).sum(axis=1).mean() == pytest.approx(1.0, rel=0.02)


def test_book_counts_return_cost_and_funding() -> None:
    p = np.array([[0.0], [1.0], [-1.0], [-1.0], [1.0]])
    r = np.array([[0.5], [0.01], [0.02], [np.nan], [0.03]])
    paid = np.array([[0.1], [0.001], [0.001], [0.0], [0.0]])
    book = run_book(p, r, paid, 1)
    assert book.gross_bps == pytest.approx((0.01 - 0.02 + 0.03) / 3 * 1e4)
    assert book.funding_bps == pytest.approx(0.0)
    assert book.turnover == pytest.approx((2 + 0 + 2) / 3)
    net = book.net(10.0)
    assert net[2] == pytest.approx(-0.02 + 0.001 - 2 * 0.001)


def test_a_long_book_pays_positive_funding() -> None:
    p = np.ones((10, 1))
    book = run_book(p, np.zeros((10, 1)), np.full((10, 1), 0.0002), 2)
    assert book.funding_bps == pytest.approx(1.0)


def test_held_turnover_is_that_of_the_averaged_book() -> None:
    rng = np.random.default_rng(2)
    p = rng.normal(size=(400, 3))
    book = run_book(p, np.zeros((400, 3)), np.zeros((400, 3)), 4)
    average = np.lib.stride_tricks.sliding_window_view(p, 4, axis=0).mean(axis=-1)
    assert book.held_turnover == pytest.approx(np.abs(np.diff(average, axis=0)).sum(axis=1).mean())


def test_effective_ic_is_positive_only_when_the_book_earns() -> None:
    assert effective_ic(0.04, 2.0, 1.0) == pytest.approx(0.02)
    assert effective_ic(-0.04, 2.0, -1.0) < 0
    assert effective_ic(0.04, -2.0, -3.0) < 0
    assert effective_ic(-0.04, 2.0, 1.0) < 0
    assert math.isnan(effective_ic(math.nan, 1.0, 1.0))


def test_break_even_ic_is_where_gross_pays_the_costs() -> None:
    """A book of normal scores with IC x earns x sigma / 0.80 a bar."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200_000, 1))
    ic = break_even_ic(0.5, 6.0, 60.0)
    r = 0.0060 * (ic * z + math.sqrt(1 - ic * ic) * rng.normal(size=z.shape))
    p = positions(np.ascontiguousarray(z.T), False)
    gross = run_book(p, r, np.zeros_like(r), 1).gross_bps
    assert gross == pytest.approx(0.5 * 6.0, abs=0.5)  # three standard errors


def test_cochran_q_equals_weighted_anova() -> None:
    means, errors = [0.02, 0.05, -0.01], [0.01, 0.02, 0.015]
    w = 1 / np.square(errors)
    centre = np.average(means, weights=w)
    q = float((w * (np.array(means) - centre) ** 2).sum())
    assert cochran_q(means, errors) == (pytest.approx(q), pytest.approx(stats.chi2.sf(q, 2)))
    assert math.isnan(cochran_q([0.1], [0.1])[1])


def test_folds_leave_the_purge_and_embargo_out() -> None:
    folds = split_folds(1000, 24, 10)
    assert [b - a for a, b in folds.spans] == [166, 166, 166, 166, 200]
    for (_, stop), (start, _) in zip(folds.spans, folds.spans[1:], strict=False):
        assert start - stop == 34
        assert (folds.codes[stop:start] == -1).all()
    assert set(folds.sides[folds.codes <= 2]) <= {-1, 0}
    assert set(folds.sides[folds.codes >= 3]) == {1}


def test_cholesky_kernels_equal_lapack() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(40, 60))
    gram = a @ a.T
    lower = gram.copy()
    assert factorise(lower)
    b = rng.normal(size=(40, 5))
    white = b.copy()
    forward(lower, white)
    np.testing.assert_allclose(white, linalg.solve_triangular(np.linalg.cholesky(gram), b, lower=True), rtol=1e-9)
    x = b[:, 0].copy()
    solve(lower, x)
    np.testing.assert_allclose(x, np.linalg.solve(gram, b[:, 0]), rtol=1e-8)
    assert not factorise(-np.eye(3))


def test_a_residual_is_that_of_least_squares_and_correlates_with_no_regressor() -> None:
    rng = np.random.default_rng(1)
    block = np.vstack([rng.normal(size=(3, 1200)), np.ones((1, 1200))]).astype(np.float32)
    x = block[0] * 0.5 - block[1] * np.linspace(0.0, 2.0, 1200) + rng.normal(size=1200)
    regressors = Regressors.build(block)
    for gone in (slice(0), slice(0, 100), slice(0, 900)):  # by subtraction, or anew
        some = x.copy()
        some[gone] = np.nan
        known = ~np.isnan(some)
        out = residual(some, regressors, known_factor(~known, regressors))
        np.testing.assert_array_equal(np.isnan(out), ~known)
        design = block[:, known].astype(float)
        ridge = 1e-4 * known.sum() * np.eye(4)
        beta = np.linalg.solve(design @ design.T + ridge, design @ some[known])
        np.testing.assert_allclose(out[known], some[known] - beta @ design, atol=1e-6)
        assert np.abs(design @ out[known]).max() < 1e-3 * known.sum()


def test_a_feature_that_is_wholly_explained_or_hardly_known_has_no_residual() -> None:
    rng = np.random.default_rng(2)
    block = np.vstack([rng.normal(size=(1, 500)), np.ones((1, 500))]).astype(np.float32)
    regressors = Regressors.build(block)
    x = block[0].astype(float)
    assert np.isnan(residual(x, regressors, known_factor(np.isnan(x), regressors))).all()
    few = rng.normal(size=500)
    few[4:] = np.nan
    assert np.isnan(residual(few, regressors, known_factor(np.isnan(few), regressors))).all()


def test_information_ratio_error_covers() -> None:
    rng = np.random.default_rng(0)
    u = rng.normal(0.03, 1.0, size=(400, 2000))
    inside = 0
    for row in u:
        _, _, low, high = information_ratio(row.mean(), row.var(), 2000, 8760)
        inside += low <= 0.03 * math.sqrt(8760) <= high
    assert 0.85 <= inside / 400 <= 0.95


def test_power_is_consistent_with_the_line() -> None:
    smallest = smallest_detectable_ic(3.14, 0.01)
    assert stats.norm.sf(3.14 - smallest / 0.01) == pytest.approx(0.8, abs=1e-4)
    assert bars_needed(smallest, 0.01, 8760, 3.14) == pytest.approx(8760)
    assert math.isinf(bars_needed(-0.01, 0.01, 8760, 3.0))
    assert effective_breadth(1.0, 0.05) == pytest.approx(20)


def test_session_lines() -> None:
    assert session_p(60) == pytest.approx(0.05 / 60)
    p = np.random.default_rng(0).uniform(size=200) ** 3
    line = benjamini_hochberg(p.tolist(), 0.1)
    np.testing.assert_array_equal(p <= line, multipletests(p, 0.1, "fdr_bh")[0])
    assert benjamini_hochberg([0.9, 0.8]) == 0.0


def test_events_are_clusters_of_nearby_triggers() -> None:
    hit = np.zeros((20, 2), bool)
    hit[[2, 3, 6, 15], 0] = True
    hit[4, 1] = True
    assert event_numbers(hit, 3)[[2, 3, 4, 6, 15]].tolist() == [0, 0, 0, 0, 1]
    assert (event_numbers(np.zeros((5, 1), bool), 3) == -1).all()


def test_clustered_error_equals_the_sandwich() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 4)
    values = (rng.normal(size=30)[groups] + rng.normal(size=120)).reshape(-1, 1)
    mean, se, count = clustered_mean(values, groups)
    sums = np.bincount(groups, values[:, 0] - values.mean())
    assert (mean, count) == (pytest.approx(values.mean()), 30)
    assert se == pytest.approx(math.sqrt(30 / 29 * (sums**2).sum()) / 120)


def test_event_returns_are_after_costs_and_funding() -> None:
    direction = np.array([[1.0], [np.nan], [-1.0]])
    out = event_returns(direction, np.array([[0.01], [9.0], [0.004]]), np.full((3, 1), 0.001), 5.0, 1, 3)
    assert out.triggers == 2
    assert out.mean_bps == pytest.approx(((100 - 10 - 10) + (-40 + 10 - 10)) / 2)
    assert out.hit_rate == 0.5
    assert out.frequency == pytest.approx(2 / 3)


def test_a_position_is_the_mean_of_open_triggers_and_its_score_a_martingale() -> None:
    direction = np.array([[2.0], [np.nan], [-0.5], [np.nan], [np.nan], [np.nan]])
    assert held_positions(direction, 3)[:, 0].tolist() == [1.0, 1.0, 0.25, -0.5, -0.5, 0.0]
    x = np.random.default_rng(0).normal(size=(400, 2))
    later = less_what_follows(x)
    assert later[7, 1] == pytest.approx((x[7, 1] - x[8:, 1].mean()) * math.sqrt(392 / 393))
    np.testing.assert_allclose(less_what_follows(x + 5.0)[:-1], later[:-1])
    position = np.ones((400, 1))
    mean, se, holds = held_score(position, x[:, :1], 1)
    assert mean / se == pytest.approx(x[:, 0].sum() / math.sqrt((x[:, 0] ** 2).sum()))
    assert mean == pytest.approx(x[:, 0].mean())
    assert 100 < holds < 200
    assert held_score(position, x[:, :1], 4)[0] == pytest.approx(2.0 * mean)
    assert held_score(0.0 * position, x[:, :1], 4)[2] == 0.0
