"""Scores of a time series of which nothing on the feature's side comes later and nothing on the return's side earlier.

A feature that follows from past returns (a price, a trend, a drawdown) is no stranger to them. Ranked over the whole
part, it is compared with values that later returns made; taken off the mean of the whole part, a return is compared
with returns that made the feature. Both lean the same way, towards reversal, and the more so the slower the feature: of
random walks `-close` passed 63 % of the time at a nominal 5 %, `-returns(close, 720)` on 3,000 bars 25 % (Dickey and
Fuller 1979; Stambaugh 1999). So a feature is ranked among what was there by then (So and Shin 1999), and a return is
taken off the mean of those that come after it (Arellano and Bover 1995; `midas_engine.stats.events`).
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from midas_engine.stats._jit import Floats, Ints, kernel


@kernel
def _expanding(ranks: Ints, out: Floats) -> None:
    """Share of the values so far that lie below each, ties and itself by half; a Fenwick tree over the ranks."""
    rows, n = ranks.shape
    size = 2 * n
    for i in range(rows):
        tree = np.zeros(size + 1, np.int32)
        seen = 0
        for j in range(n):
            d = ranks[i, j]
            if d < 0:
                out[i, j] = np.nan
                continue
            k = d + 1
            at = k
            while at <= size:
                tree[at] += 1
                at += at & -at
            seen += 1
            upto = 0
            at = k
            while at > 0:
                upto += tree[at]
                at -= at & -at
            below = 0
            at = k - 1
            while at > 0:
                below += tree[at]
                at -= at & -at
            out[i, j] = 0.5 * (below + upto) / seen


def expanding_scores(ranks: Ints) -> Floats:
    """Normal scores of every value among itself and those before it. Shapes: doubled ranks [R, N] -> [R, N].

    Args:
        ranks: Doubled zero-based ranks over the whole row, -1 where unknown; only their order is used.

    Example:
        >>> expanding_scores(np.array([[0, 4, 2]], np.int32)).round(3).tolist()
        [[0.0, 0.674, 0.0]]
    """
    out = np.empty(ranks.shape)
    _expanding(ranks, out)
    found: Floats = ndtri(out)
    return found


@kernel
def _less_what_follows(x: Floats, out: Floats) -> None:
    rows, n = x.shape
    for i in range(rows):
        total = 0.0
        count = 0
        for j in range(n - 1, -1, -1):
            v = x[i, j]
            if v != v:
                out[i, j] = np.nan
                continue
            out[i, j] = (v - total / count) * np.sqrt(count / (count + 1.0)) if count > 0 else 0.0
            total += v
            count += 1


def less_later(rows: Floats) -> Floats:
    """Each value less the mean of all later ones of its row, at its variance; 0 for the last. Shapes: [R, N] -> [R, N].

    Example:
        >>> less_later(np.array([[3.0, 1.0, 1.0]])).round(3).tolist()
        [[1.633, 0.0, 0.0]]
    """
    out = np.empty(rows.shape)
    _less_what_follows(rows, out)
    return out
