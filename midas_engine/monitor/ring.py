"""Rolling rank and linear correlation of many value series with a return, in place, without sorting.

Replacing one value of a window shifts the other ranks by one (half for ties), so one sweep repairs all ranks
exactly and both correlations are summed anew in the same pass: no drift, nothing to go wrong after a bad tick.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from midas_engine.errors import MonitorError
from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MINIMUM_PAIRS = 8
_THREAD_LANES = 2048
_SUMS = {"reassoc", "contract", "nsz", "arcp"}  # lets sums use every SIMD lane; NaN keeps its meaning


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _replace(values: Floats, ranks: Any, position: int, new: float) -> None:
    """Put `new` at `position` and repair the doubled average ranks (0 where a slot is empty)."""
    old = values[position]
    values[position] = new
    below = np.int64(0)
    for i in range(values.shape[0]):
        v = values[i]
        shift = np.int32(new < v) + np.int32(new <= v) - np.int32(old < v) - np.int32(old <= v)
        ranks[i] += shift
        below += np.int64(v < new) + np.int64(v <= new)
    ranks[position] = below + 1 if new == new else 0


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _full(values: Floats, ranks: Any, y: Floats, y_ranks: Any, centre: int) -> tuple[float, float, float, float, float]:
    """Sums over a window without holes: rank products, rank squares, and x, x^2, x y around the first value."""
    product = np.int64(0)
    square = np.int64(0)
    for i in range(values.shape[0]):
        a = np.int64(ranks[i]) - centre
        product += a * (np.int64(y_ranks[i]) - centre)
        square += a * a
    origin = values[0]
    x1 = x2 = xy = 0.0
    for i in range(values.shape[0]):
        d = values[i] - origin
        x1 += d
        x2 += d * d
        xy += d * y[i]
    return float(product), float(square), x1, x2, xy


@njit(cache=True, nogil=True)
def _holed(values: Floats, ranks: Any, y: Floats, y_ranks: Any) -> tuple[float, float, int]:
    """Both correlations over the pairs of a window with holes: ranks of y are taken among the pairs only."""
    pairs = 0
    for i in range(values.shape[0]):
        if ranks[i] > 0:
            pairs += 1
    if pairs < MINIMUM_PAIRS:
        return np.nan, np.nan, pairs
    among = np.empty(pairs, np.int64)
    x, q, rank = np.empty(pairs), np.empty(pairs), np.empty(pairs)
    n = 0
    for i in range(values.shape[0]):
        if ranks[i] > 0:
            among[n] = y_ranks[i]
            x[n], q[n], rank[n] = values[i], y[i], ranks[i]
            n += 1
    for j in range(values.shape[0]):
        if ranks[j] == 0 and y_ranks[j] > 0:
            gone = y[j]
            for i in range(pairs):
                among[i] -= np.int64(gone < q[i]) + np.int64(gone <= q[i])
    return _plain(rank, among.astype(np.float64)), _plain(x, q), pairs


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
def _slide(
    x: Floats,
    ranks: Any,
    y: Floats,
    y_ranks: Any,
    filled: Any,
    position: int,
    new: Floats,
    y_new: Floats,
    first: int,
    last: int,
    rank_ic: Floats,
    pearson: Floats,
    count: Any,
) -> None:
    """Slide lanes `first` to `last`: lane l pairs with symbol l mod S."""
    symbols, window = y.shape
    for lane in range(first, last):
        s = lane % symbols
        value = new[lane] if math.isfinite(new[lane]) and math.isfinite(y_new[s]) else np.nan
        filled[lane] += (1 if value == value else 0) - (1 if ranks[lane, position] > 0 else 0)
        _replace(x[lane], ranks[lane], position, value)
        n = filled[lane]
        count[lane] = n
        rank_ic[lane] = pearson[lane] = np.nan
        if n < MINIMUM_PAIRS:
            continue
        if n < window:
            rank_ic[lane], pearson[lane], _ = _holed(x[lane], ranks[lane], y[s], y_ranks[s])
            continue
        y1 = y2 = 0.0
        y_square = np.int64(0)
        for i in range(window):
            y1 += y[s, i]
            y2 += y[s, i] * y[s, i]
            d = np.int64(y_ranks[s, i]) - (window + 1)
            y_square += d * d
        product, square, x1, x2, xy = _full(x[lane], ranks[lane], y[s], y_ranks[s], window + 1)
        if square > 0.0 and y_square > 0:
            rank_ic[lane] = product / math.sqrt(square * y_square)
        spread_x, spread_y = x2 - x1 * x1 / window, y2 - y1 * y1 / window
        if spread_x > 0.0 and spread_y > 0.0 and square > 0.0:
            pearson[lane] = (xy - x1 * y1 / window) / math.sqrt(spread_x * spread_y)


@njit(cache=True, nogil=True)
def _slide_returns(y: Floats, y_ranks: Any, position: int, y_new: Floats) -> None:
    for s in range(y.shape[0]):
        _replace(y[s], y_ranks[s], position, y_new[s] if math.isfinite(y_new[s]) else np.nan)


class RankRing:
    """Rolling Spearman and Pearson over the last `window` bars of L = F x S lanes against S return series.

    A bar without value or return leaves a hole; ranks are those among the pairs, as scipy gives them.

    Attributes:
        rank_ic: Spearman of each lane, [L]; NaN below eight pairs or for a constant side.
        pearson: Pearson of each lane, [L].
        count: Pairs in each lane's window, [L].
    """

    def __init__(self, features: int, symbols: int, window: int) -> None:
        if window < 2:
            raise MonitorError(f"a window of {window} bars has no correlation", hint="use a smaller bar size")
        self.window, self.symbols = window, symbols
        kind = np.int16 if window < 16_000 else np.int32
        self.y = np.full((symbols, window), np.nan)
        self.y_ranks = np.zeros((symbols, window), kind)
        self.x = np.full((features * symbols, window), np.nan)
        self.ranks = np.zeros((features * symbols, window), kind)
        self.filled = np.zeros(features * symbols, np.int64)
        self.position = 0
        self._size()

    def _size(self) -> None:
        lanes = len(self.x)
        self.rank_ic, self.pearson = np.full(lanes, np.nan), np.full(lanes, np.nan)
        self.count = np.zeros(lanes, np.int64)

    def update(self, values: Floats, returns: Floats, pool: ThreadPoolExecutor | None = None) -> None:
        """Take one pair of `values` [L] and `returns` [S]; NaN leaves a hole."""
        _slide_returns(self.y, self.y_ranks, self.position, returns)
        lanes = len(self.x)

        def slide(first: int, last: int) -> None:
            _slide(
                self.x,
                self.ranks,
                self.y,
                self.y_ranks,
                self.filled,
                self.position,
                values,
                returns,
                first,
                last,
                self.rank_ic,
                self.pearson,
                self.count,
            )

        if pool is None or lanes < _THREAD_LANES:
            slide(0, lanes)
        else:
            half = lanes // 2
            other = pool.submit(slide, half, lanes)
            slide(0, half)
            other.result()
        self.position = (self.position + 1) % self.window

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs (ranks are derived)."""
        return {"x": self.x, "y": self.y, "position": np.array(self.position)}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave; MonitorError when its shape is another's."""
        x, y = np.ascontiguousarray(arrays["x"], np.float64), np.ascontiguousarray(arrays["y"], np.float64)
        if x.shape != self.x.shape or y.shape != self.y.shape:
            raise MonitorError(f"window state has shapes {x.shape}, {y.shape}, not {self.x.shape}, {self.y.shape}")
        self.x, self.y, self.position = x, y, int(arrays["position"]) % self.window
        _rank_rows(self.x, self.ranks)
        _rank_rows(self.y, self.y_ranks)
        self.filled = np.isfinite(self.x).sum(axis=1).astype(np.int64)

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an empty one."""
        lanes = [r * self.symbols + s if r >= 0 else -1 for r in rows for s in range(self.symbols)]
        self.x = select_rows(self.x, lanes, np.nan)
        self.ranks = select_rows(self.ranks, lanes)
        self.filled = select_rows(self.filled, lanes)
        self._size()


@njit(cache=True, nogil=True)
def _rank_rows(values: Floats, ranks: Any) -> None:
    for row in range(values.shape[0]):
        for i in range(values.shape[1]):
            ranks[row, i] = 0
            if values[row, i] == values[row, i]:
                below = np.int64(0)
                for j in range(values.shape[1]):
                    below += np.int64(values[row, j] < values[row, i]) + np.int64(values[row, j] <= values[row, i])
                ranks[row, i] = below + 1


class MeanRing:
    """The last `window` per-bar numbers of F features, with mean and standard error over any shorter span."""

    def __init__(self, features: int, window: int) -> None:
        self.window = window
        self.x = np.full((features, window), np.nan)
        self.position = 0

    def update(self, values: Floats) -> None:
        """Take one bar's numbers, [F]; NaN leaves a hole."""
        self.x[:, self.position] = values
        self.position = (self.position + 1) % self.window

    def last(self, bars: int) -> Floats:
        """The last `bars` numbers, [F, bars], oldest first."""
        bars = min(bars, self.window)
        index = (self.position - bars + np.arange(bars)) % self.window
        return self.x[:, index]

    def mean(self, bars: int) -> tuple[Floats, Floats, Floats]:
        """Mean, standard error and count over the last `bars`, [F] each; NaN below eight numbers."""
        return _mean_se(self.x, self.position, min(bars, self.window))

    def total(self, bars: int) -> Floats:
        """Sum over the last `bars`, [F]; NaN where there is no number at all."""
        window = self.last(bars)
        known = np.isfinite(window)
        return np.where(known.any(axis=1), np.where(known, window, 0.0).sum(axis=1), np.nan)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        return {"x": self.x, "position": np.array(self.position)}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave; MonitorError when its shape is another's."""
        x = np.ascontiguousarray(arrays["x"], np.float64)
        if x.shape != self.x.shape:
            raise MonitorError(f"ring state has shape {x.shape}, not {self.x.shape}")
        self.x, self.position = x, int(arrays["position"]) % self.window

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an empty one."""
        self.x = select_rows(self.x, rows, np.nan)


@njit(cache=True, nogil=True)
def _mean_se(x: Floats, position: int, bars: int) -> tuple[Floats, Floats, Floats]:
    features, window = x.shape
    mean, se, count = np.full(features, np.nan), np.full(features, np.nan), np.zeros(features)
    for f in range(features):
        total, n = 0.0, 0
        for k in range(1, bars + 1):
            v = x[f, (position - k) % window]
            if v == v:
                total += v
                n += 1
        count[f] = n
        if n < MINIMUM_PAIRS:
            continue
        centre, square = total / n, 0.0
        for k in range(1, bars + 1):
            v = x[f, (position - k) % window]
            if v == v:
                square += (v - centre) * (v - centre)
        mean[f] = centre
        se[f] = math.sqrt(square / (n - 1) / n)
    return mean, se, count
