"""Is the input alive and in its usual unit: missing, frozen, out of range, collapsed."""

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
    Counts = NDArray[np.int64]

FROZEN_BARS = 24
WARM_BARS = 240
OUTLIER_SD = 12.0
# A unit has changed when values and steps both left what is usual of them; the cap keeps one wild value from
# looking like a new unit.
BLOWN_LEVEL, BLOWN_STEP, BLOWN_CAP, SHRUNK = 6.0, 3.0, 50.0, 0.05
_KEEP_SLOW = forget_factor(720)
_KEEP_FAST = forget_factor(12)
_KEEP_ODD = forget_factor(72)


@njit(cache=True, nogil=True)
def _observe(
    values: Floats,
    last: Floats,
    still: Counts,
    size: Floats,
    seen: Floats,
    missing: Counts,
    frozen: Counts,
    odd: Floats,
    habit: Floats,
    stuck_now: Floats,
) -> None:
    """One bar into every lane.

    `size` [F, S, 5]: weight, slow and fast mean absolute step from bar to bar, slow and fast mean absolute value.

    `habit` [F, 4]: weight, and the usual shares of symbols present, stuck for a day, and stepping out of line.
    """
    features, symbols = values.shape
    for f in range(features):
        known = changed = comparable = outliers = stuck = 0
        for s in range(symbols):
            x = values[f, s]
            if not math.isfinite(x):
                continue
            known += 1
            warm = size[f, s, 0] > WARM_BARS * 0.85
            usual = size[f, s, 3]
            level = min(abs(x), BLOWN_CAP * usual) if warm else abs(x)
            grown = max(1.0 / (size[f, s, 0] + 1.0), 1.0 - _KEEP_SLOW)
            size[f, s, 3] = usual + grown * ((min(level, OUTLIER_SD * usual) if warm else level) - usual)
            size[f, s, 4] += max(grown, 1.0 - _KEEP_FAST) * (level - size[f, s, 4])
            before = last[f, s]
            last[f, s] = x
            if not math.isfinite(before):
                continue
            comparable += 1
            step = abs(x - before)
            if step > 0.0:
                changed += 1
                still[f, s] = 0
            else:
                still[f, s] += 1
                if still[f, s] >= FROZEN_BARS:
                    stuck += 1
            weight, slow = size[f, s, 0], size[f, s, 1]
            if weight > WARM_BARS * 0.85 and slow > 0.0 and step > OUTLIER_SD * slow:
                outliers += 1
                step = OUTLIER_SD * slow
            weight = weight * _KEEP_SLOW + 1.0
            size[f, s, 0] = weight
            size[f, s, 1] = slow + (step - slow) / weight
            size[f, s, 2] += max(1.0 / weight, 1.0 - _KEEP_FAST) * (step - size[f, s, 2])
        seen[f] = known / symbols
        missing[f] = 0 if known else missing[f] + 1
        if known:
            frozen[f] = frozen[f] + 1 if comparable and not changed else 0
        odd[f] = odd[f] * _KEEP_ODD + (outliers / comparable if comparable else 0.0)
        stuck_now[f] = stuck / symbols
        heavy = habit[f, 0] * _KEEP_SLOW + 1.0
        habit[f, 0] = heavy
        habit[f, 1] += (seen[f] - habit[f, 1]) / heavy
        habit[f, 2] += (stuck_now[f] - habit[f, 2]) / heavy
        habit[f, 3] += ((outliers / comparable if comparable else 0.0) - habit[f, 3]) / heavy


class Presence:
    """How each feature's values come in.

    Attributes:
        missing: Bars in a row without any value, [F].
        frozen: Bars in a row in which every value repeated the last one, [F].
        outliers: Steps above twelve times the usual one, in bars, forgetting with a half-life of 72 bars, [F].
        stuck: Share of the symbols whose value has not moved for a day's worth of bars, [F].
        habit: Weight, and the usual shares of symbols present, stuck and out of line, half-life 720 bars, [F, 4].
    """

    def __init__(self, features: int, symbols: int, bars: int) -> None:
        self.ring = mean_ring(features, bars)
        self.last = np.full((features, symbols), np.nan)
        self.still = np.zeros((features, symbols), np.int64)
        self.size = np.zeros((features, symbols, 5))
        self.missing, self.frozen = np.zeros(features, np.int64), np.zeros(features, np.int64)
        self.outliers = np.zeros(features)
        self.habit = np.zeros((features, 4))
        self.stuck = np.zeros(features)

    def update(self, values: Floats) -> None:
        """Take one bar's values, [F, S]."""
        seen = np.empty(len(values))
        _observe(
            values, self.last, self.still, self.size, seen, self.missing, self.frozen, self.outliers, self.habit,
            self.stuck,
        )  # fmt: skip
        self.ring.update(seen)

    def coverage(self) -> Floats:
        """Share of values present over the window, [F]."""
        return self.ring.average()

    def outliers_usual(self) -> Floats:
        """What `outliers` usually is, [F]: the tally of a stream that goes on as it used to."""
        usual: Floats = self.habit[:, 3] / (1.0 - _KEEP_ODD)
        return usual

    def rescaled_share(self, row: int) -> float:
        """Share of the symbols whose values and steps are both far larger, or far smaller, than usual."""
        weight, slow, fast, usual, level = (self.size[row, :, k] for k in range(5))
        moving = (self.still[row] < FROZEN_BARS) & (weight > WARM_BARS * 0.85)
        blown = (level > BLOWN_LEVEL * usual) & (fast > BLOWN_STEP * slow)
        shrunk = (level < SHRUNK * usual) & (fast < SHRUNK * slow)
        return float((moving & (blown | shrunk)).mean())

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        ring = {f"ring.{name}": value for name, value in self.ring.arrays().items()}
        return {**{name: getattr(self, name) for name in _FIELDS}, **ring}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave."""
        for name in _FIELDS:
            setattr(self, name, np.ascontiguousarray(arrays[name], getattr(self, name).dtype))
        self.ring.load({key: arrays[f"ring.{key}"] for key in self.ring.arrays()})

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds a new one."""
        self.ring.select(rows)
        for name in _FIELDS:
            setattr(self, name, select_rows(getattr(self, name), rows, np.nan if name == "last" else 0))


_FIELDS = ("last", "still", "size", "missing", "frozen", "outliers", "habit", "stuck")
