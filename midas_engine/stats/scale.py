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
def _ewma_abs(returns: Floats, lag: int, decay: float, minimum: int, state: Floats, out: Floats) -> None:
    """`state` [3, S]: weighted sum, weights and returns seen, of the bars before and then of these too."""
    bars, symbols = out.shape
    for t in range(bars):
        for s in range(symbols):
            if t >= lag:
                v = returns[t - lag, s]
                if v == v:
                    state[0, s] = state[0, s] * decay + abs(v)
                    state[1, s] = state[1, s] * decay + 1.0
                    state[2, s] += 1.0
            known = state[2, s] >= minimum and state[0, s] > 0.0
            out[t, s] = state[0, s] / state[1, s] if known else np.nan


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
    _ewma_abs(values, lag, 0.5 ** (1.0 / half_life), MINIMUM_BARS, np.zeros((3, values.shape[1])), out)
    return out


class LaggedScale:
    """`lagged_scale` with a lag of one bar, of a history that comes in pieces."""

    def __init__(self, symbols: int) -> None:
        self._state = np.zeros((3, symbols))

    def add(self, ended: Floats) -> Floats:
        """The scale at the next bars [B, S], from the one-bar returns that ended with each: NaN at the first bar."""
        values = owned(ended)
        out = np.empty_like(values)
        _ewma_abs(values, 0, 0.5 ** (1.0 / HALF_LIFE_BARS), MINIMUM_BARS, self._state, out)
        return out
