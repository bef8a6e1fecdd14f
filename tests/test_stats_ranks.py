"""Ranks, normal scores and plain ICs against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri

from midas_engine.stats.bar_scores import CROSS_MINIMUM, combine, rank_scores
from midas_engine.stats.correlation import correlations, standard_ranks
from midas_engine.stats.normal_scores import location_table, normal_scores, score_table, scores_of_ranks
from midas_engine.stats.rank_ic import rank_ic
from midas_engine.stats.ranks import average_ranks, joint_ranks, own_ranks, sort_rows


def awkward(rng: np.random.Generator, n: int) -> np.ndarray:
    """Ties, holes, both zeros, huge and tiny magnitudes."""
    x = rng.normal(size=n) * 10.0 ** rng.integers(-12, 12, n)
    x[rng.random(n) < 0.1] = 0.0
    x[rng.random(n) < 0.1] = -0.0
    x[rng.random(n) < 0.2] = 7.0
    x[rng.random(n) < 0.1] = np.nan
    return x


@pytest.mark.parametrize("n", [5, 100, 511, 512, 3000])
def test_average_ranks_equal_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    for _ in range(5):
        x = awkward(rng, n)
        expected = stats.rankdata(x, nan_policy="omit")
        np.testing.assert_array_equal(average_ranks(x), expected)


@pytest.mark.parametrize("offset", [1.0, 1e6, 1e12])
def test_sorting_is_exact_when_values_differ_only_in_their_last_bits(offset: float) -> None:
    rng = np.random.default_rng(3)
    x = (offset + np.spacing(offset) * rng.permutation(4000)).reshape(1, -1)
    order = sort_rows(x)
    assert (np.diff(x[0, order[0]]) > 0).all()


def test_joint_ranks_use_only_cells_where_both_are_known() -> None:
    rng = np.random.default_rng(1)
    f, r = np.vstack([awkward(rng, 700) for _ in range(3)]), np.vstack([awkward(rng, 700) for _ in range(3)])
    a, b, counts = joint_ranks(f, sort_rows(f), r, sort_rows(r))
    for i in range(3):
        ok = ~np.isnan(f[i]) & ~np.isnan(r[i])
        assert counts[i] == ok.sum()
        np.testing.assert_array_equal(a[i, ok] / 2 + 1, stats.rankdata(f[i, ok]))
        np.testing.assert_array_equal(b[i, ok] / 2 + 1, stats.rankdata(r[i, ok]))
        assert (a[i, ~ok] == -1).all()


@pytest.mark.parametrize("seed", range(5))
def test_ics_equal_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    f = np.round(rng.normal(size=600), seed % 3)
    r = 0.3 * f + rng.standard_t(3, size=600)
    f[rng.random(600) < 0.1] = np.nan
    ok = ~np.isnan(f)
    assert rank_ic(f, r) == pytest.approx(stats.spearmanr(f[ok], r[ok]).statistic, abs=1e-12)


def test_ics_of_constant_series_are_unknown() -> None:
    assert np.isnan(rank_ic(np.ones(50), np.arange(50.0)))
    assert np.isnan(rank_ic(np.arange(50.0), np.full(50, np.nan)))


def test_normal_scores_are_standardised_quantiles() -> None:
    x = np.random.default_rng(0).permutation(101).astype(float)
    expected = ndtri((stats.rankdata(x) - 0.5) / 101)
    z = normal_scores(x)
    np.testing.assert_allclose(z, expected / expected.std(), atol=1e-12)
    assert z.mean() == pytest.approx(0.0, abs=1e-12)
    assert z.var() == pytest.approx(1.0, abs=1e-12)


def test_normal_scores_do_not_change_under_increasing_maps() -> None:
    x = np.random.default_rng(0).normal(size=500)
    for g in (lambda v: 0.001 * v, lambda v: 1000 * v, np.exp, np.arctan):
        np.testing.assert_array_equal(normal_scores(x), normal_scores(g(x)))


def test_cross_section_scores_are_per_bar_correlations() -> None:
    rng = np.random.default_rng(5)
    f, r = rng.normal(size=(200, 25)), rng.normal(size=(200, 25))
    f[:, :10][rng.random((200, 10)) < 0.5] = np.nan
    f[:5, :20] = np.nan
    a, b, counts = joint_ranks(f, sort_rows(f), r, sort_rows(r))
    series = rank_scores(a, b, counts, CROSS_MINIMUM, True)
    z_f, z_r = scores_of_ranks(a, counts, CROSS_MINIMUM), scores_of_ranks(b, counts, CROSS_MINIMUM)
    u = combine(z_f, z_r, True).u
    assert np.isnan(series[:5]).all()
    assert np.isnan(u[:5]).all()
    for t in range(5, 200, 7):
        ok = ~np.isnan(f[t])
        assert series[t] == pytest.approx(stats.spearmanr(f[t, ok], r[t, ok]).statistic, abs=1e-12)
        expected = np.corrcoef(
            ndtri((stats.rankdata(f[t, ok]) - 0.5) / ok.sum()), ndtri((stats.rankdata(r[t, ok]) - 0.5) / ok.sum())
        )
        assert u[t] == pytest.approx(expected[0, 1], abs=1e-12)


def test_series_scores_average_to_spearman_and_over_symbols() -> None:
    rng = np.random.default_rng(6)
    f, r = rng.normal(size=(2, 400)), rng.normal(size=(2, 400))
    ranks = joint_ranks(f, sort_rows(f), r, sort_rows(r))
    series = rank_scores(*ranks, 30, False)
    expected = np.mean([stats.spearmanr(f[i], r[i]).statistic for i in range(2)])
    assert series.mean() == pytest.approx(expected, abs=1e-12)


def test_correlations_equal_spearman_on_one_mask_and_come_close_on_two() -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(1, 900))
    others = np.vstack([0.5 * x[0] + rng.normal(size=900), -x[0], rng.normal(size=900), np.zeros(900)])
    ranks = standard_ranks(others)
    known = (~np.isnan(ranks)).astype(np.uint8)
    found = correlations(standard_ranks(x), np.nan_to_num(ranks).astype(np.float32), known)
    for k in range(3):
        assert found[k] == pytest.approx(stats.spearmanr(x[0], others[k]).statistic, abs=1e-6)
    assert np.isnan(found[3])
    y = x.copy()
    y[0, :50] = np.nan
    near = correlations(standard_ranks(y), np.nan_to_num(ranks).astype(np.float32), known)
    assert near[0] == pytest.approx(stats.spearmanr(x[0, 50:], others[0, 50:]).statistic, abs=5e-3)


def test_own_ranks_count_known_cells() -> None:
    x = np.array([[3.0, np.nan, 1.0]])
    ranks, counts = own_ranks(x, sort_rows(x))
    assert ranks.tolist() == [[2, -1, 0]]
    assert counts.tolist() == [2]


def test_returns_are_scored_by_their_location_and_the_largest_count_less() -> None:
    n = 101
    table = location_table(n)[::2]
    q = stats.t(4).ppf((np.arange(n) + 0.5) / n)
    np.testing.assert_allclose(table, 5.0 * q / (4.0 + q * q))
    assert table[-1] < table[-6]  # beyond two scales a larger return says less
    z = scores_of_ranks(*own_ranks(q[None, :], sort_rows(q[None, :])), 2, location_table)[0]
    assert (z.mean(), z.std()) == (pytest.approx(0.0, abs=1e-12), pytest.approx(1.0))


def test_location_scores_find_more_in_returns_with_heavy_tails() -> None:
    rng = np.random.default_rng(4)
    feature = rng.normal(size=(40, 4000))
    returns = 0.05 * feature + rng.standard_t(4, size=feature.shape) / math.sqrt(2.0)
    ranks = own_ranks(returns, sort_rows(returns))
    z_f = scores_of_ranks(*own_ranks(feature, sort_rows(feature)), 30)
    normal, location = ((z_f * scores_of_ranks(*ranks, 30, of)).mean() for of in (score_table, location_table))
    assert location > 1.07 * normal
