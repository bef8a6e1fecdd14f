"""Targets with known truth: what is kept of the market, what is taken, and that the planted IC is the one asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers_calibrate import small_market
from midas_engine.calibrate.features import LEAST_MEMORY, memory, planted_target
from midas_engine.calibrate.market import Replay
from midas_engine.calibrate.targets import block_shuffled, compounded, make_target, plant, sign_flipped
from midas_engine.errors import EvaluationError
from midas_engine.evaluator import evaluate_values

CARRY = "cs_rank(ts_mean(-funding_rate, 24))"


def test_a_flip_keeps_every_size_and_gives_a_bar_one_sign() -> None:
    returns = small_market().returns
    target = sign_flipped(returns, np.random.default_rng(1))
    assert np.array_equal(np.abs(target.returns), np.abs(returns), equal_nan=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        signs = np.sign(target.returns) / np.sign(returns)
    assert all(len(set(row[np.isfinite(row)])) <= 1 for row in signs)
    share = np.nanmean(signs == 1)
    assert 0.4 < share < 0.6


def test_a_shuffle_keeps_every_weeks_returns_and_deals_them_to_other_symbols() -> None:
    rng = np.random.default_rng(2)
    returns = rng.normal(0.3, 1.0, size=(500, 5))
    target = block_shuffled(returns, np.random.default_rng(3), 50)
    assert sorted(target.order.tolist()) == list(range(500))
    assert target.order.tolist() != list(range(500))
    centred = returns - returns.mean(axis=0)
    for t in range(500):
        assert np.sort(target.returns[t]) == pytest.approx(np.sort(centred[target.order[t]]))
    assert np.abs(target.returns.mean()) < 1e-12
    # Neighbours stay neighbours, but at the edges of ten blocks.
    assert (np.diff(target.order) != 1).sum() <= 11


def test_compounding_equals_prices_and_ends_with_the_part() -> None:
    rng = np.random.default_rng(4)
    returns = rng.normal(0, 0.01, size=(60, 2))
    returns[7, 1] = np.nan
    price = np.vstack([np.ones((1, 2)), np.cumprod(1 + returns, axis=0)])
    out = compounded(returns, 4)
    assert out[:57, 0] == pytest.approx(price[4:, 0] / price[:-4, 0] - 1.0)
    assert np.isnan(out[57:]).all()
    assert np.isnan(out[4:8, 1]).all()
    assert not np.isnan(out[:4, 1]).any()
    assert np.isnan(compounded(returns, 61)).all()


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no target of kind"):
        make_target("reversed", small_market().returns, np.random.default_rng(0), 1.0)


@pytest.mark.parametrize("ic", [0.02, 0.05])
def test_the_planted_ic_is_the_one_asked_for(ic: float) -> None:
    market = small_market()
    values = market.engine.values(CARRY)
    z = market.normal_scores(values)
    found = []
    for seed in range(3):
        planted = planted_target(market, "sign-flipped", ic, values, z, [seed])
        rows = market.parts.research

        def mean_ic(returns: np.ndarray, rows: slice = rows) -> float:
            f, r = pd.DataFrame(values[rows]), pd.DataFrame(returns[rows])
            both = f.notna() & r.notna()
            return float(f.where(both).rank(axis=1).corrwith(r.where(both).rank(axis=1), axis=1).mean())

        found.append(mean_ic(planted.alive.returns) - mean_ic(planted.dead.returns))
        # Dead and alive differ by the planted part alone, and a turned feature is the alive one's mirror.
        up = planted.alive.returns - planted.dead.returns
        down = planted.turned.returns - planted.dead.returns
        assert np.nan_to_num(up) == pytest.approx(np.nan_to_num(-down), abs=1e-12)
    assert np.mean(found) == pytest.approx(ic, rel=0.03)


def test_a_replay_is_blind_to_what_the_market_did() -> None:
    market = small_market()
    z = market.normal_scores(market.engine.values(CARRY))
    real = Replay(market, plant(sign_flipped(market.returns, np.random.default_rng(9)), z, 0.1))
    blind = Replay(market, sign_flipped(market.returns, np.random.default_rng(9)))
    values = market.engine.values(CARRY)
    assert evaluate_values(values, real.context("research")).score_t > 5.0
    assert abs(evaluate_values(values, blind.context("research")).score_t) < 3.5
    # The parts are those of a session, and their returns end inside them.
    sealed = market.parts.sealed
    bars = blind.context("sealed").T
    assert bars == sealed.stop - sealed.start
    assert np.isnan(blind.context("research").forward(4)[-3:]).all()


def test_the_memory_of_a_feature_is_its_own_and_needs_half_of_the_cells() -> None:
    market = small_market()
    slow = market.normal_scores(market.engine.values(CARRY))
    fast = market.normal_scores(market.engine.values("cs_rank(-returns)"))
    late = slow.copy()
    late[: len(late) * 2 // 3] = np.nan
    assert memory(market, slow, 4.0) >= LEAST_MEMORY
    assert memory(market, fast, 4.0) < LEAST_MEMORY
    assert memory(market, late, 4.0) == -1.0
