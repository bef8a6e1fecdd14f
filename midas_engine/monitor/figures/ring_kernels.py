"""Compiled steps of the rings: one sweep over a window repairs its ranks and sums its correlations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MINIMUM_PAIRS = 8
_SUMS = {"reassoc", "contract", "nsz", "arcp"}  # lets sums use every SIMD lane; NaN keeps its meaning


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _sweep(
    values: Floats, ranks: Any, position: int, new: float, y: Floats, y_ranks: Floats
) -> tuple[float, float, float, float, float]:
    """Put `new` at `position`, repair the doubled average ranks (0 where empty), and sum what correlations need.

    Replacing one value shifts the other ranks by one, or half for ties: no sort. The sums are those of a window
    without holes, ranks around their mean and values around `new`: rank x rank, rank^2, x, x^2, x y.
    `y_ranks` are the other side's ranks, already centred. All rank sums are integers below 2^53: exact.
    """
    window = values.shape[0]
    centre = np.float64(window + 1)
    old = values[position]
    values[position] = new
    above = np.int64(0)
    product = square = x1 = x2 = xy = 0.0
    for i in range(window):
        v = values[i]
        passed = np.int16(new < v) + np.int16(new <= v)
        ranks[i] += passed - np.int16(old < v) - np.int16(old <= v)
        above += np.int64(passed)
        a = np.float64(ranks[i]) - centre
        product += a * y_ranks[i]
        square += a * a
        d = v - new
        x1 += d
        x2 += d * d
        xy += d * y[i]
    stray = np.float64(ranks[position]) - centre
    ranks[position] = 2 * window - above + 1
    placed = np.float64(ranks[position]) - centre
    product += (placed - stray) * y_ranks[position]
    square += placed * placed - stray * stray
    return product, square, x1, x2, xy


@njit(cache=True, nogil=True)
def _replace(values: Floats, ranks: Any, position: int, new: float, filled: int) -> None:
    """The same repair in a window with holes, of which `filled` slots hold a value afterwards."""
    old = values[position]
    values[position] = new
    above = np.int64(0)
    for i in range(values.shape[0]):
        v = values[i]
        passed = np.int16(new < v) + np.int16(new <= v)
        ranks[i] += passed - np.int16(old < v) - np.int16(old <= v)
        above += np.int64(passed)
    ranks[position] = 2 * filled - above + 1 if new == new else 0


@njit(cache=True, nogil=True)
def _holed(values: Floats, ranks: Any, pairs: int, y: Floats, order: Any) -> tuple[float, float]:
    """Both correlations over the pairs of a window with holes: ranks of y are taken among the pairs only.

    `order` walks the window by rising y, so that the pairs' ranks of y are counted without another sort.
    """
    x, q, rank, among = np.empty(pairs), np.empty(pairs), np.empty(pairs), np.empty(pairs)
    n = tied = 0
    for k in range(order.shape[0]):
        i = order[k]
        if ranks[i] == 0:
            continue
        if n > tied and y[i] != q[n - 1]:
            _level(among, tied, n)
            tied = n
        x[n], q[n], rank[n] = values[i], y[i], ranks[i]
        n += 1
    _level(among, tied, n)
    return _plain(rank, among), _plain(x, q)


@njit(cache=True, nogil=True)
def _level(among: Floats, first: int, last: int) -> None:
    """Doubled average rank of the tied places `first` to `last`."""
    for j in range(first, last):
        among[j] = first + last + 1


@njit(cache=True, nogil=True)
def _plain(a: Floats, b: Floats) -> float:
    mean_a, mean_b = a.mean(), b.mean()
    aa = bb = ab = 0.0
    for i in range(a.shape[0]):
        da, db = a[i] - mean_a, b[i] - mean_b
        aa += da * da
        bb += db * db
        ab += da * db
    return ab / math.sqrt(aa * bb) if aa > 0.0 and bb > 0.0 else np.nan


@njit(cache=True, nogil=True)
def slide_returns(
    y: Floats, y_ranks: Any, y_filled: Any, position: int, y_new: Floats, centred: Floats, sums: Floats
) -> None:
    """Put the returns of one bar in; `centred` [S, W] gets their ranks and `sums` [S, 3] y, y^2 and rank^2."""
    symbols, window = y.shape
    for s in range(symbols):
        new = y_new[s] if math.isfinite(y_new[s]) else np.nan
        y_filled[s] += (1 if new == new else 0) - (1 if y_ranks[s, position] > 0 else 0)
        _replace(y[s], y_ranks[s], position, new, y_filled[s])
        sums[s] = 0.0
        for i in range(window):
            centred[s, i] = np.float64(y_ranks[s, i]) - (window + 1)
            sums[s, 0] += y[s, i]
            sums[s, 1] += y[s, i] * y[s, i]
            sums[s, 2] += centred[s, i] * centred[s, i]


@njit(cache=True, nogil=True)
def slide_lanes(
    x: Floats,
    ranks: Any,
    y: Floats,
    centred: Floats,
    sums: Floats,
    order: Any,
    position: int,
    new: Floats,
    y_new: Floats,
    first: int,
    last: int,
    rank_ic: Floats,
    pearson: Floats,
    count: Any,
) -> None:
    """Slide lanes `first` to `last`: lane l pairs with symbol l mod S. `order` [S, W] sorts y where it is known."""
    symbols, window = y.shape
    for lane in range(first, last):
        s = lane % symbols
        value = new[lane] if math.isfinite(new[lane]) and math.isfinite(y_new[s]) else np.nan
        count[lane] += (1 if value == value else 0) - (1 if ranks[lane, position] > 0 else 0)
        pairs = count[lane]
        rank_ic[lane] = pearson[lane] = np.nan
        if pairs < window:
            _replace(x[lane], ranks[lane], position, value, pairs)
            if pairs >= MINIMUM_PAIRS:
                rank_ic[lane], pearson[lane] = _holed(x[lane], ranks[lane], pairs, y[s], order[s])
            continue
        product, square, x1, x2, xy = _sweep(x[lane], ranks[lane], position, value, y[s], centred[s])
        if square > 0.0 and sums[s, 2] > 0.0:
            rank_ic[lane] = product / math.sqrt(square * sums[s, 2])
        spread_x, spread_y = x2 - x1 * x1 / window, sums[s, 1] - sums[s, 0] * sums[s, 0] / window
        if spread_x > 0.0 and spread_y > 0.0 and square > 0.0:
            pearson[lane] = (xy - x1 * sums[s, 0] / window) / math.sqrt(spread_x * spread_y)


@njit(cache=True, nogil=True)
def rank_rows(values: Floats, ranks: Any) -> None:
    """Doubled average ranks of every row, by counting; 0 where there is no value."""
    for row in range(values.shape[0]):
        for i in range(values.shape[1]):
            ranks[row, i] = 0
            if values[row, i] == values[row, i]:
                below = np.int64(0)
                for j in range(values.shape[1]):
                    below += np.int64(values[row, j] < values[row, i]) + np.int64(values[row, j] <= values[row, i])
                ranks[row, i] = below + 1


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _add_span(row: Floats, first: int, last: int, sums: Floats) -> None:
    total, square, n = 0.0, 0.0, 0
    for i in range(first, last):
        v = row[i] if row[i] == row[i] else 0.0
        total += v
        square += v * v
        n += 1 if row[i] == row[i] else 0
    sums[0] += total
    sums[1] += square
    sums[2] += n


@njit(cache=True, nogil=True)
def span_sums(x: Floats, position: int, bars: int) -> Floats:
    """Sum, sum of squares and count [F, 3] of the last `bars` of every row of x [F, W]; `position` comes next."""
    features, window = x.shape
    sums = np.zeros((features, 3))
    near, far = max(position - bars, 0), window + min(position - bars, 0)
    for f in range(features):
        _add_span(x[f], near, position, sums[f])
        _add_span(x[f], far, window, sums[f])
    return sums


@njit(cache=True, nogil=True)
def turn_ring(x: Floats, position: int, values: Floats, sums: Floats) -> None:
    """Put `values` [F] into column `position` of x [F, W] and carry `sums` [F, 3]; renew them at the last column."""
    renew = position == x.shape[1] - 1
    for f in range(x.shape[0]):
        old, new = x[f, position], values[f]
        x[f, position] = new
        if renew:
            sums[f] = 0.0
            _add_span(x[f], 0, x.shape[1], sums[f])
            continue
        if old == old:
            sums[f, 0] -= old
            sums[f, 1] -= old * old
            sums[f, 2] -= 1.0
        if new == new:
            sums[f, 0] += new
            sums[f, 1] += new * new
            sums[f, 2] += 1.0


@njit(cache=True, nogil=True)
def moments_of(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, its standard error and count [F] from sums [F, 3]; NaN below eight numbers."""
    features = sums.shape[0]
    mean, se, count = np.full(features, np.nan), np.full(features, np.nan), np.empty(features)
    for f in range(features):
        total, square, n = sums[f, 0], sums[f, 1], sums[f, 2]
        count[f] = n
        if n >= MINIMUM_PAIRS:
            mean[f] = total / n
            se[f] = math.sqrt(max(square - total * total / n, 0.0) / (n - 1.0) / n)
    return mean, se, count
