"""Compiled steps of the two-level ranks: a pair against a reference sample, and moments that merge without loss."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from midas_engine.monitor.figures.ring_kernels import MINIMUM_PAIRS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Of pairs (x, y) and of their ranks (a, b): count; means of x, y, a, b; squares and products around the means.
WIDTH = 11


@njit(cache=True, nogil=True)
def place_among(value: float, sample: Floats) -> float:
    """Share of the known numbers of `sample` below `value`, ties by half; a half where there are none."""
    below, known = np.int64(0), np.int64(0)
    for i in range(sample.shape[0]):
        v = sample[i]
        below += np.int64(v < value) + np.int64(v <= value)
        known += np.int64(v == v)
    return below / (2.0 * known) if known > 0 else 0.5


@njit(cache=True, nogil=True)
def add_pair(m: Floats, x: float, y: float, a: float, b: float) -> None:
    """Take a pair and its ranks into moments [WIDTH] (Welford)."""
    m[0] += 1.0
    n = m[0]
    dx, dy, da, db = x - m[1], y - m[2], a - m[3], b - m[4]
    m[1] += dx / n
    m[2] += dy / n
    m[3] += da / n
    m[4] += db / n
    m[5] += dx * (x - m[1])
    m[6] += dy * (y - m[2])
    m[7] += dx * (y - m[2])
    m[8] += da * (a - m[3])
    m[9] += db * (b - m[4])
    m[10] += da * (b - m[4])


@njit(cache=True, nogil=True)
def merge_moments(m: Floats, other: Floats) -> None:
    """Add the moments of other pairs to `m` (Chan, Golub and LeVeque 1979)."""
    if other[0] == 0.0:
        return
    if m[0] == 0.0:
        m[:] = other
        return
    n = m[0] + other[0]
    share, cross = other[0] / n, m[0] * other[0] / n
    dx, dy, da, db = other[1] - m[1], other[2] - m[2], other[3] - m[3], other[4] - m[4]
    m[5] += other[5] + dx * dx * cross
    m[6] += other[6] + dy * dy * cross
    m[7] += other[7] + dx * dy * cross
    m[8] += other[8] + da * da * cross
    m[9] += other[9] + db * db * cross
    m[10] += other[10] + da * db * cross
    m[1] += dx * share
    m[2] += dy * share
    m[3] += da * share
    m[4] += db * share
    m[0] = n


@njit(cache=True, nogil=True)
def close_blocks(blocks: Floats, open_block: int, closed: Floats) -> None:
    """Moments [L, WIDTH] of all blocks [L, B, WIDTH] but the open one."""
    for lane in range(blocks.shape[0]):
        closed[lane] = 0.0
        for k in range(blocks.shape[1]):
            if k != open_block:
                merge_moments(closed[lane], blocks[lane, k])


@njit(cache=True, nogil=True)
def take_bar(
    values: Floats, returns: Floats, near_x: Floats, near_y: Floats, old: Any, blocks: Floats, open_block: int
) -> None:
    """Put one bar's pairs of the lanes that are `old` into the open block: lane l pairs with symbol l mod S."""
    symbols = near_y.shape[0]
    places = np.empty(symbols)
    for s in range(symbols):
        places[s] = place_among(returns[s], near_y[s]) if math.isfinite(returns[s]) else np.nan
    for lane in range(values.shape[0]):
        s = lane % symbols
        if old[lane] and math.isfinite(values[lane]) and places[s] == places[s]:
            rank = place_among(values[lane], near_x[lane])
            add_pair(blocks[lane, open_block], values[lane], returns[s], rank, places[s])


@njit(cache=True, nogil=True)
def take_ring(
    x: Floats, ranks: Any, y: Floats, y_ranks: Any, order: Any, home: Any, coming: Any, blocks: Floats
) -> None:
    """Put the pairs of an exact ring into blocks, for the lanes that are `coming`.

    Ranks are doubled averages, 0 in a hole; `order` walks the ring from its oldest bar on, `home` is each one's block.
    """
    symbols = y.shape[0]
    for lane in range(x.shape[0]):
        if not coming[lane]:
            continue
        s = lane % symbols
        pairs = known = np.int64(0)
        for i in range(x.shape[1]):
            pairs += np.int64(ranks[lane, i] > 0)
            known += np.int64(y_ranks[s, i] > 0)
        for k in range(order.shape[0]):
            i = order[k]
            if ranks[lane, i] > 0:
                a, b = (ranks[lane, i] - 1) / (2.0 * pairs), (y_ranks[s, i] - 1) / (2.0 * known)
                add_pair(blocks[lane, home[k]], x[lane, i], y[s, i], a, b)


@njit(cache=True, nogil=True)
def correlate(
    blocks: Floats, closed: Floats, open_block: int, old: Any, rank_ic: Floats, pearson: Floats, count: Any
) -> None:
    """Both correlations of every lane that is `old`, from its closed blocks and the open one."""
    m = np.empty(WIDTH)
    for lane in range(blocks.shape[0]):
        if not old[lane]:
            continue
        m[:] = closed[lane]
        merge_moments(m, blocks[lane, open_block])
        count[lane] = np.int64(m[0])
        rank_ic[lane] = pearson[lane] = np.nan
        if m[0] < MINIMUM_PAIRS:
            continue
        if m[8] > 0.0 and m[9] > 0.0:
            rank_ic[lane] = m[10] / math.sqrt(m[8] * m[9])
        if m[5] > 0.0 and m[6] > 0.0:
            pearson[lane] = m[7] / math.sqrt(m[5] * m[6])


@njit(cache=True, nogil=True)
def add_to_block(blocks: Floats, sums: Floats, position: int, values: Floats) -> None:
    """Add one bar's numbers [F] to the open block of [F, B, 3] and to the window's sums [F, 3]."""
    for f in range(values.shape[0]):
        v = values[f]
        if v == v:
            for target in (blocks[f, position], sums[f]):
                target[0] += v
                target[1] += v * v
                target[2] += 1.0


@njit(cache=True, nogil=True)
def last_blocks(blocks: Floats, position: int, wanted: int) -> Floats:
    """Sums [F, 3] of the last `wanted` blocks of [F, B, 3], the open one at `position` included."""
    sums = np.zeros((blocks.shape[0], 3))
    for f in range(blocks.shape[0]):
        for k in range(wanted):
            i = position - k
            i = i if i >= 0 else i + blocks.shape[1]
            sums[f, 0] += blocks[f, i, 0]
            sums[f, 1] += blocks[f, i, 1]
            sums[f, 2] += blocks[f, i, 2]
    return sums


@njit(cache=True, nogil=True)
def drop_block(blocks: Floats, sums: Floats, position: int) -> None:
    """Empty the block at `position` of [F, B, 3]; the window's sums [F, 3] are renewed at each turn of the ring."""
    for f in range(blocks.shape[0]):
        for k in range(3):
            sums[f, k] -= blocks[f, position, k]
            blocks[f, position, k] = 0.0
        if position == 0:  # so that rounding does not gather, and a bad tick leaves nothing
            sums[f] = 0.0
            for i in range(blocks.shape[1]):
                for k in range(3):
                    sums[f, k] += blocks[f, i, k]
