"""A standing bet on symbols is told from a signal, and refused by name."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from midas_engine.evaluator import EvaluationContext, evaluate_values, judge
from midas_engine.evaluator.reports.rendering import render
from midas_engine.evaluator.reports.said_first import opposite_signs, said_first

START = np.datetime64("2025-01-01", "ns")


def _context(returns: np.ndarray) -> EvaluationContext:
    bars, symbols = returns.shape
    return EvaluationContext.from_returns(
        {1: returns},
        timestamps=START + np.arange(bars) * np.timedelta64(3600, "s"),
        symbols=tuple(f"S{i}" for i in range(symbols)),
    )


def _drifting(seed: int, bars: int = 3000, symbols: int = 24, drift: float = 3e-4) -> tuple[np.ndarray, np.ndarray]:
    """Returns whose symbols drift for good, and the drifts."""
    rng = np.random.default_rng(seed)
    drifts = drift * rng.normal(size=symbols)
    return 0.006 * rng.standard_t(4, size=(bars, symbols)) + drifts, drifts


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("form", ["constant", "times two", "rank", "price-sized"])
def test_whoever_drifted_is_not_a_signal(seed: int, form: str) -> None:
    returns, drifts = _drifting(seed)
    values = np.tile(drifts + 1e-9, (len(returns), 1))  # the best standing bet there is, seen with hindsight
    if form == "times two":
        values *= 2.0
    elif form == "rank":
        values = np.argsort(np.argsort(values, axis=1), axis=1).astype(float)
    elif form == "price-sized":
        levels = np.exp(3.0 * drifts / drifts.std())
        values = levels * np.exp(np.cumsum(0.002 * np.random.default_rng(seed).normal(size=returns.shape), axis=0))
    verdict = judge(evaluate_values(values, _context(returns)))
    assert verdict.evaluation.score_t > verdict.line_t  # the drift is really there
    assert not verdict.overall_pass
    failed = {g.name for g in verdict.verdicts[0].gates if not g.passed}
    assert "standing_variance" in failed
    assert said_first(verdict)[0].startswith("A bet on these symbols")
    assert "A bet on these symbols" in render(verdict)


def test_the_parts_add_up() -> None:
    returns, drifts = _drifting(1)
    rng = np.random.default_rng(8)
    values = drifts / drifts.std() + rng.normal(size=returns.shape)
    values[rng.random(values.shape) < 0.1] = np.nan
    result = evaluate_values(values, _context(returns))
    parts = result.extra["standing"]
    total = parts["standing"]["score"]["value"] + parts["moving"]["score"]["value"]
    assert total == pytest.approx(result.score.value, rel=1e-9)
    assert parts["standing"]["net_bps"] + parts["moving"]["net_bps"] == pytest.approx(result.net_bps, rel=1e-9)
    assert parts["standing"]["t"] > 2.0 > abs(parts["moving"]["t"])
    assert 0.3 < parts["standing_variance"] < 0.7


def test_a_signal_that_moves_stays_one() -> None:
    returns, _ = _drifting(2)
    rng = np.random.default_rng(4)
    signal = rng.normal(size=returns.shape)
    verdict = judge(evaluate_values(signal, _context(returns + 0.0008 * signal)), trials=60)
    gates = {g.name: g for g in verdict.verdicts[0].gates}
    assert gates["moving_share"].passed
    assert gates["standing_variance"].passed
    assert gates["score_t"].passed
    assert not said_first(verdict)


def test_a_nominal_size_is_refused_across_symbols_only() -> None:
    returns, _ = _drifting(3, bars=600)
    rng = np.random.default_rng(4)
    values = rng.normal(size=returns.shape)
    gates = judge(evaluate_values(values, _context(returns), nominal="close is a price: why")).verdicts[0]
    assert [g.detail for g in gates.gates if g.name == "comparable" and not g.passed] == ["close is a price"]
    alone = judge(evaluate_values(values[:, :1], _context(returns[:, :1]), nominal="close is a price: why"))
    assert "comparable" not in {g.name for g in alone.verdicts[0].gates}


def test_one_market_has_no_standing_part() -> None:
    returns, _ = _drifting(3, bars=600, symbols=4)
    result = evaluate_values(np.random.default_rng(1).normal(size=returns.shape), _context(returns))
    assert result.extra["standing"] is None


def test_below_ten_symbols_a_constant_scores_nothing() -> None:
    returns, drifts = _drifting(3, bars=600, symbols=6)
    result = evaluate_values(np.tile(drifts, (600, 1)), _context(returns))
    assert result.extra["empty"]


def test_ic_and_money_that_disagree_are_said_first() -> None:
    rng = np.random.default_rng(2)
    signal = rng.normal(size=(1500, 12))
    returns = 0.002 * rng.normal(size=signal.shape) + 0.0004 * signal
    wild = rng.random(signal.shape) < 0.01
    returns[wild] = -0.2 * np.sign(signal[wild])
    verdict = judge(evaluate_values(signal, _context(returns)))
    assert verdict.evaluation.rank_ic.value > 0.0 > verdict.evaluation.gross_bps
    assert said_first(verdict)[0].startswith("IC and money disagree: rank IC +")
    assert not opposite_signs(evaluate_values(np.full_like(signal, np.nan), _context(returns)))


@pytest.mark.parametrize("symbols", [1, 4, 24])
def test_one_number_and_rounding_is_no_feature(symbols: int) -> None:
    """The mean over symbols written into each of them differs in its last bits only."""
    rng = np.random.default_rng(6)
    returns = 0.01 * rng.normal(size=(800, symbols))
    base: Any = rng.normal(size=(800, 1)) if symbols >= 10 else 1.0
    values = base * (1.0 + 1e-13 * rng.normal(size=returns.shape))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate_values(values, _context(returns))
    assert result.extra["empty"]
    assert ("one number for all symbols" if symbols >= 10 else "constant") in result.warnings[-1]
