"""What members hold bar by bar, and what that earns before they are put together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.book.strength import posterior

if TYPE_CHECKING:
    from midas_engine.book.strength import Prior
    from midas_engine.stats._jit import Floats

HOLDINGS = (1, 2, 4, 8, 12, 24, 48)
"""Bars that a forecast may be held; each member takes what would have paid best before the book begins."""


@dataclass(frozen=True, slots=True)
class Market:
    """What the book trades.

    Attributes:
        returns: Return of the bar that follows each close [T, S]; NaN where unknown.
        paid: Funding a long pays over that bar, as a fraction [T, S]; None: unknown, and not charged.
        cost: One-way trading cost, as a fraction of notional.
        bars_per_year: Of the data.
        rebalance_bars: Bars between two looks at the weights: a day.
        arl0: Bars between false alarms of the live detectors.
        cross: Members are scored across symbols; None: where there are ten.
    """

    returns: Floats
    paid: Floats | None
    cost: float
    bars_per_year: float
    rebalance_bars: int = 24
    arl0: float = 8760.0
    cross: bool | None = None


@dataclass(frozen=True, slots=True)
class Signals:
    """The members before holding.

    Attributes:
        names: [K].
        positions: Holdings at each close per unit gross [K, T, S], 0 where none; of the past only.
        u: Causal scores [K, T].
        w: Their weights [K, T].
        holdings: Bars each forecast is held where the member says so; 0 lets the book choose.
    """

    names: tuple[str, ...]
    positions: Floats
    u: Floats
    w: Floats
    holdings: tuple[int, ...]

    def without(self, k: int) -> Signals:
        """The others."""
        keep = [i for i in range(len(self.names)) if i != k]
        return Signals(
            tuple(self.names[i] for i in keep),
            self.positions[keep],
            self.u[keep],
            self.w[keep],
            tuple(self.holdings[i] for i in keep),
        )


@dataclass(frozen=True, slots=True)
class Held:
    """Members as they are held.

    Attributes:
        positions: Mean of the last h positions, scaled to a mean gross of 1 before the book begins [K, T, S].
        earned: Return before costs, less funding, per bar [K, T]; NaN where no return is known.
        holdings: Bars held [K].
        scales: What the mean of the last h positions was multiplied by [K].
    """

    positions: Floats
    earned: Floats
    holdings: tuple[int, ...]
    scales: tuple[float, ...]

    def without(self, k: int) -> Held:
        """The others."""
        keep = [i for i in range(len(self.holdings)) if i != k]
        return Held(
            self.positions[keep],
            self.earned[keep],
            tuple(self.holdings[i] for i in keep),
            tuple(self.scales[i] for i in keep),
        )


def held_positions(p: Floats, bars: int) -> Floats:
    """The book of the last `bars` positions: each forecast is held that long. Shapes: [T, S] -> [T, S].

    Example:
        >>> held_positions(np.array([[1.0], [0.0], [-1.0]]), 2).ravel().tolist()
        [0.5, 0.5, -0.5]
    """
    if bars <= 1:
        return p
    running = np.cumsum(p, axis=0)
    out = running.copy()
    out[bars:] -= running[:-bars]
    out /= bars
    return out


def earnings(p: Floats, market: Market) -> Floats:
    """Return of positions [T, S] less the funding they pay, per bar [T]; NaN where no return is known."""
    known = np.isfinite(market.returns)
    rate = np.where(known, market.returns, 0.0)
    if market.paid is not None:
        rate = rate - market.paid
    out: Floats = np.einsum("ts,ts->t", p, rate)
    out[~known.any(axis=1)] = np.nan
    return out


def hold(signals: Signals, market: Market, train: slice, prior: Prior) -> Held:
    """Every member at its own holding, chosen on `train` alone, which must lie before what is measured."""
    positions = np.empty_like(signals.positions)
    earned = np.empty(signals.u.shape)
    chosen, scales = [], []
    for k in range(len(signals.names)):
        named = signals.holdings[k]
        best = None
        for bars in (named,) if named else HOLDINGS:
            p = held_positions(signals.positions[k], bars)
            piece = p[train]
            sizes = np.abs(piece).sum(axis=1)
            sizes = sizes[sizes > 0.0]  # bars without any value are no small positions
            gross = float(sizes.mean()) if sizes.size else 0.0
            scale = 1.0 / gross if gross > 0.0 else 1.0
            p = p * scale
            got = earnings(p, market)
            got[: _first(p)] = math.nan  # before its first value it has not earned nothing: it was not there
            ratio = _net_ratio(p[train], got[train], market, prior) if not named else 0.0
            if best is None or ratio > best[0]:
                best = (ratio, bars, p, got, scale)
        assert best is not None
        chosen.append(best[1])
        scales.append(best[4])
        positions[k], earned[k] = best[2], best[3]
    return Held(positions, earned, tuple(chosen), tuple(scales))


def _first(p: Floats) -> int:
    """The first bar with a position; all bars when there is none."""
    active = np.flatnonzero(p.any(axis=1))
    return int(active[0]) if active.size else p.shape[0]


def _net_ratio(p: Floats, earned: Floats, market: Market, prior: Prior) -> float:
    """Expected net return over risk, what was measured being drawn towards nothing."""
    known = earned[np.isfinite(earned)]
    spread = float(known.std()) if known.size > 1 else 0.0
    if not spread > 0.0:
        return -math.inf
    theta, _ = posterior(np.array([known.mean() / spread]), np.array([float(known.size)]), prior)
    turnover = float(np.abs(np.diff(p, axis=0)).sum(axis=1).mean())
    return float(theta[0]) - market.cost * turnover / spread
