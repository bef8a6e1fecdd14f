"""The last ninety days of scores, bar by bar, for the day a diagnosis must look back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MAX_LABELS = 64


@dataclass(frozen=True, slots=True)
class Lookback:
    """Recent bars of one feature, oldest first: scores, weights, regime labels.

    Attributes:
        u: Scores; of `step` bars in a row their sum.
        w: Weights, likewise: sums of both say as much of a slope as the bars they are of.
        regimes: Label of the newest of those bars.
        step: Bars an entry covers; the newest entry may cover fewer.
    """

    u: Floats
    w: Floats
    regimes: NDArray[np.str_]
    step: int = 1


class EvidenceRing:
    """Scores, weights and regime labels of the last `bars` bars, float32; of small bars the sums of several.

    Args:
        features: How many features.
        bars: How far back.
        most: Entries that are kept: a longer look back has several bars an entry.
    """

    def __init__(self, features: int, bars: int, most: int) -> None:
        self.step = math.ceil(bars / most)
        self.size = math.ceil(bars / self.step)
        self.x = np.full((features, 2, self.size), np.nan, np.float32)
        self.codes = np.zeros(self.size, np.int16)
        self.labels: list[str] = [""]
        self.position = self.filled = self.inside = 0

    def update(self, u: Floats, w: Floats, regime: str) -> None:
        """Take one bar: scores and weights, [F] each, and its label."""
        if regime not in self.labels and len(self.labels) < MAX_LABELS:
            self.labels.append(regime)
        if self.inside in (0, self.step):
            self.position = (self.position + 1) % self.size if self.filled else 0
            self.filled = min(self.filled + 1, self.size)
            self.inside = 0
            self.x[:, 0, self.position] = u
            self.x[:, 1, self.position] = w
        else:
            known = np.isfinite(u) & np.isfinite(w)
            for side, number in ((0, u), (1, w)):
                before = self.x[:, side, self.position]
                both = np.where(np.isfinite(before), before + number, number)
                self.x[:, side, self.position] = np.where(known, both, before)
        self.codes[self.position] = self.labels.index(regime) if regime in self.labels else 0
        self.inside += 1

    def of(self, row: int) -> Lookback:
        """What is kept of one feature."""
        index = (self.position - self.filled + 1 + np.arange(self.filled)) % self.size
        u, w = self.x[row][:, index].astype(np.float64)
        return Lookback(u, w, np.array(self.labels, dtype=np.str_)[self.codes[index]], self.step)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        place = np.array([self.position, self.filled, self.inside, self.step])
        return {"x": self.x, "codes": self.codes, "labels": np.array(self.labels, dtype=np.str_), "place": place}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave."""
        place = [int(v) for v in arrays["place"]]
        if len(place) == 2:  # written when every bar had an entry, and `position` was where the next one went
            if self.step > 1:
                raise MonitorError("the saved scores are kept bar by bar, and are sums of bars now")
            place = [(place[0] - 1) % len(arrays["codes"]), place[1], 1, 1]
        self.x = np.ascontiguousarray(arrays["x"], np.float32)
        self.codes = np.ascontiguousarray(arrays["codes"], np.int16)
        self.labels = [str(label) for label in arrays["labels"]]
        self.size = len(self.codes)
        self.position, self.filled, self.inside, self.step = place

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an empty one."""
        self.x = select_rows(self.x, rows, np.nan)
