"""Is the input alive: coverage, missing values in a row, values frozen in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.monitor.ring import MeanRing
from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]


class Presence:
    """Coverage over the last five days and how long each feature has been missing or frozen.

    Attributes:
        missing: Bars in a row without any value, [F].
        frozen: Bars in a row in which every value repeated the last one, [F].
    """

    def __init__(self, features: int, symbols: int, bars: int) -> None:
        self.ring = MeanRing(features, bars)
        self.last = np.full((features, symbols), np.nan)
        self.missing, self.frozen = np.zeros(features, np.int64), np.zeros(features, np.int64)

    def update(self, values: Floats) -> None:
        """Take one bar's values, [F, S]."""
        known = np.isfinite(values)
        share = known.mean(axis=1)
        self.ring.update(share)
        alive = known.any(axis=1)
        self.missing = np.where(alive, 0, self.missing + 1)
        same = alive & ~(known & (values != self.last)).any(axis=1) & (known & np.isfinite(self.last)).any(axis=1)
        self.frozen = np.where(same, self.frozen + 1, np.where(alive, 0, self.frozen))
        np.copyto(self.last, values, where=known)

    def coverage(self) -> Floats:
        """Share of values present over the window, [F]."""
        known = np.isfinite(self.ring.x)
        count = known.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(count > 0, np.where(known, self.ring.x, 0.0).sum(axis=1) / count, np.nan)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        ring = {f"ring.{name}": value for name, value in self.ring.arrays().items()}
        return {"last": self.last, "missing": self.missing, "frozen": self.frozen, **ring}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave."""
        self.last = np.ascontiguousarray(arrays["last"], np.float64)
        self.missing = np.ascontiguousarray(arrays["missing"], np.int64)
        self.frozen = np.ascontiguousarray(arrays["frozen"], np.int64)
        self.ring.load({"x": arrays["ring.x"], "position": arrays["ring.position"]})

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds a new one."""
        self.ring.select(rows)
        self.last = select_rows(self.last, rows, np.nan)
        self.missing, self.frozen = select_rows(self.missing, rows), select_rows(self.frozen, rows)
