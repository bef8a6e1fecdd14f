"""The slower figures: score by regime, decay over lags, correlation with the others; each against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from midas_engine.monitor.figures.profile import LAGS, MAX_REGIMES, CrossCorrelation, LagProfile, RegimeScores
from midas_engine.stats.causal_kernels import forget_factor, psi
from tests.helpers_monitor import ar1

KEEP = forget_factor(720)


@pytest.mark.parametrize(("symbols", "cross"), [(1, False), (3, False), (12, True)])
def test_lag_profile_is_its_definition(symbols: int, cross: bool) -> None:
    rng = np.random.default_rng(1)
    z, r = rng.normal(size=(130, 2, symbols)), rng.normal(size=(130, symbols))
    z[rng.random(z.shape) < 0.1] = np.nan
    r[rng.random(r.shape) < 0.1] = np.nan
    profile = LagProfile(2, symbols, cross=cross)
    for t in range(130):
        profile.update(z[t], r[t])
    for feature in range(2):
        for lag in (0, 1, 7, 47):
            total = bars = 0.0
            for t in range(lag, 130):
                centre = np.nanmean(r[t]) if cross else 0.0
                answers = np.array([psi(x - centre) for x in r[t]]) * z[t - lag, feature]
                if np.isfinite(answers).any():
                    total, bars = total * KEEP + np.nanmean(answers), bars * KEEP + 1.0
            assert profile.sums[lag, :, feature] == pytest.approx([total, bars])


def test_half_life_of_a_planted_decay_is_found() -> None:
    rng = np.random.default_rng(2)
    shocks = rng.normal(size=6000)
    decay = 2.0 ** (-np.arange(LAGS) / 6.0)
    told = np.convolve(shocks, decay)[:6000] * 0.25
    r = told + rng.normal(size=6000)
    profile = LagProfile(2, 1, cross=False)
    noise = rng.normal(size=6000)
    for t in range(6000):
        profile.update(np.array([[shocks[t]], [noise[t]]]), r[t : t + 1])
    found = profile.half_life_bars(np.ones(2))
    assert 4.0 < found[0] < 9.0
    assert np.isnan(found[1])


def test_lag_profile_keeps_the_features_that_stay() -> None:
    rng = np.random.default_rng(3)
    both, moved = LagProfile(2, 2, cross=False), LagProfile(2, 2, cross=False)
    z, r = rng.normal(size=(80, 2, 2)), rng.normal(size=(80, 2))
    for t in range(60):
        both.update(z[t], r[t])
        moved.update(z[t], r[t])
    moved.select([1, -1])
    for t in range(60, 80):
        both.update(z[t], r[t])
        moved.update(np.stack([z[t, 1], np.full(2, np.nan)]), r[t])
    np.testing.assert_array_equal(moved.sums[:, :, 0], both.sums[:, :, 1])
    assert not moved.sums[:, :, 1].any()
    again = LagProfile(2, 2, cross=False)
    again.load(moved.arrays())
    np.testing.assert_array_equal(again.sums, moved.sums)


def test_regime_scores_are_kept_apart() -> None:
    rng = np.random.default_rng(4)
    scores = RegimeScores(1)
    kept: dict[str, list[float]] = {"HIGH": [], "LOW": []}
    for t in range(400):
        label = "HIGH" if t % 3 else "LOW"
        u = rng.normal() + (0.5 if label == "LOW" else -0.5)
        scores.update(label, np.array([u]), np.ones(1))
        kept[label].append(u)
    for label, values in kept.items():
        weights = KEEP ** np.arange(len(values))[::-1]
        mean, se, bars = scores.figures(label)
        assert mean[0] == pytest.approx(np.average(values, weights=weights))
        assert bars[0] == pytest.approx(weights.sum())
        assert se[0] == pytest.approx(np.std(values) / np.sqrt(bars[0]), rel=0.05)
    for extra in range(MAX_REGIMES):
        scores.update(f"r{extra}", np.ones(1), np.ones(1))
    assert len(scores.labels) == MAX_REGIMES
    assert np.isnan(scores.figures("r7")[0][0])


def test_cross_correlation_finds_the_pair_that_moves_together() -> None:
    rng = np.random.default_rng(5)
    z = np.column_stack([ar1(rng, 900, 0.3) for _ in range(3)])
    z[:, 2] = -0.9 * z[:, 0] + np.sqrt(1 - 0.81) * rng.normal(size=900)
    pairs = CrossCorrelation(3)
    for t in range(900):
        pairs.update(z[t][:, None])
    now, usual, partner = pairs.highest()
    assert partner.tolist()[0] == 2
    assert partner.tolist()[2] == 0
    assert now[0] == pytest.approx(0.9, abs=0.05)
    assert usual[0] == pytest.approx(0.9, abs=0.03)
    assert np.isnan(CrossCorrelation(1).highest()[0]).all()
