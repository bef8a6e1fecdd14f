"""Rolling correlations against scipy at every step."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from midas_engine.errors import MonitorError
from midas_engine.monitor.figures.ring import MeanRing, RankRing


def _stream(kind: str, rng: np.random.Generator, bars: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = rng.normal(size=(bars, 4)), rng.normal(size=(bars, 2))
    if kind == "holes":
        x[rng.random(x.shape) < 0.15] = np.nan
        y[rng.random(y.shape) < 0.10] = np.nan
    elif kind == "ties":
        x, y = np.round(x), np.round(y)
    elif kind == "offset":
        x = x * 1e-3 + 6e4
    elif kind == "tick":
        x[5] = 1e10
    return x, y


@pytest.mark.parametrize("kind", ["plain", "holes", "ties", "offset", "tick"])
def test_rank_ring_equals_scipy_at_every_bar(kind: str) -> None:
    x, y = _stream(kind, np.random.default_rng(4), 160)
    ring = RankRing(2, 2, 40)
    for t in range(len(x)):
        ring.update(x[t], y[t])
        if t < 60:
            continue
        for lane in range(4):
            a, b = x[t - 39 : t + 1, lane], y[t - 39 : t + 1, lane % 2]
            both = np.isfinite(a) & np.isfinite(b)
            assert ring.count[lane] == both.sum()
            assert ring.rank_ic[lane] == pytest.approx(spearmanr(a[both], b[both])[0], abs=1e-12)
            assert ring.pearson[lane] == pytest.approx(pearsonr(a[both], b[both])[0], abs=1e-7)


def test_constant_side_has_no_correlation() -> None:
    ring = RankRing(1, 1, 20)
    for t in range(40):
        ring.update(np.array([7.0]), np.array([float(t)]))
    assert np.isnan(ring.rank_ic[0])
    assert np.isnan(ring.pearson[0])


def test_too_few_pairs_give_nothing() -> None:
    ring = RankRing(1, 1, 20)
    for t in range(7):
        ring.update(np.array([float(t)]), np.array([float(t)]))
    assert np.isnan(ring.rank_ic[0])
    ring.update(np.array([9.0]), np.array([9.0]))
    assert ring.rank_ic[0] == pytest.approx(1.0)


def test_two_threads_give_the_same_numbers() -> None:
    rng = np.random.default_rng(0)
    one, two = RankRing(3000, 1, 16), RankRing(3000, 1, 16)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(24):
            x, y = rng.normal(size=3000), rng.normal(size=1)
            one.update(x, y)
            two.update(x, y, pool)
    np.testing.assert_array_equal(one.rank_ic, two.rank_ic)
    np.testing.assert_array_equal(one.pearson, two.pearson)


def test_reload_goes_on_as_if_nothing_happened() -> None:
    x, y = _stream("holes", np.random.default_rng(9), 90)
    whole, first, second = RankRing(2, 2, 30), RankRing(2, 2, 30), RankRing(2, 2, 30)
    for t in range(50):
        whole.update(x[t], y[t])
        first.update(x[t], y[t])
    second.load(first.arrays())
    for t in range(50, 90):
        whole.update(x[t], y[t])
        second.update(x[t], y[t])
        np.testing.assert_array_equal(whole.rank_ic, second.rank_ic)


def test_select_keeps_what_a_feature_has_seen() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(60, 2)), rng.normal(size=(60, 1))
    both, swapped = RankRing(2, 1, 25), RankRing(2, 1, 25)
    for t in range(40):
        both.update(x[t], y[t])
        swapped.update(x[t], y[t])
    swapped.select([1, -1, 0])
    for t in range(40, 60):
        both.update(x[t], y[t])
        swapped.update(np.array([x[t, 1], 0.0, x[t, 0]]), y[t])
    assert swapped.rank_ic[0] == both.rank_ic[1]
    assert swapped.rank_ic[2] == both.rank_ic[0]


def test_long_windows_do_not_overflow_their_ranks() -> None:
    ring = RankRing(1, 1, 17_000)
    assert ring.ranks.dtype == np.int32
    rng = np.random.default_rng(1)
    x, y = np.arange(17_000.0)[None], rng.normal(size=(1, 17_000))
    ring.load({"x": x, "y": y, "position": np.array(0)})
    ring.update(np.array([0.0]), y[:, 0])
    assert ring.rank_ic[0] == pytest.approx(spearmanr(x[0], y[0])[0], abs=1e-12)


def test_refusals() -> None:
    with pytest.raises(MonitorError, match="window of 1"):
        RankRing(1, 1, 1)
    ring = RankRing(1, 1, 5)
    with pytest.raises(MonitorError, match="shapes"):
        ring.load(RankRing(2, 1, 5).arrays())


def test_mean_ring_equals_numpy() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(70, 3))
    x[rng.random(x.shape) < 0.2] = np.nan
    ring = MeanRing(3, 30)
    for t in range(70):
        ring.update(x[t])
    mean, se, count = ring.mean(20)
    np.testing.assert_allclose(mean, np.nanmean(x[-20:], axis=0))
    np.testing.assert_array_equal(count, np.isfinite(x[-20:]).sum(axis=0))
    np.testing.assert_allclose(se, np.nanstd(x[-20:], axis=0, ddof=1) / np.sqrt(count))
    np.testing.assert_allclose(ring.total(10), np.nansum(x[-10:], axis=0))
    np.testing.assert_array_equal(ring.newest, x[-1])


def test_mean_ring_carries_its_sums_without_drift() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(400, 2)) + 5.0
    x[rng.random(x.shape) < 0.1] = np.nan
    x[150, 0] = 1e9  # a bad tick: what rounding leaves of it is gone when the ring has turned
    ring = MeanRing(2, 48)
    for t in range(400):
        ring.update(x[t])
        if 20 <= t < 150 or t > 260:
            window = x[max(0, t - 47) : t + 1]
            mean, se, count = ring.mean(48)
            known = count >= 8
            expected = np.nanmean(window, axis=0)
            np.testing.assert_allclose(mean[known], expected[known], rtol=1e-12)
            np.testing.assert_allclose(ring.average(), np.nansum(window, axis=0) / count)
            np.testing.assert_allclose(
                se[known], (np.nanstd(window, axis=0, ddof=1) / np.sqrt(count))[known], rtol=1e-9
            )
    again = MeanRing(2, 48)
    again.load({name: value.copy() for name, value in ring.arrays().items()})
    for t in range(100):
        ring.update(x[t])
        again.update(x[t])
        np.testing.assert_array_equal(again.mean(48), ring.mean(48))
    again.select([1, -1])
    assert again.mean(48)[0][0] == ring.mean(48)[0][1]
    assert np.isnan(again.average()[1])


def test_sparse_lanes_are_ranked_among_their_own_pairs() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(200, 1)), np.round(rng.normal(size=(200, 1)), 1)
    x[rng.random(200) < 0.85] = np.nan  # an event feature speaks on one bar in seven
    ring = RankRing(1, 1, 90)
    for t in range(200):
        ring.update(x[t], y[t])
    a, b = x[-90:, 0], y[-90:, 0]
    both = np.isfinite(a)
    assert ring.rank_ic[0] == pytest.approx(spearmanr(a[both], b[both])[0], abs=1e-12)
    assert ring.pearson[0] == pytest.approx(pearsonr(a[both], b[both])[0], abs=1e-12)
