"""How much capital a book can carry before its trades outgrow the market."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from midas_engine.stats._jit import Floats


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
    change = np.abs(positions[horizon:-1] - positions[: -horizon - 1]) / horizon
    volume = dollar_volume[horizon + 1 :]
    ok = (change > 0.0) & (volume == volume)
    if not ok.any():
        return math.nan
    allowed, weight = participation * volume[ok] / change[ok], change[ok]
    order = np.argsort(allowed)
    share = np.cumsum(weight[order]) / weight.sum()
    return float(allowed[order][min(int(np.searchsorted(share, breach)), allowed.size - 1)])
