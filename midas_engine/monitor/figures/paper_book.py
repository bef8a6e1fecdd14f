"""What each feature would have earned: one position a bar, its turnover, its gross and net return, counted once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from midas_engine.monitor.figures.block_ring import mean_ring
from midas_engine.stats.causal_kernels import forget_factor
from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_KEEP = forget_factor(720)
_MEAN_ABS_NORMAL = math.sqrt(2.0 / math.pi)


@njit(cache=True, nogil=True)
def _trade(
    z: Floats, returns: Floats, cross: bool, live: Floats, held: Floats, gross: Floats, turnover: Floats
) -> None:
    """Positions from z [F, S], unit gross: across symbols by the sum of |z|, in time by its mean."""
    features, symbols = z.shape
    for f in range(features):
        size, known = 0.0, 0
        for s in range(symbols):
            if math.isfinite(z[f, s]):
                size += abs(z[f, s])
                known += 1
        earned, moved, priced = 0.0, 0.0, 0
        unit = size if cross else _MEAN_ABS_NORMAL * known
        for s in range(symbols):
            target = held[f, s]
            if live[f] == 0.0:
                target = 0.0
            elif math.isfinite(z[f, s]) and unit > 0.0:
                target = z[f, s] / unit
            moved += abs(target - held[f, s])
            held[f, s] = target
            if math.isfinite(returns[s]):
                earned += target * returns[s]
                priced += 1
        gross[f] = earned * 1e4 if priced and known else np.nan
        turnover[f] = moved if known else np.nan


class Book:
    """Paper positions of F features on S symbols, in bps of their own unit gross.

    A value that is missing keeps the position it had. Net is gross less turnover times the one-way cost.

    Attributes:
        gross: Last bar's gross return, bps, [F].
        net: Last bar's net return, bps, [F].
        habit: Weight, usual gross return (bps) and usual turnover a bar, half-life 720 bars, [F, 3].
    """

    def __init__(
        self, features: int, symbols: int, *, cross: bool, one_way_bps: float, day_bars: int, turn_bars: int
    ) -> None:
        self.cross, self.one_way_bps = cross, one_way_bps
        self.day_bars, self.turn_bars = day_bars, turn_bars
        self.held = np.zeros((features, symbols))
        self.gross_ring, self.net_ring = mean_ring(features, day_bars), mean_ring(features, day_bars)
        self.turnover_ring = mean_ring(features, turn_bars)
        self.habit = np.zeros((features, 3))
        self._size(features)

    def _size(self, features: int) -> None:
        self.gross, self.net, self.turnover = (np.full(features, np.nan) for _ in range(3))

    def update(self, z: Floats, returns: Floats, live: Floats) -> None:
        """Trade to z [F, S] at a bar's close, earn `returns` [S] of the next; `live` [F] is 0 where stopped."""
        _trade(z, returns, self.cross, live, self.held, self.gross, self.turnover)
        self.net = self.gross - self.turnover * self.one_way_bps
        self.gross_ring.update(self.gross)
        self.net_ring.update(self.net)
        self.turnover_ring.update(self.turnover)
        known = np.isfinite(self.gross) & np.isfinite(self.turnover)
        weight = self.habit[:, 0] * _KEEP + known
        self.habit[:, 0] = weight
        for place, figure in ((1, self.gross), (2, self.turnover)):
            step = np.where(known, figure - self.habit[:, place], 0.0)
            self.habit[:, place] += step / np.maximum(weight, 1.0)

    def day(self) -> tuple[Floats, Floats]:
        """Gross and net over the last day, bps, [F] each."""
        return self.gross_ring.total(self.day_bars), self.net_ring.total(self.day_bars)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        rings = {"gross": self.gross_ring, "net": self.net_ring, "turnover": self.turnover_ring}
        nested = {f"{name}.{key}": value for name, ring in rings.items() for key, value in ring.arrays().items()}
        return {"held": self.held, "habit": self.habit, **nested}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave."""
        self.held = np.ascontiguousarray(arrays["held"], np.float64)
        self.habit = np.ascontiguousarray(arrays["habit"], np.float64)
        for name, ring in (("gross", self.gross_ring), ("net", self.net_ring), ("turnover", self.turnover_ring)):
            ring.load({key: arrays[f"{name}.{key}"] for key in ring.arrays()})
        self._last()

    def _last(self) -> None:
        rings = (self.gross_ring, self.net_ring, self.turnover_ring)
        self.gross, self.net, self.turnover = (ring.newest for ring in rings)

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds a flat one."""
        self.held, self.habit = select_rows(self.held, rows), select_rows(self.habit, rows)
        for ring in (self.gross_ring, self.net_ring, self.turnover_ring):
            ring.select(rows)
        self._last()
