"""The book's arithmetic: causal weights, netted trades, limits, and what happens to a member that dies."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from midas_engine.book.forecast import forecast
from midas_engine.book.limits import Limits, limited
from midas_engine.book.paths import Market, Signals
from midas_engine.book.solve import best_weights, net_ratio
from midas_engine.book.strength import Prior, default_prior, fit_prior, posterior
from midas_engine.book.walk import Walk, walk

BARS, SYMBOLS, TRAIN = 4000, 8, slice(0, 1500)
DEATH = 2500
PRIOR = Prior(0.5, 0.05)


def make(seed: int = 0, *, dies: bool = False, flip: bool = False) -> tuple[Signals, Market]:
    """Three members of IC 0.08, 0.08 and 0; the first may die, the second may be the first's opposite."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(3, BARS, SYMBOLS))
    for t in range(1, BARS):
        z[:, t] = 0.9 * z[:, t - 1] + np.sqrt(0.19) * z[:, t]
    if flip:
        z[1] = -z[0]
    z -= z.mean(axis=2, keepdims=True)
    z /= np.sqrt((z * z).mean(axis=2, keepdims=True))
    strength = np.array([0.08, 0.0 if flip else 0.08, 0.0])[:, None] * np.ones(BARS)
    if dies:
        strength[0, DEATH:] = 0.0
    returns = 0.01 * (np.einsum("kt,kts->ts", strength, z) + rng.normal(size=(BARS, SYMBOLS)))
    u = np.einsum("kts,ts->kt", z, returns / 0.01) / SYMBOLS
    p = z / np.abs(z).sum(axis=2, keepdims=True)
    returns[-1] = np.nan
    u[:, -1] = np.nan
    return Signals(("a", "b", "c"), p, u, np.ones_like(u), (1, 1, 1)), Market(returns, None, 2e-4, 8760.0)


@pytest.fixture(scope="module")
def healthy() -> Walk:
    return walk(*make(), TRAIN, PRIOR)


def test_weights_are_shares_and_noise_gets_little(healthy: Walk) -> None:
    assert (healthy.weights >= 0.0).all()
    assert (healthy.weights.sum(axis=1) <= 1.0 + 1e-9).all()
    assert healthy.weights[-1, 2] < 0.15
    assert healthy.weights[-1, :2].min() > 0.25
    assert (np.abs(healthy.positions).sum(axis=1) <= 1.0 + 1e-9).all()


def test_no_weight_knows_a_later_bar(healthy: Walk) -> None:
    signals, market = make()
    cut = 3000
    later = market.returns.copy()
    later[cut:] *= -3.0
    scores = signals.u.copy()
    scores[:, cut:] = 5.0
    positions = signals.positions.copy()
    positions[:, cut + 1 :] *= -1.0
    other = walk(
        dataclasses.replace(signals, u=scores, positions=positions),
        dataclasses.replace(market, returns=later),
        TRAIN,
        PRIOR,
    )
    seen = cut - TRAIN.stop + 1
    np.testing.assert_allclose(other.weights[:seen], healthy.weights[:seen], atol=1e-12)
    np.testing.assert_allclose(other.positions[:seen], healthy.positions[:seen], atol=1e-12)
    assert not np.allclose(other.weights[seen + 24 :], healthy.weights[seen + 24 :])


def test_a_member_that_dies_loses_its_weight() -> None:
    path = walk(*make(dies=True), TRAIN, PRIOR)
    start = DEATH - path.first
    before = path.weights[start - 240 : start, 0].mean()
    below = np.flatnonzero(path.weights[start:, 0] < 0.1 * before)
    assert before > 0.25
    assert below.size
    assert below[0] < 900


def test_the_opposite_of_a_good_member_gets_nothing() -> None:
    signals, market = make(flip=True)
    both = dataclasses.replace(signals, positions=signals.positions[:2], u=signals.u[:2], w=signals.w[:2],
                               names=("a", "b"), holdings=(1, 1))  # fmt: skip
    path = walk(both, market, TRAIN, PRIOR)
    assert path.weights[-1, 0] > 0.9
    assert path.weights[-1, 1] == 0.0  # the losing side of a pair is not held against the winning one


def test_turnover_is_netted(healthy: Walk) -> None:
    assert healthy.traded.sum() < 0.9 * healthy.members_traded.sum()


def test_net_is_earned_less_trades(healthy: Walk) -> None:
    np.testing.assert_allclose(healthy.net, healthy.earned - 2e-4 * healthy.traded)
    assert np.isnan(healthy.net[-1])  # the last bar's return is not known, and not zero


def test_too_little_history_is_an_empty_book_and_no_figure() -> None:
    signals, market = make()
    short = walk(
        dataclasses.replace(signals, positions=signals.positions[:, :200], u=signals.u[:, :200], w=signals.w[:, :200]),
        dataclasses.replace(market, returns=market.returns[:200]),
        slice(0, 100),
        PRIOR,
    )
    assert not short.weights.any()
    assert np.isnan(forecast(short.now, market.cost, market.bars_per_year).sharpe.value)


def test_funding_is_paid_by_what_is_held() -> None:
    signals, market = make()
    rate = np.full((BARS, SYMBOLS), 1e-5) * np.arange(SYMBOLS)
    charged = walk(signals, dataclasses.replace(market, paid=rate), TRAIN, PRIOR)
    rows = slice(charged.first, BARS - 1)
    paid = (charged.positions[:-1] * rate[rows]).sum(axis=1)
    gross = (charged.positions[:-1] * market.returns[rows]).sum(axis=1)
    np.testing.assert_allclose(charged.earned[:-1], gross - paid)


@pytest.mark.parametrize("neutral", [False, True])
def test_limits_hold_for_any_wish(neutral: bool) -> None:
    rng = np.random.default_rng(4)
    wanted = rng.standard_t(2, (500, 6)) * rng.choice([0.05, 0.3, 2.0], (500, 1))
    held = limited(wanted, Limits(symbol=0.3, net=0.4, neutral=neutral))
    assert np.abs(held).max() <= 0.3 + 1e-12
    assert np.abs(held).sum(axis=1).max() <= 1.0 + 1e-12
    assert np.abs(held.sum(axis=1)).max() <= (1e-12 if neutral else 0.4 + 1e-12)


def test_weights_are_the_best_of_a_grid() -> None:
    rng = np.random.default_rng(2)
    grid = [np.array(w) / 20 for w in itertools.product(range(21), repeat=3) if sum(w) == 20]
    for _ in range(30):
        factor = rng.normal(size=(3, 5))
        covariance = factor @ factor.T + 0.1 * np.eye(3)
        changes = rng.normal(size=(3, 5))
        change = changes @ changes.T
        mean = rng.normal(0.5, 1.0, 3)
        found = best_weights(np.zeros(3), mean, covariance, change, 0.1)
        best = max(net_ratio(w, mean, covariance, change, 0.1) for w in grid)
        if best <= 0.0:
            assert not found.any()
        else:
            assert net_ratio(found, mean, covariance, change, 0.1) >= 0.99 * best - 0.002


def test_a_lucky_winner_is_drawn_to_nothing_and_a_sound_one_is_not() -> None:
    rng = np.random.default_rng(3)
    noise = fit_prior(rng.normal(size=300), 5000, 8760.0)
    lucky, _ = posterior(np.array([3.0 / np.sqrt(5000)]), np.array([5000.0]), noise)
    assert lucky[0] < 0.35 * 3.0 / np.sqrt(5000)
    sound, _ = posterior(np.array([8.0 / np.sqrt(5000)]), np.array([5000.0]), default_prior(8760.0))
    assert sound[0] > 0.7 * 8.0 / np.sqrt(5000)
