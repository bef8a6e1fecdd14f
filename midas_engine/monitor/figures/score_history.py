"""The last ninety days of scores, bar by bar, for the day a diagnosis must look back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MAX_LABELS = 64


@dataclass(frozen=True, slots=True)
class Lookback:
    """Recent bars of one feature, oldest first: scores, weights, regime labels."""

    u: Floats
    w: Floats
    regimes: NDArray[np.str_]


class EvidenceRing:
    """Scores, weights and regime labels of the last `bars` bars, float32."""

    def __init__(self, features: int, bars: int) -> None:
        self.bars = bars
        self.x = np.full((features, 2, bars), np.nan, np.float32)
        self.codes = np.zeros(bars, np.int16)
        self.labels: list[str] = [""]
        self.position = self.filled = 0

    def update(self, u: Floats, w: Floats, regime: str) -> None:
        """Take one bar: scores and weights, [F] each, and its label."""
        if regime not in self.labels and len(self.labels) < MAX_LABELS:
            self.labels.append(regime)
        self.x[:, 0, self.position] = u
        self.x[:, 1, self.position] = w
        self.codes[self.position] = self.labels.index(regime) if regime in self.labels else 0
        self.position = (self.position + 1) % self.bars
        self.filled = min(self.filled + 1, self.bars)

    def of(self, row: int) -> Lookback:
        """What is kept of one feature."""
        index = (self.position - self.filled + np.arange(self.filled)) % self.bars
        u, w = self.x[row][:, index].astype(np.float64)
        return Lookback(u, w, np.array(self.labels, dtype=np.str_)[self.codes[index]])

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        place = np.array([self.position, self.filled])
        return {"x": self.x, "codes": self.codes, "labels": np.array(self.labels, dtype=np.str_), "place": place}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave."""
        self.x = np.ascontiguousarray(arrays["x"], np.float32)
        self.codes = np.ascontiguousarray(arrays["codes"], np.int16)
        self.labels = [str(label) for label in arrays["labels"]]
        self.bars = len(self.codes)
        self.position, self.filled = (int(v) for v in arrays["place"])

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an empty one."""
        self.x = select_rows(self.x, rows, np.nan)
