"""Long windows in blocks: a bar's cost and memory are the same whether a bar is an hour or a minute."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.monitor.figures.block_kernels import add_to_block, drop_block, last_blocks
from midas_engine.monitor.figures.ring import MeanRing
from midas_engine.monitor.figures.ring_kernels import moments_of
from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SLOTS = 720
"""Thirty days of hourly bars: windows of more bars are kept in blocks."""

MOST_BLOCKS = 360
"""Blocks have three sums where a bar has one number: half as many are about as large."""


class BlockRing:
    """Sums of blocks of bars over the last `window` bars of F features: the figures of a `MeanRing`, in less room.

    A window ends with the newest bar and begins where a block does: it covers between `window - step + 1` and
    `window` bars, `step` being a block's length.

    Attributes:
        sums: Of the window: x, x^2, count, [F, 3].
        newest: The last bar's numbers, [F].
    """

    def __init__(self, features: int, window: int) -> None:
        self.window = window
        self.step = math.ceil(window / MOST_BLOCKS)
        self.blocks = np.zeros((features, math.ceil(window / self.step), 3))
        self.sums = np.zeros((features, 3))
        self.newest = np.full(features, np.nan)
        self.position = self.inside = 0

    def update(self, values: Floats) -> None:
        """Take one bar's numbers, [F]; NaN leaves a hole."""
        if self.inside == self.step:
            self.position, self.inside = (self.position + 1) % self.blocks.shape[1], 0
            drop_block(self.blocks, self.sums, self.position)
        self.newest = np.array(values, np.float64)
        add_to_block(self.blocks, self.sums, self.position, self.newest)
        self.inside += 1

    def mean(self, bars: int) -> tuple[Floats, Floats, Floats]:
        """Mean, standard error and count over about the last `bars`, [F] each; NaN below eight numbers."""
        return moments_of(self._sums(bars))

    def total(self, bars: int) -> Floats:
        """Sum over about the last `bars`, [F]; NaN where there is no number at all."""
        total, _, count = self._sums(bars).T
        return np.where(count > 0, total, np.nan)

    def average(self) -> Floats:
        """Mean over the whole window, [F]; NaN where there is no number at all."""
        total, _, count = self.sums.T
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(count > 0, total / count, np.nan)

    def _sums(self, bars: int) -> Floats:
        if bars >= self.window:
            return self.sums
        wanted = max(1, round(bars / self.step))
        return np.asarray(last_blocks(self.blocks, self.position, wanted))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        place = np.array([self.position, self.inside])
        return {"blocks": self.blocks, "sums": self.sums, "newest": self.newest, "place": place}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave; MonitorError when its shape is another's."""
        blocks = np.ascontiguousarray(arrays["blocks"], np.float64)
        if blocks.shape != self.blocks.shape:
            raise MonitorError(f"block state has shape {blocks.shape}, not {self.blocks.shape}")
        self.blocks, self.sums = blocks, np.ascontiguousarray(arrays["sums"], np.float64)
        self.newest = np.ascontiguousarray(arrays["newest"], np.float64)
        self.position, self.inside = (int(v) for v in arrays["place"])

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an empty one."""
        self.blocks, self.sums = select_rows(self.blocks, rows), select_rows(self.sums, rows)
        self.newest = select_rows(self.newest, rows, np.nan)


def mean_ring(features: int, window: int) -> MeanRing | BlockRing:
    """The ring for a window of so many bars: every bar of a short one, blocks of a long one."""
    return MeanRing(features, window) if window <= SLOTS else BlockRing(features, window)
