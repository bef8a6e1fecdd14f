"""What trading the feature would have made: gross, cost, funding, turnover, bar by bar.

The book holds the average of the positions of the last h bars, so that each forecast is held for the horizon
it was made for; with h = 1 that is the position itself. Everything is per bar and per unit gross.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.stats._jit import Floats, kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

BPS = 1e4


@dataclass(frozen=True, slots=True)
class Book:
    """A feature's book over time [T]; fractions of unit gross, NaN where nothing can be said.

    Attributes:
        gross: Return of the forecast made at t over its h bars, per bar held.
        funding: Funding paid by that forecast while held, per bar held (positive is a cost).
        traded: Absolute change of the one-bar position at t.
        held_traded: Absolute change of the h-bar book at t.
    """

    gross: Floats
    funding: Floats
    traded: Floats
    held_traded: Floats

    @property
    def turnover(self) -> float:
        """Mean absolute change of position per bar."""
        return _mean(self.traded)

    @property
    def held_turnover(self) -> float:
        """Mean absolute change of the h-bar book per bar."""
        return _mean(self.held_traded)

    @property
    def gross_bps(self) -> float:
        """Mean gross return per bar in basis points."""
        return _mean(self.gross) * BPS

    @property
    def funding_bps(self) -> float:
        """Mean funding paid per bar in basis points; negative when it was received."""
        return _mean(self.funding) * BPS

    def net_bps(self, one_way_bps: float) -> float:
        """Mean return per bar after trading costs and funding, in basis points."""
        return self.gross_bps - self.held_turnover * one_way_bps - self.funding_bps

    def net(self, one_way_bps: float) -> Floats:
        """Return per bar after trading costs and funding, as a fraction [T]."""
        return self.gross - self.funding - self.held_traded * (one_way_bps / BPS)


def _mean(x: Floats) -> float:
    known = x[x == x]
    return float(known.mean()) if known.size else float("nan")


@kernel
def _book(
    p: Floats,
    r: Floats,
    paid: Floats,
    horizon: int,
    first: int,
    gross: Floats,
    funding: Floats,
    traded: Floats,
    held: Floats,
) -> None:
    bars, symbols = p.shape
    for t in range(bars):
        gross[t] = np.nan
        funding[t] = np.nan
        traded[t] = np.nan
        held[t] = np.nan
        if t < first:
            continue
        total = 0.0
        cost = 0.0
        known = False
        for s in range(symbols):
            v = r[t, s]
            if v == v:
                known = True
                total += p[t, s] * v
                cost += p[t, s] * paid[t, s]
        if known:
            gross[t] = total / horizon
            funding[t] = cost / horizon
        if t > first:
            change = 0.0
            for s in range(symbols):
                change += abs(p[t, s] - p[t - 1, s])
            traded[t] = change
        if t >= first + horizon:
            change = 0.0
            for s in range(symbols):
                change += abs(p[t, s] - p[t - horizon, s])
            held[t] = change / horizon


def run_book(p: Floats, forward: Floats, paid: Floats, horizon: int) -> Book:
    """The book of positions p. Shapes: [T, S] each.

    Args:
        p: Positions at each close, 0 where none.
        forward: Forward returns over `horizon` bars.
        paid: Funding a long pays over the same bars, as a fraction of notional; zeros without funding.
        horizon: Bars each forecast is held.
    """
    return BookWalk(horizon, p.shape[1]).add(p, forward, paid)


class BookWalk:
    """`run_book` of a history that may come in pieces.

    Args:
        horizon: Bars each forecast is held.
        symbols: S.
    """

    def __init__(self, horizon: int, symbols: int) -> None:
        self._horizon, self._bars, self._first = horizon, 0, -1
        self._before = np.empty((0, symbols))

    def add(self, p: Floats, forward: Floats, paid: Floats) -> Book:
        """The book over the next bars. Shapes: [B, S] each."""
        bars, before = len(p), len(self._before)
        if self._first < 0:
            active = np.flatnonzero(p.any(axis=1))
            self._first = self._bars + int(active[0]) if active.size else -1
        if before:
            nothing = np.full(self._before.shape, np.nan)
            p, forward = np.vstack([self._before, p]), np.vstack([nothing, forward])
            paid = np.vstack([nothing, paid])
        out = [np.empty(len(p)) for _ in range(4)]
        first = len(p) if self._first < 0 else self._first - (self._bars - before)
        _book(p, forward, paid, self._horizon, first, *out)
        self._bars += bars
        self._before = np.array(p[-self._horizon :])
        return Book(*(x[before:] for x in out))


def join_books(pieces: Sequence[Book]) -> Book:
    """One book over all bars of its pieces."""
    names = ("gross", "funding", "traded", "held_traded")
    return Book(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in names))


def effective_ic(ic: float, gross_bps: float, net_bps: float) -> float:
    """The rank IC scaled by the share of gross that is left after costs; never positive unless the book earns.

    Example:
        >>> effective_ic(0.05, 2.0, 1.0), effective_ic(0.05, -2.0, -3.0) <= 0
        (0.025, True)
    """
    if not (gross_bps == gross_bps and net_bps == net_bps and ic == ic):
        return float("nan")
    if gross_bps <= 0.0:
        return -abs(ic)
    scaled = ic * net_bps / gross_bps
    return scaled if ic > 0.0 and net_bps > 0.0 else -abs(scaled)


def break_even_ic(turnover_per_forecast: float, one_way_bps: float, sigma_bps: float) -> float:
    """IC at which gross pays the trading costs: turnover x cost x 0.80 / sigma.

    0.80 is the mean absolute normal score: a unit-gross book of normal scores earns IC x sigma / 0.80.

    Args:
        turnover_per_forecast: Traded per forecast held; the turnover itself at h = 1.
        one_way_bps: Fee, half spread and slippage.
        sigma_bps: Standard deviation of the forward return.
    """
    return turnover_per_forecast * one_way_bps * 0.80 / sigma_bps if sigma_bps > 0.0 else float("nan")
