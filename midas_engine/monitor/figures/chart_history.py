"""What the terminal's charts draw: the last bars of a few figures per feature, bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FIGURES = ("ic_5d", "ic_30d", "slippage_ratio", "pnl_bps", "score", "log_s")


class ChartHistory:
    """The last `bars` rows of the chart figures of F features, float32."""

    def __init__(self, features: int, bars: int = 720) -> None:
        self.bars = bars if features <= 1000 else min(bars, 120)
        self.x = np.full((self.bars, len(FIGURES), features), np.nan, np.float32)
        self.at = np.full(self.bars, np.datetime64("NaT"), "datetime64[ns]")
        self.position = self.filled = 0

    def update(self, at: np.datetime64, rows: Sequence[Floats]) -> None:
        """Take one bar: its open time and the figures in the order of `FIGURES`, [F] each."""
        self.at[self.position] = at
        for place, row in enumerate(rows):
            self.x[self.position, place] = row
        self.position = (self.position + 1) % self.bars
        self.filled = min(self.filled + 1, self.bars)

    def of(self, row: int) -> dict[str, NDArray[np.generic]]:
        """Arrays of one feature, oldest first: ``at`` (datetime64[ns]) and one float array per figure."""
        index = (self.position - self.filled + np.arange(self.filled)) % self.bars
        found: dict[str, NDArray[np.generic]] = {"at": self.at[index]}
        for place, name in enumerate(FIGURES):
            found[name] = self.x[index, place, row].astype(np.float64)
        return found

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        return {"x": self.x, "at": self.at.astype(np.int64), "place": np.array([self.position, self.filled])}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave."""
        self.x = np.ascontiguousarray(arrays["x"], np.float32)
        self.at = np.asarray(arrays["at"]).astype("datetime64[ns]")
        self.bars = len(self.at)
        self.position, self.filled = (int(v) for v in arrays["place"])

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an empty one."""
        flat = np.ascontiguousarray(np.moveaxis(self.x, 2, 0))
        self.x = np.ascontiguousarray(np.moveaxis(select_rows(flat, rows, np.nan), 0, 2))
