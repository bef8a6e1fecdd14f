"""The book bar by bar: at every look weights from what was known by then, one netted position, its net return.

Nothing a weight depends on comes later than the close at which it is set. What is measured of the book therefore holds
what estimating the weights costs.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.book.covariance import normalised, shrunk_correlation
from midas_engine.book.death import death_chance
from midas_engine.book.limits import Limits, limited
from midas_engine.book.paths import Held, Market, Signals, earnings, hold
from midas_engine.book.solve import best_weights
from midas_engine.book.strength import posterior
from midas_engine.stats.sequential import Reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas_engine.book.strength import Prior
    from midas_engine.stats._jit import Bools, Floats

SHRINK = 0.7
"""Of a score measured where a member was chosen, at most seven tenths are promised: as `measure_reference`."""
LEAST_BARS = 240


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is expected of the members at one look; per bar, before trading costs.

    Attributes:
        weights: Shares of capital [K], at least 0, at most 1 together.
        mean: Expected return, shrunk, times the chance of being alive [K].
        error: Standard deviation of that expectation [K].
        size: Standard deviation of a bar's return [K].
        correlation: Of the returns, shrunk [K, K].
        change: Turnover matrix [K, K]; see `solve`.
        dead: Chance that each is dead [K].
    """

    weights: Floats
    mean: Floats
    error: Floats
    size: Floats
    correlation: Floats
    change: Floats
    dead: Floats


@dataclass(frozen=True, slots=True)
class Walk:
    """A book's path over the rows after `train`.

    Attributes:
        first: Row of the panel that the path begins at.
        weights: At each bar [N, K].
        positions: Fractions of capital held at each close [N, S].
        earned: Return less funding [N]; NaN where unknown.
        traded: Absolute change of position [N].
        members_traded: What the members would have traded each for itself [N].
        net: Return after costs and funding [N].
        now: What is expected at the last bar.
        held: The members as they are held.
        references: What each promised.
        called: Which the detectors call dead at the last look [K].
    """

    first: int
    weights: Floats
    positions: Floats
    earned: Floats
    traded: Floats
    members_traded: Floats
    net: Floats
    now: Outlook
    held: Held
    references: tuple[Reference | None, ...]
    called: Bools


def walk(
    signals: Signals,
    market: Market,
    train: slice,
    prior: Prior,
    limits: Limits | None = None,
    held: Held | None = None,
) -> Walk:
    """Run the book over every row after `train`.

    Args:
        signals: The members.
        market: Returns, funding, costs.
        train: Rows before the path begins: holdings, scales and promises are measured there.
        prior: What was believed of a candidate; see `strength`.
        limits: Caps and neutrality.
        held: The members as they are held, where that is known already.
    """
    bars = market.returns.shape[0]
    first = int(train.stop)
    held = held or hold(signals, market, train, prior)
    references = tuple(_reference(signals.u[k, train], signals.w[k, train], prior) for k in range(len(signals.names)))
    dead, called = death_chance(signals.u, signals.w, references, market.arl0)
    looks = np.arange(first, bars, market.rebalance_bars)
    sums = _Sums.build(held, int(train.start or 0), looks)
    weights = np.zeros((bars - first, len(signals.names)))
    now: Outlook | None = None
    before = np.zeros(len(signals.names))
    for j, at in enumerate(looks):
        now = _look(sums, j, dead[:, at], called[:, at], before, market, prior)
        before = now.weights
        weights[at - first : at - first + market.rebalance_bars] = before
    now = _empty(len(signals.names)) if now is None else now
    last = called[:, looks[-1]] if looks.size else np.zeros(len(signals.names), np.bool_)
    return _run(first, weights, held, market, limits or Limits(), now, references, last)


def equally(path: Walk, market: Market, limits: Limits) -> Floats:
    """Net return per bar of equal weights of the same members over the same rows [N]."""
    size = len(path.references)
    weights = np.full((path.net.size, size), 1.0 / max(size, 1))
    called = np.zeros(size, np.bool_)
    return _run(path.first, weights, path.held, market, limits, path.now, path.references, called).net


def _run(
    first: int, weights: Floats, held: Held, market: Market, limits: Limits, now: Outlook,
    references: tuple[Reference | None, ...], called: Bools,
) -> Walk:  # fmt: skip
    wanted = np.einsum("tk,kts->ts", weights, held.positions[:, first:])
    positions = limited(wanted, limits)
    rows = dataclasses.replace(
        market,
        returns=market.returns[first:],
        paid=None if market.paid is None else market.paid[first:],
    )
    earned = earnings(positions, rows)
    traded = np.abs(np.diff(positions, axis=0, prepend=0.0)).sum(axis=1)
    apart = np.zeros(traded.size)
    for k in range(weights.shape[1]):
        own = weights[:, k, None] * held.positions[k, first:]
        apart += np.abs(np.diff(own, axis=0, prepend=0.0)).sum(axis=1)
    net = earned - traded * market.cost
    return Walk(first, weights, positions, earned, traded, apart, net, now, held, references, called)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Running sums over the members' past at each look [J, ...]: all that a look needs, so that it costs nothing."""

    bars: Floats
    total: Floats
    products: Floats
    moves: Floats
    traded: Floats
    steps: Floats

    @classmethod
    def build(cls, held: Held, start: int, looks: NDArray[np.int64]) -> _Sums:
        size = held.earned.shape[0]
        shape = (looks.size, size, size)
        bars, total, traded = (np.zeros((looks.size, size)) for _ in range(3))
        products, moves, steps = np.zeros(shape), np.zeros(shape), np.zeros(looks.size)
        edges = [start, *(int(x) for x in looks)]
        known = np.isfinite(held.earned)
        earned = np.where(known, held.earned, 0.0)
        for j in range(looks.size):
            # A bar's return is known when the next bar closes: rows before the look, and none of it.
            rows = slice(edges[j], edges[j + 1])
            x = earned[:, rows]
            delta = np.diff(held.positions[:, max(rows.start - 1, start) : rows.stop], axis=1)
            flat = delta.reshape(size, -1)
            past = j - 1
            bars[j] = known[:, rows].sum(axis=1) + (bars[past] if j else 0.0)
            total[j] = x.sum(axis=1) + (total[past] if j else 0.0)
            products[j] = x @ x.T + (products[past] if j else 0.0)
            moves[j] = flat @ flat.T + (moves[past] if j else 0.0)
            traded[j] = np.abs(flat).sum(axis=1) + (traded[past] if j else 0.0)
            steps[j] = delta.shape[1] + (steps[past] if j else 0.0)
        return cls(bars, total, products, moves, traded, steps)


def _look(sums: _Sums, j: int, dead: Floats, called: Bools, before: Floats, market: Market, prior: Prior) -> Outlook:
    bars = np.maximum(sums.bars[j], 1.0)
    average = sums.total[j] / bars
    moments = sums.products[j] / np.sqrt(np.outer(bars, bars)) - np.outer(average, average)
    size, correlation = normalised(moments)
    enough = (sums.bars[j] >= LEAST_BARS) & (size > 0.0) & ~called
    safe = np.where(size > 0.0, size, 1.0)
    theta, error = posterior(average / safe, bars, prior)
    alive = 1.0 - dead
    mean = np.where(enough, theta * size * alive, 0.0)
    correlation = shrunk_correlation(correlation, float(bars.min()))
    turnover = sums.traded[j] / max(sums.steps[j], 1.0)
    change = normalised(sums.moves[j])[1] * np.outer(turnover, turnover)
    covariance = correlation * np.outer(size, size)
    weights = np.zeros(size.size)
    if enough.any():
        usable = np.where(enough[:, None] & enough[None, :], covariance, 0.0)
        weights = best_weights(
            np.ascontiguousarray(before), np.ascontiguousarray(mean), np.ascontiguousarray(usable),
            np.ascontiguousarray(change), market.cost,
        ) * alive  # fmt: skip
    # alive with its own error, or dead with nothing: both are part of what is not known
    doubt = np.sqrt(alive * error * error + alive * dead * theta * theta) * size
    return Outlook(weights, mean, doubt, size, correlation, change, dead)


def _empty(size: int) -> Outlook:
    none = np.zeros(size)
    return Outlook(none, none, none, none, np.eye(size), np.zeros((size, size)), none)


def _reference(u: Floats, w: Floats, prior: Prior) -> Reference | None:
    """The promise, from the rows before the book begins: slope and variance of the causal score, shrunk."""
    known = np.isfinite(u) & np.isfinite(w) & (w > 0.0)
    count = int(known.sum())
    if count < LEAST_BARS:
        return None
    u, w = u[known], w[known]
    slope = float(u.sum() / w.sum())
    variance = float(((u - slope * w) ** 2).sum() / w.sum())
    theta = slope * math.sqrt(float(w.mean()) / variance) if variance > 0.0 else 0.0
    kept, _ = posterior(np.array([theta]), np.array([float(count)]), prior)
    share = min(SHRINK, float(kept[0]) / theta) if theta > 0.0 else 0.0
    found = Reference(share * slope, variance, float(count))
    return found if found.usable else None
