"""Rank correlation of one feature with many others in one sweep.

Each set is standardised rank by rank over its own known cells once; a correlation over the joint cells then
needs only sums. It equals Spearman's exactly when both are known on the same cells and differs from it by
the few cells at the edges (warm-up, listings) otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas_engine.stats._jit import Floats, Ints, fast_kernel
from midas_engine.stats.ranks import own_ranks, sort_rows

Singles = NDArray[np.float32]
Known = NDArray[np.uint8]


@fast_kernel
def _centre(ranks: Ints, counts: Ints, minimum: int, out: Floats) -> None:
    rows, n = ranks.shape
    for i in range(rows):
        squares = 0.0
        centre = counts[i] - 1.0
        for j in range(n):
            if ranks[i, j] >= 0:
                squares += (ranks[i, j] - centre) ** 2
        scale = np.sqrt(counts[i] / squares) if squares > 0.0 and counts[i] >= minimum else np.nan
        for j in range(n):
            out[i, j] = (ranks[i, j] - centre) * scale if ranks[i, j] >= 0 else np.nan


def standard_ranks(f: Floats, f_order: Ints | None = None, minimum: int = 2) -> Floats:
    """Ranks of every row with mean 0 and variance 1; NaN on rows that are short or never vary."""
    ranks, counts = own_ranks(f, sort_rows(f) if f_order is None else f_order)
    out = np.empty(f.shape)
    _centre(ranks, counts, minimum, out)
    return out


@fast_kernel
def _correlate(x: Floats, x_known: Floats, others: Singles, known: Known, out: Floats) -> None:
    count, n = others.shape
    for k in range(count):
        c = 0.0
        sx = 0.0
        sy = 0.0
        sxx = 0.0
        syy = 0.0
        sxy = 0.0
        for j in range(n):
            m = np.float64(known[k, j])
            y = np.float64(others[k, j]) * x_known[j]
            v = x[j] * m
            c += m * x_known[j]
            sx += v
            sy += y
            sxx += v * x[j]
            syy += y * others[k, j]
            sxy += x[j] * others[k, j]
        out[k] = np.nan
        if c >= 3.0:
            vx = sxx - sx * sx / c
            vy = syy - sy * sy / c
            if vx > 1e-9 * c and vy > 1e-9 * c:
                out[k] = (sxy - sx * sy / c) / np.sqrt(vx * vy)


def correlations(x: Floats, others: Singles, known: Known) -> Floats:
    """Correlation of x with every row of `others` over the cells both know.

    Args:
        x: Standardised ranks, any shape, NaN where unknown.
        others: [K, cells] standardised ranks, 0 where unknown.
        known: [K, cells] 1 where known.

    Returns:
        [K]; NaN where fewer than three cells are shared or one side never varies.
    """
    flat = x.reshape(-1)
    ok = ~np.isnan(flat)
    out = np.empty(others.shape[0])
    _correlate(np.where(ok, flat, 0.0), ok.astype(np.float64), others, known, out)
    return out
