"""Rolling ICs of F features at 1, 5 and 30 days, whichever way the feed allows.

With ten symbols or more the IC of a bar is taken across symbols and a window is the mean of its bars. With fewer
it is taken in time, per symbol over the window, and then averaged over the symbols.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.monitor.figures.block_ranks import BlockRanks, rank_ring
from midas_engine.monitor.figures.block_ring import BlockRing, mean_ring

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from numpy.typing import NDArray

    from midas_engine.monitor.figures.ring import MeanRing, RankRing

    Floats = NDArray[np.float64]


class IcWindows:
    """Rank and Pearson IC with standard errors over several windows.

    Attributes:
        rank: Spearman per window, each [F].
        rank_se: Its standard error: sd of the bars' ICs over sqrt(n) across symbols; in time
            sqrt((1 - ic^2) / (n - 2)), the same for any number of symbols, since they move together.
        pearson: Pearson per window, each [F].
    """

    def __init__(self, features: int, symbols: int, windows: Sequence[int], *, cross: bool) -> None:
        self.cross, self.symbols, self.windows = cross, symbols, tuple(windows)
        longest = max(windows)
        self.rings = [] if cross else [rank_ring(features, symbols, window) for window in windows]
        self.by_bar = [mean_ring(features, longest), mean_ring(features, longest)] if cross else []
        self._size(features)

    def _size(self, features: int) -> None:
        self.rank, self.rank_se, self.pearson = ([np.full(features, np.nan) for _ in self.windows] for _ in range(3))

    def update(
        self, values: Floats, returns: Floats, rank_ic: Floats, pearson: Floats, pool: ThreadPoolExecutor | None = None
    ) -> None:
        """Take one pair of values [F, S] and returns [S], or the bar's own ICs [F] across symbols."""
        if self.cross:
            self.by_bar[0].update(rank_ic)
            self.by_bar[1].update(pearson)
            for place, window in enumerate(self.windows):
                self.rank[place], self.rank_se[place], _ = self.by_bar[0].mean(window)
                self.pearson[place], _, _ = self.by_bar[1].mean(window)
            return
        lanes = values.reshape(-1)
        for place, ring in enumerate(self.rings):
            ring.update(lanes, returns, pool)
            rank, pearson_lanes, count = ring.rank_ic, ring.pearson, ring.count.astype(np.float64)
            if self.symbols > 1:
                rank, pearson_lanes, count = (_by_feature(a, self.symbols) for a in (rank, pearson_lanes, count))
            else:
                rank, pearson_lanes = rank.copy(), pearson_lanes.copy()
            self.rank[place], self.pearson[place] = rank, pearson_lanes
            with np.errstate(invalid="ignore"):
                self.rank_se[place] = np.sqrt((1.0 - rank * rank) / np.maximum(count - 2.0, 1.0))

    def _parts(self) -> dict[str, RankRing | BlockRanks | MeanRing | BlockRing]:
        if self.cross:
            return {"rank": self.by_bar[0], "pearson": self.by_bar[1]}
        return {f"w{place}": ring for place, ring in enumerate(self.rings)}

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        nested = {f"{n}.{k}": value for n, part in self._parts().items() for k, value in part.arrays().items()}
        figures = np.array([self.rank, self.rank_se, self.pearson])
        return {**nested, "figures": figures}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave."""
        for name, part in self._parts().items():
            part.load({key: arrays[f"{name}.{key}"] for key in part.arrays()})
        figures = np.asarray(arrays["figures"], np.float64)
        self.rank, self.rank_se, self.pearson = (list(block.copy()) for block in figures)

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an empty one."""
        for part in self._parts().values():
            part.select(rows)
        old = (self.rank, self.rank_se, self.pearson)
        self._size(len(rows))
        for fresh, kept in zip((self.rank, self.rank_se, self.pearson), old, strict=True):
            for window in range(len(self.windows)):
                for place, row in enumerate(rows):
                    if row >= 0:
                        fresh[window][place] = kept[window][row]


def _by_feature(lanes: Floats, symbols: int) -> Floats:
    """Mean over the symbols that have a figure, [F]."""
    block = lanes.reshape(-1, symbols)
    known = np.isfinite(block)
    count = known.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, np.where(known, block, 0.0).sum(axis=1) / count, np.nan)
