"""Forward returns by quantile of the feature."""

from __future__ import annotations

import numpy as np

from midas_engine.stats._jit import Floats, Ints, kernel

QUANTILES = 5


@kernel
def _quantile_sums(ranks: Ints, counts: Ints, r: Floats, cross: bool, q: int, sums: Floats, cells: Floats) -> None:
    rows, n = ranks.shape
    for i in range(rows):
        if counts[i] < q:
            continue
        for j in range(n):
            d = ranks[i, j]
            v = r[i, j]
            if d >= 0 and v == v:
                k = min(q * (d + 1) // (2 * counts[i]), q - 1)
                t = i if cross else j
                sums[k, t] += v
                cells[k, t] += 1.0


def quantile_returns(ranks: Ints, counts: Ints, forward: Floats, cross: bool, quantiles: int = QUANTILES) -> Floats:
    """Mean forward return of each quantile at each bar, lowest feature values first. Shapes: [R, N] -> [Q, T].

    Args:
        ranks: Doubled ranks of the feature in its rows (across symbols, or in time).
        counts: Known cells of each row.
        forward: Forward returns in the same layout.
        cross: Rows are bars.
        quantiles: Q.

    Returns:
        NaN where no cell of the quantile is known at that bar.
    """
    bars = ranks.shape[0] if cross else ranks.shape[1]
    sums, cells = np.zeros((quantiles, bars)), np.zeros((quantiles, bars))
    _quantile_sums(ranks, counts, forward, cross, quantiles, sums, cells)
    return np.where(cells > 0, sums / np.maximum(cells, 1.0), np.nan)
