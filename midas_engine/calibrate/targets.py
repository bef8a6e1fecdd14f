"""Targets with known truth, made of the user's own returns: nothing can foresee them, or exactly one thing can.

* sign-flipped: every bar's returns, all symbols together, times a fair coin. Whatever was known before the bar, the
  expected return is zero; volatility, its clusters and what symbols share stay.
* block-shuffled: weeks in another order, and within each week the symbols' returns dealt to other symbols, after each
  symbol's mean is taken out. Order alone is not enough: what differs between symbols for good (skew, volatility)
  outlives any shuffle in time, and a feature that hardly changes finds it.
* planted: a sign-flipped target plus c x sigma x z(f), z the normal score of a feature and sigma its symbol's lagged
  volatility (times the spread of the symbols around that bar), with c such that the rank IC of f is what was asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import EvaluationError
from midas_engine.stats.bar_scores import CROSS_MINIMUM
from midas_engine.stats.scale import lagged_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas_engine.stats._jit import Floats

BLOCK_HOURS = 168.0
SPREAD_BARS = 169


@dataclass(frozen=True, slots=True)
class Target:
    """One-bar forward returns with what belongs to the same bars.

    Attributes:
        returns: [T, S]; row t is earned over the bar that follows t.
        scale: Their lagged scale [T, S].
        order: Which original row each row is [T].
    """

    returns: Floats
    scale: Floats
    order: NDArray[np.int64]


def sign_flipped(returns: Floats, rng: np.random.Generator) -> Target:
    """The market's returns with every bar's sign drawn anew."""
    signs = rng.integers(0, 2, len(returns)) * 2.0 - 1.0
    flipped = returns * signs[:, None]
    return Target(flipped, lagged_scale(flipped, 1), np.arange(len(returns)))


def block_shuffled(returns: Floats, rng: np.random.Generator, block: int) -> Target:
    """The market's returns, less each symbol's mean, in blocks of another order with other symbols."""
    bars = len(returns)
    # A random start, so that the same cuts do not return in every replay.
    edges = [0, *range(int(rng.integers(1, block + 1)), bars, block), bars]
    pieces = [np.arange(a, b) for a, b in zip(edges, edges[1:], strict=False)]
    picks = rng.permutation(len(pieces))
    order = np.concatenate([pieces[k] for k in picks])
    known = ~np.isnan(returns)
    mean = np.where(known, returns, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    dealt = [(returns - mean)[pieces[k]][:, rng.permutation(returns.shape[1])] for k in picks]
    shuffled = np.ascontiguousarray(np.concatenate(dealt))
    return Target(shuffled, lagged_scale(shuffled, 1), order)


def make_target(kind: str, returns: Floats, rng: np.random.Generator, hours_per_bar: float) -> Target:
    """A target of `kind`."""
    if kind == "sign-flipped":
        return sign_flipped(returns, rng)
    if kind == "block-shuffled":
        return block_shuffled(returns, rng, max(2, round(BLOCK_HOURS / hours_per_bar)))
    raise EvaluationError(f"no target of kind {kind!r}", hint="sign-flipped or block-shuffled")


def plant(target: Target, z: Floats, strength: float) -> Target:
    """`target` with strength x sigma x spread x z added. Unknown z adds nothing. Shapes: z [T, S]."""
    size = np.nan_to_num(target.scale) * spread(target)[:, None]
    returns = target.returns + size * np.nan_to_num(z) * strength
    return Target(returns, lagged_scale(returns, 1), target.order)


def spread(target: Target) -> Floats:
    """How far scaled returns lie apart across symbols around each bar [T]; ones for a few symbols.

    What symbols share does not blur a rank across them, so the same strength is a weaker IC in a month in which they
    part ways. With this factor the planted IC is the same all the time: a feature is healthy until it dies.
    """
    bars, symbols = target.returns.shape
    if symbols < CROSS_MINIMUM:
        return np.ones(bars)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = target.returns / target.scale
    known = np.isfinite(scaled)
    count = known.sum(axis=1)
    mean = np.where(known, scaled, 0.0).sum(axis=1) / np.maximum(count, 1)
    apart = np.abs(np.where(known, scaled - mean[:, None], 0.0)).sum(axis=1)
    width = min(SPREAD_BARS, bars)
    window = np.ones(width)
    apart, cells = (np.convolve(x, window, mode="same") for x in (apart, count.astype(np.float64)))
    return np.where(cells > 0, apart / np.maximum(cells, 1.0), 1.0)


def compounded(returns: Floats, horizon: int) -> Floats:
    """Forward returns over `horizon` bars; NaN for the last and where a bar is unknown. Shapes: [T, S] -> [T, S]."""
    if horizon == 1:
        return returns
    bars = len(returns)
    growth = np.log1p(np.maximum(returns, -0.99))
    out = np.full(returns.shape, np.nan)
    if horizon <= bars:
        total = growth[: bars - horizon + 1].copy()
        for k in range(1, horizon):
            total += growth[k : bars - horizon + 1 + k]
        out[: bars - horizon + 1] = np.expm1(total)
    return out


def strength_for(ic: float, per_unit: float) -> float:
    """The strength that gives a rank IC, from the IC that a strength of one hundredth gave.

    Raises:
        EvaluationError: The planted feature does not move the target.
    """
    if not (per_unit > 0.0 and math.isfinite(per_unit)):
        raise EvaluationError("the planted feature does not move the target")
    return 0.01 * ic / per_unit
