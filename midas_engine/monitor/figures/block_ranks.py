"""Rolling rank correlation over long windows in two levels: a sample that says how to rank, and blocks that add up.

Level one is an exact ring of the last bars, thinned as the window grows beyond it: every `step`-th pair. Level two
ranks every pair that comes against that sample (a share below, ties by half) and adds it to moments of blocks, which
are merged and dropped whole. All pairs count; only the ranks are those among a sample of 720, whose error is of the
order of 1 / sqrt(720) of a rank, the same for both sides, and enters the correlation in the second order.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.monitor.figures.block_kernels import WIDTH, close_blocks, correlate, take_bar, take_ring
from midas_engine.monitor.figures.block_ring import SLOTS
from midas_engine.monitor.figures.ring import RankRing
from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BLOCKS = 48


class BlockRanks:
    """Rolling Spearman and Pearson over about the last `window` bars of L = F x S lanes against S return series.

    Up to 720 bars the figures are exact. A window begins where a block does: it covers between 47/48 and the whole of
    `window`.

    Attributes:
        rank_ic: Spearman of each lane, [L]; NaN below eight pairs or for a constant side.
        pearson: Pearson of each lane, [L].
        count: Pairs in each lane's window, [L].
    """

    def __init__(self, features: int, symbols: int, window: int) -> None:
        if window <= SLOTS:
            raise MonitorError(f"a window of {window} bars needs no blocks", hint="use a RankRing")
        self.window, self.symbols = window, symbols
        self.step, self.block_bars = math.ceil(window / SLOTS), math.ceil(window / BLOCKS)
        self.near = RankRing(features, symbols, SLOTS)
        self.blocks = np.zeros((features * symbols, BLOCKS, WIDTH))
        self.ages = np.zeros(features * symbols, np.int64)  # bars since a lane was new
        self.position = self.inside = self.bars = 0
        self._size()

    def _size(self) -> None:
        lanes = len(self.blocks)
        self.rank_ic, self.pearson = np.full(lanes, np.nan), np.full(lanes, np.nan)
        self.count = np.zeros(lanes, np.int64)
        self._closed = np.zeros((lanes, WIDTH))
        close_blocks(self.blocks, self.position, self._closed)

    def update(self, values: Floats, returns: Floats, pool: ThreadPoolExecutor | None = None) -> None:
        """Take one pair of `values` [L] and `returns` [S]; NaN leaves a hole."""
        if self.inside == self.block_bars:
            self.position, self.inside = (self.position + 1) % BLOCKS, 0
            self.blocks[:, self.position] = 0.0
            close_blocks(self.blocks, self.position, self._closed)
        self.inside += 1
        old = self.ages >= SLOTS
        young = not old.all()
        take_bar(values, returns, self.near.x, self.near.y, old, self.blocks, self.position)
        if young or self.bars % self.step == 0:
            self.near.update(values, returns, pool)
        self.ages += 1
        self.bars += 1
        coming = self.ages == SLOTS
        if coming.any():
            self._take_ring(coming)
            old = old | coming
        if young:  # a new lane's figures are those of the exact ring
            self.rank_ic, self.pearson = self.near.rank_ic.copy(), self.near.pearson.copy()
            self.count = self.near.count.copy()
        correlate(self.blocks, self._closed, self.position, old, self.rank_ic, self.pearson, self.count)

    def _take_ring(self, coming: NDArray[np.bool_]) -> None:
        """Take the pairs of the exact ring into the blocks of their bars: its last 720 bars came without a break."""
        near, ago = self.near, np.arange(SLOTS)[::-1]
        offset = np.where(ago < self.inside, 0, 1 + (ago - self.inside) // self.block_bars)
        home = (self.position - offset) % BLOCKS
        order = (near.position + np.arange(SLOTS)) % SLOTS
        take_ring(near.x, near.ranks, near.y, near.y_ranks, order, home, coming, self.blocks)
        close_blocks(self.blocks, self.position, self._closed)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        near = {f"near.{key}": value for key, value in self.near.arrays().items()}
        place = np.array([self.position, self.inside, self.bars])
        return {**near, "blocks": self.blocks, "ages": self.ages, "place": place}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave; MonitorError when its shape is another's."""
        blocks = np.ascontiguousarray(arrays["blocks"], np.float64)
        if blocks.shape != self.blocks.shape:
            raise MonitorError(f"block state has shape {blocks.shape}, not {self.blocks.shape}")
        self.near.load({key: arrays[f"near.{key}"] for key in self.near.arrays()})
        self.blocks, self.ages = blocks, np.ascontiguousarray(arrays["ages"], np.int64)
        self.position, self.inside, self.bars = (int(v) for v in arrays["place"])
        self._size()

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an empty one."""
        self.near.select(rows)
        lanes = [r * self.symbols + s if r >= 0 else -1 for r in rows for s in range(self.symbols)]
        self.blocks, self.ages = select_rows(self.blocks, lanes), select_rows(self.ages, lanes)
        self._size()


def rank_ring(features: int, symbols: int, window: int) -> RankRing | BlockRanks:
    """The ring for a window of so many bars: exact for a short one, in two levels for a long one."""
    return RankRing(features, symbols, window) if window <= SLOTS else BlockRanks(features, symbols, window)
