"""Rolling rank and linear correlation of many value series with a return, in place, without sorting.

Replacing one value of a window shifts the other ranks by one (half for ties), so one sweep repairs all ranks
exactly and both correlations are summed anew in the same pass: no drift, nothing to go wrong after a bad tick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.monitor.figures.ring_kernels import (
    moments_of,
    rank_rows,
    slide_lanes,
    slide_returns,
    span_sums,
    turn_ring,
)
from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_THREAD_LANES = 2048


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
        self.count = np.zeros(features * symbols, np.int64)
        self.position = 0
        self._size()

    def _size(self) -> None:
        lanes, shape = len(self.x), self.y.shape
        self.rank_ic, self.pearson = np.full(lanes, np.nan), np.full(lanes, np.nan)
        self._y_filled = np.isfinite(self.y).sum(axis=1).astype(np.int64)
        self._centred, self._sums = np.empty(shape), np.empty((shape[0], 3))
        self._order = np.empty(shape, np.int64)

    def update(self, values: Floats, returns: Floats, pool: ThreadPoolExecutor | None = None) -> None:
        """Take one pair of `values` [L] and `returns` [S]; NaN leaves a hole."""
        slide_returns(self.y, self.y_ranks, self._y_filled, self.position, returns, self._centred, self._sums)
        self._order[:] = np.argsort(self.y_ranks, axis=1)
        lanes = len(self.x)

        def slide(first: int, last: int) -> None:
            slide_lanes(
                self.x,
                self.ranks,
                self.y,
                self._centred,
                self._sums,
                self._order,
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
        rank_rows(self.x, self.ranks)
        rank_rows(self.y, self.y_ranks)
        self.count = np.isfinite(self.x).sum(axis=1).astype(np.int64)
        self._size()

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an empty one."""
        lanes = [r * self.symbols + s if r >= 0 else -1 for r in rows for s in range(self.symbols)]
        self.x = select_rows(self.x, lanes, np.nan)
        self.ranks = select_rows(self.ranks, lanes)
        self.count = select_rows(self.count, lanes)
        self._size()


class MeanRing:
    """The last `window` per-bar numbers of F features, with mean and standard error over any shorter span.

    Sums over the whole window are carried from bar to bar and summed anew at each turn of the ring, so that rounding
    does not gather; shorter spans are summed when asked for.
    """

    def __init__(self, features: int, window: int) -> None:
        self.window = window
        self.x = np.full((features, window), np.nan)
        self.sums = np.zeros((features, 3))  # of the window: x, x^2, count
        self.position = 0

    def update(self, values: Floats) -> None:
        """Take one bar's numbers, [F]; NaN leaves a hole."""
        turn_ring(self.x, self.position, np.ascontiguousarray(values, np.float64), self.sums)
        self.position = (self.position + 1) % self.window

    @property
    def newest(self) -> Floats:
        """The last bar's numbers, [F]."""
        return self.x[:, self.position - 1].copy()

    def mean(self, bars: int) -> tuple[Floats, Floats, Floats]:
        """Mean, standard error and count over the last `bars`, [F] each; NaN below eight numbers."""
        return moments_of(self._sums(bars))

    def total(self, bars: int) -> Floats:
        """Sum over the last `bars`, [F]; NaN where there is no number at all."""
        total, _, count = self._sums(bars).T
        return np.where(count > 0, total, np.nan)

    def average(self) -> Floats:
        """Mean over the whole window, [F]; NaN where there is no number at all."""
        total, _, count = self.sums.T
        with np.errstate(invalid="ignore", divide="ignore"):
            # sums that were carried leave a rest of rounding when the last number has gone
            return np.where(count > 0, total / count, np.nan)

    def _sums(self, bars: int) -> Floats:
        return self.sums if bars >= self.window else span_sums(self.x, self.position, bars)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        return {"x": self.x, "sums": self.sums, "position": np.array(self.position)}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave; MonitorError when its shape is another's."""
        x, sums = (np.ascontiguousarray(arrays[name], np.float64) for name in ("x", "sums"))
        if x.shape != self.x.shape or sums.shape != self.sums.shape:
            raise MonitorError(f"ring state has shape {x.shape}, not {self.x.shape}")
        self.x, self.sums, self.position = x, sums, int(arrays["position"]) % self.window

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an empty one."""
        self.x, self.sums = select_rows(self.x, rows, np.nan), select_rows(self.sums, rows)
