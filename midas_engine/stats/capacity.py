"""How much capital a book can carry before its trades outgrow the market."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.stats._jit import Floats, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BINS = 1 << 16


@kernel
def _add_weights(bins: NDArray[np.uint64], weight: Floats, sums: Floats) -> None:
    for i in range(bins.size):
        sums[bins[i]] += weight[i]


def _bins(allowed: Floats) -> NDArray[np.uint64]:
    """The leading bits of each number, which are in the order of the numbers."""
    raw = (allowed + 0.0).view(np.uint64)  # minus zero becomes zero
    top = np.uint64(1) << np.uint64(63)
    keys: NDArray[np.uint64] = np.where(raw & top, ~raw, raw | top) >> np.uint64(48)
    return keys


class Capacity:
    """`capacity_usd` of a history that may come in pieces, twice: first `weigh` each, then `collect` each again.

    No trade is kept but those near the answer: a history of a hundred million cells has as many trades. How it is cut
    does not change a bit of the answer.

    Args:
        horizon: Bars each forecast is held.
        participation: Largest share of a bar's volume to take.
        breach: Share of the traded notional that may exceed it.
    """

    def __init__(self, horizon: int, participation: float = 0.01, breach: float = 0.05) -> None:
        self._horizon, self._participation, self._breach = horizon, participation, breach
        self._sums = np.zeros(_BINS)
        self._bin = -1
        self._near: list[tuple[Floats, Floats]] = []

    def _trades(self, positions: Floats, volume: Floats) -> tuple[Floats, Floats]:
        h = self._horizon
        change = np.abs(positions[h:] - positions[: len(positions) - h]) / h
        ok = (change > 0.0) & (volume == volume)
        weight = change[ok]
        return self._participation * volume[ok] / weight, weight

    def weigh(self, positions: Floats, volume: Floats) -> None:
        """Positions [horizon + B, S] up to each of B bars, and the traded notional of the bar that follows each."""
        allowed, weight = self._trades(positions, volume)
        _add_weights(_bins(allowed), weight, self._sums)

    def collect(self, positions: Floats, volume: Floats) -> None:
        """The same pieces again."""
        if self._bin < 0:
            total = float(self._sums.sum())
            share = np.cumsum(self._sums) / total if total > 0.0 else self._sums
            self._bin = min(int(np.searchsorted(share, self._breach)), _BINS - 1)
        allowed, weight = self._trades(positions, volume)
        near = _bins(allowed) == self._bin
        self._near.append((allowed[near], weight[near]))

    def found(self) -> float:
        """US dollars of gross exposure; NaN without volume or trades."""
        total = float(self._sums.sum())
        if not total > 0.0 or not self._near:
            return math.nan
        allowed, weight = (np.concatenate(pieces) for pieces in zip(*self._near, strict=True))
        order = np.argsort(allowed, kind="stable")
        below = float(np.cumsum(self._sums)[self._bin - 1]) if self._bin else 0.0
        share = (below + np.cumsum(weight[order])) / total
        return float(allowed[order][min(int(np.searchsorted(share, self._breach)), allowed.size - 1)])


def capacity_usd(
    positions: Floats, dollar_volume: Floats, horizon: int, participation: float = 0.01, breach: float = 0.05
) -> float:
    """Capital at which 5 % of the traded notional would exceed the participation cap.

    A trade decided at a bar's close is made in the next bar, and takes |change of the h-bar book| x capital of its
    volume. Each trade allows capital = cap x volume / |change|; the answer is the traded-notional-weighted quantile.

    Args:
        positions: [T, S] per unit gross.
        dollar_volume: Traded notional of each bar [T, S], NaN where unknown.
        horizon: Bars each forecast is held.
        participation: Largest share of a bar's volume to take.
        breach: Share of the traded notional that may exceed it.

    Returns:
        US dollars of gross exposure; NaN without volume or trades.
    """
    if positions.shape[0] <= horizon + 1:
        return math.nan
    capacity = Capacity(horizon, participation, breach)
    capacity.weigh(positions[:-1], dollar_volume[horizon + 1 :])
    capacity.collect(positions[:-1], dollar_volume[horizon + 1 :])
    return capacity.found()
