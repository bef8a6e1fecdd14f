"""What the terminal's charts draw: the last bars of a few figures per feature, bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.market.regimes import VOLATILITY_LABELS
from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FIGURES = ("ic_5d", "ic_30d", "slippage_ratio", "pnl_bps", "score", "log_s", "net_bps", "share")
REGIMES = ("", *VOLATILITY_LABELS)


class ChartHistory:
    """The last `bars` rows of the chart figures of F features, float32."""

    def __init__(self, features: int, bars: int = 720) -> None:
        self.bars = bars if features <= 1000 else min(bars, 120)
        self.x = np.full((self.bars, len(FIGURES), features), np.nan, np.float32)
        self.at = np.full(self.bars, np.datetime64("NaT"), "datetime64[ns]")
        self.regime = np.zeros(self.bars, np.int8)
        self.position = self.filled = 0

    def update(self, at: np.datetime64, rows: Sequence[Floats], regime: str = "") -> None:
        """Take one bar: its open time, the figures in the order of `FIGURES`, [F] each, and its regime."""
        self.at[self.position] = at
        self.regime[self.position] = REGIMES.index(regime) if regime in REGIMES else 0
        for place, row in enumerate(rows):
            self.x[self.position, place] = row
        self.position = (self.position + 1) % self.bars
        self.filled = min(self.filled + 1, self.bars)

    def of(self, row: int) -> dict[str, NDArray[np.generic]]:
        """Arrays of one feature, oldest first: ``at`` (datetime64[ns]) and one float array per figure."""
        index = self.order()
        found: dict[str, NDArray[np.generic]] = {"at": self.at[index]}
        for place, name in enumerate(FIGURES):
            found[name] = self.x[index, place, row].astype(np.float64)
        return found

    def ordered(self) -> dict[str, Any]:
        """Arrays of every feature, oldest first: ``at``, ``regime`` (codes of `REGIMES`), and [bars, F] per figure."""
        index = self.order()
        found: dict[str, Any] = {"at": self.at[index], "regime": self.regime[index]}
        for place, name in enumerate(FIGURES):
            found[name] = self.x[index, place].astype(np.float64)
        return found

    def figure(self, name: str, places: NDArray[np.int64], row: int | None = None) -> Floats:
        """One figure at some places of the ring: of every feature, [places, F], or of one, [places]."""
        rows = slice(None) if row is None else row
        found: Floats = self.x[places, FIGURES.index(name), rows].astype(np.float64)
        return found

    def order(self) -> NDArray[np.int64]:
        """Places of the bars that are kept, oldest first."""
        return (self.position - self.filled + np.arange(self.filled)) % self.bars

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        return {
            "x": self.x,
            "at": self.at.astype(np.int64),
            "place": np.array([self.position, self.filled]),
            "regime": self.regime,
        }

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave."""
        x = np.ascontiguousarray(arrays["x"], np.float32)
        # A state that was saved before a figure was kept knows nothing of it.
        missing = np.full((x.shape[0], len(FIGURES) - x.shape[1], x.shape[2]), np.nan, np.float32)
        self.x = np.concatenate([x, missing], axis=1)
        self.at = np.asarray(arrays["at"]).astype("datetime64[ns]")
        self.bars = len(self.at)
        self.regime = np.array(arrays.get("regime", np.zeros(self.bars)), np.int8)
        self.position, self.filled = (int(v) for v in arrays["place"])

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an empty one."""
        flat = np.ascontiguousarray(np.moveaxis(self.x, 2, 0))
        self.x = np.ascontiguousarray(np.moveaxis(select_rows(flat, rows, np.nan), 0, 2))
