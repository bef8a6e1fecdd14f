"""`SyntheticMarket`: what it says of itself is true of its data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from midas_engine.dsl import FeatureEngine
from midas_engine.market import SyntheticMarket, forward_returns, regime_labels


@pytest.fixture(scope="module")
def market() -> SyntheticMarket:
    return SyntheticMarket(11, bars=6000, symbols=24)


def rank_ics(values: np.ndarray, returns: np.ndarray) -> np.ndarray:
    out = np.full(len(values), np.nan)
    for t, (x, y) in enumerate(zip(values, returns, strict=True)):
        both = np.isfinite(x) & np.isfinite(y)
        if both.sum() >= 5 and np.ptp(x[both]) > 0:
            out[t] = np.corrcoef(stats.rankdata(x[both]), stats.rankdata(y[both]))[0, 1]
    return out


def test_a_seed_is_a_market(market: SyntheticMarket) -> None:
    assert SyntheticMarket(11, bars=6000, symbols=24).panel().snapshot_id == market.panel().snapshot_id
    assert SyntheticMarket(12, bars=6000, symbols=24).panel().snapshot_id != market.panel().snapshot_id
    assert market.panel() is market.panel()


def test_the_planted_ics_are_measured_within_their_error(market: SyntheticMarket) -> None:
    panel, engine = market.panel(), FeatureEngine(market.panel())
    returns = forward_returns(panel, (1,))[1]
    kinds = set()
    for feature in market.truth.features:
        ics = rank_ics(engine.values(feature.expression), returns)
        change = feature.changes_at or panel.T
        before, after = ics[:change], ics[change:]
        error = np.nanstd(before) / np.sqrt(np.isfinite(before).sum())
        assert abs(np.nanmean(before) - feature.ic) < 3 * error, feature.name
        assert np.nanmean(before) / error > 8, feature.name
        if feature.changes_at is not None:
            target = 0.0 if feature.kind == "decays" else -feature.ic
            late = np.nanstd(after) / np.sqrt(np.isfinite(after).sum())
            assert abs(np.nanmean(after) - target) < 3 * late, feature.name
        kinds.add(feature.kind)
    assert kinds == {"stable", "decays", "flips"}
    assert market.decay_at.isoformat() == "2025-07-07T12:00:00+00:00"  # three quarters of 6000 hours from January


def test_without_signals_there_is_nothing_to_find() -> None:
    market = SyntheticMarket(3, bars=4000, symbols=20, ics=(0.0, 0.0, 0.0))
    engine, returns = FeatureEngine(market.panel()), forward_returns(market.panel(), (1,))[1]
    for feature in market.truth.features:
        ics = rank_ics(engine.values(feature.expression), returns)
        assert abs(np.nanmean(ics)) < 3.5 * np.nanstd(ics) / np.sqrt(np.isfinite(ics).sum()), feature.name


def test_returns_have_fat_tails_and_clustered_volatility(market: SyntheticMarket) -> None:
    returns = market.panel()["returns"][1:, 0]
    assert stats.kurtosis(returns) > 3
    size = np.abs(returns)
    lags = [np.corrcoef(size[:-lag], size[lag:])[0, 1] for lag in (1, 6, 24)]
    assert min(lags) > 0.1
    assert abs(np.corrcoef(returns[:-1], returns[1:])[0, 1]) < 0.06


def test_the_market_moves_together(market: SyntheticMarket) -> None:
    returns = market.panel()["returns"][1:]
    full = returns[:, np.isfinite(returns).all(axis=0)]
    correlation = np.corrcoef(full.T)[np.triu_indices(full.shape[1], 1)]
    assert 0.15 < correlation.mean() < 0.6


def test_bars_are_consistent_and_symbols_come_and_go(market: SyntheticMarket) -> None:
    panel, truth = market.panel(), market.truth
    known = np.isfinite(panel["close"])
    rows = np.arange(panel.T)[:, None]
    expected = (rows >= np.array(truth.listed_at)) & (rows < np.array(truth.delisted_at))
    np.testing.assert_array_equal(known, expected)
    assert max(truth.listed_at) > 0
    assert min(truth.delisted_at) < panel.T
    opened, high, low, close = (panel[n] for n in ("open", "high", "low", "close"))
    with np.errstate(invalid="ignore"):
        assert not (high < np.fmax(opened, close) * (1 - 1e-12)).any()
        assert not (low > np.fmin(opened, close) * (1 + 1e-12)).any()
        assert not (low <= 0).any()
    vwap = panel["vwap"]
    inside = (vwap >= low * (1 - 1e-9)) & (vwap <= high * (1 + 1e-9))
    assert inside[known].all()


def test_funding_settles_every_eight_hours_and_is_known_at_the_close(market: SyntheticMarket) -> None:
    panel = market.panel()
    rate, paid = panel["funding_rate"][:, 0], panel["funding_paid"][:, 0]
    settled = np.flatnonzero(np.nan_to_num(paid))
    assert (settled % 8 == 7).all()
    assert len(settled) == panel.T // 8
    np.testing.assert_array_equal(rate[settled], paid[settled])
    changes = np.flatnonzero(np.diff(rate[7:]) != 0) + 8
    assert set(changes) <= set(settled)
    assert 2e-5 < np.nanmedian(np.abs(panel["funding_rate"])) < 1e-3


def test_the_labels_find_the_volatility_that_was_planted(market: SyntheticMarket) -> None:
    labels, truth = regime_labels(market.panel()), market.truth.regimes
    assert set(np.unique(truth)) == {0, 1, 2}
    for name, state in (("LOW_VOL", 0), ("HIGH_VOL", 2)):
        assert np.mean(truth[labels == name] == state) > 0.55, name
    assert np.mean(truth[labels == "HIGH_VOL"] == 0) < 0.1


def test_slippage_is_what_was_expected_but_in_the_shock(market: SyntheticMarket) -> None:
    slippage = market.slippage_bps(2.0)
    first, last = market.truth.slippage_shock
    calm = np.concatenate([slippage[:first], slippage[last:]])
    assert calm.mean() == pytest.approx(2.0, rel=0.03)
    assert slippage[first:last].mean() == pytest.approx(6.0, rel=0.12)
    assert (slippage > 0).all()


@pytest.mark.parametrize("arguments", [{"bars": 99}, {"symbols": 1}])
def test_a_market_too_small_is_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 100 bars and 2 symbols"):
        SyntheticMarket(1, **arguments)
