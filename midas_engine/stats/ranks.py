"""Average ranks of paired rows, with ties and missing values, from orders that are sorted once.

Every rank statistic here works on rows: a row is one symbol's history (time series) or one bar across
symbols (cross-section). The order of a row is sorted once; the ranks over any joint validity mask then
follow by one walk along the order, so five horizons cost one sort of the feature and none of the returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.stats._jit import Floats, Ints, kernel, owned

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sort_rows(values: Floats) -> Ints:
    """Ascending order of every row, missing values last. Shapes: [R, N] -> [R, N].

    Long rows are sorted as integers that carry their position in the low bits, which is several times
    faster than an argsort, and repaired by insertion where the lost bits mattered; exact in every case.
    """
    rows, n = values.shape
    if n < 512 or n > 1 << 22:
        return np.argsort(values, axis=1).astype(np.int32)
    order = np.empty((rows, n), np.int32)
    bits = np.uint64(max(1, int(n - 1).bit_length()))
    for i in range(rows):
        keys = np.empty(n, np.uint64)
        _pack(values[i], keys, bits)
        keys.sort()
        if not _unpack(values[i], keys, bits, order[i]):
            order[i] = np.argsort(values[i])
    return order


FLAT = 1e-9
"""Spread of a row over its size below which it holds one number and rounding."""


@kernel
def _blank_flat_rows(values: Floats, least: float) -> int:
    rows, n = values.shape
    blanked = 0
    for i in range(rows):
        low = np.inf
        high = -np.inf
        for j in range(n):
            v = values[i, j]
            if v == v:
                low = min(low, v)
                high = max(high, v)
        if high >= low and high - low <= least * max(abs(low), abs(high)):
            blanked += 1
            for j in range(n):
                values[i, j] = np.nan
    return blanked


def blank_flat_rows(values: Floats) -> int:
    """Make rows missing, in place, whose spread is below 1e-9 of their size; how many there were.

    A mean over symbols written into every symbol differs in its last bits, and ranks would take those for a view.

    Example:
        >>> rows = np.array([[0.1 + 0.2, 0.3, 0.3], [1.0, 2.0, 3.0]])
        >>> blank_flat_rows(rows), np.isnan(rows).any(axis=1).tolist()
        (1, [True, False])
    """
    return int(_blank_flat_rows(values, FLAT))


@kernel
def _pack(values: Floats, keys: NDArray[np.uint64], bits: np.uint64) -> None:
    one = np.uint64(1)
    top = one << np.uint64(63)
    low = (one << bits) - one
    raw = values.view(np.uint64)
    for i in range(values.size):
        v = values[i]
        if v != v:
            keys[i] = ~low | np.uint64(i)
            continue
        key = raw[i]
        if v == 0.0:  # minus zero ties with zero
            key = np.uint64(0)
        key = ~key if key & top else key | top
        keys[i] = (key & ~low) | np.uint64(i)


@kernel
def _unpack(values: Floats, keys: NDArray[np.uint64], bits: np.uint64, order: Ints) -> bool:
    """Positions of the sorted keys, insertion-sorted by value; False when that would take too long."""
    n = values.size
    low = (np.uint64(1) << bits) - np.uint64(1)
    budget = 8 * n
    previous = -np.inf
    for k in range(n):
        j = np.int32(keys[k] & low)
        v = values[j]
        if v != v or v >= previous:
            order[k] = j
            if v == v:
                previous = v
            continue
        q = k
        while q > 0 and values[order[q - 1]] > v:
            order[q] = order[q - 1]
            q -= 1
            budget -= 1
        order[q] = j
        if budget < 0:
            return False
    return True


@kernel
def rank_rows(f: Floats, f_order: Ints, r: Floats, out: Ints, counts: Ints) -> None:
    """Doubled zero-based average rank of f among the cells of its row where f and r are both known; else -1.

    Doubled so that the half ranks of ties stay integers. `counts` receives the number of joint cells a row.
    """
    rows, n = f.shape
    for i in range(rows):
        x = f[i]
        y = r[i]
        order = f_order[i]
        ranks = out[i]
        ranks[:] = -1
        k = 0
        position = 0
        while k < n:
            j = np.uint32(order[k])  # unsigned: no test for indices counted from the end
            v = x[j]
            if v != v:
                break
            k += 1
            tied = k < n and x[np.uint32(order[k])] == v
            if not tied:
                if y[j] == y[j]:
                    ranks[j] = 2 * position
                    position += 1
                continue
            start = k - 1
            ties = 1 if y[j] == y[j] else 0
            while k < n and x[np.uint32(order[k])] == v:
                j = np.uint32(order[k])
                ties += 1 if y[j] == y[j] else 0
                k += 1
            for q in range(start, k):
                j = np.uint32(order[q])
                if y[j] == y[j]:
                    ranks[j] = 2 * position + ties - 1
            position += ties
        counts[i] = position


def joint_ranks(f: Floats, f_order: Ints, r: Floats, r_order: Ints) -> tuple[Ints, Ints, Ints]:
    """Doubled ranks of f and r over their joint cells, and the joint count of every row. Shapes: [R, N] twice, [R]."""
    f_ranks = np.empty(f.shape, np.int32)
    r_ranks = np.empty(f.shape, np.int32)
    counts = np.empty(f.shape[0], np.int32)
    rank_rows(f, f_order, r, f_ranks, counts)
    rank_rows(r, r_order, f, r_ranks, counts)
    return f_ranks, r_ranks, counts


def own_ranks(f: Floats, f_order: Ints) -> tuple[Ints, Ints]:
    """Doubled ranks of f over its own known cells, and their count. Shapes: [R, N], [R]."""
    ranks = np.empty(f.shape, np.int32)
    counts = np.empty(f.shape[0], np.int32)
    rank_rows(f, f_order, f, ranks, counts)
    return ranks, counts


def average_ranks(values: Floats) -> Floats:
    """Average ranks from 1 to n, NaN where missing; equals `scipy.stats.rankdata` on complete input.

    Example:
        >>> average_ranks(np.array([3.0, 1.0, 3.0, np.nan])).tolist()
        [2.5, 1.0, 2.5, nan]
    """
    row = owned(values).reshape(1, -1)
    ranks, _ = own_ranks(row, sort_rows(row))
    return np.where(ranks[0] < 0, np.nan, ranks[0] / 2.0 + 1.0)
