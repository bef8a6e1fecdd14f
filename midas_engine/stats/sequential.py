"""Sequential tests on the causal score: has the feature died (critical), does it still pay its way (kill).

Both are Shiryaev-Roberts sums: R <- (1 + R) x likelihood ratio, averaged over a few alternatives. While the
feature is healthy R_t - t is a martingale, so an alarm at R >= A comes on average at the earliest after A bars
(Pollak 1987); with A = 8,760 a healthy hourly feature raises one false alarm a year.

* **critical**: slope b (the expected score) against 0.5 b, 0, -0.5 b and -b. It starts at R = r and alarms at A + r:
  the run length stays A, and a feature that is dead on arrival is called sooner (the SR-r procedure of
  Polunchenko and Tartakovsky 2010, nearly minimax when the delay at once equals the delay later). Simulated, that
  is r = 0.4 sqrt(A) / d, d the slope in standard deviations of a bar's score; see `head_start`.
* **kill**: an e-detector (Shin, Ramdas and Rinaldo 2023): slope at least `floor` = max(0.5 b, break-even) against
  0, -0.5 b and -b. For every true slope at or above the floor each factor has mean at most one, so the
  guarantee holds for the composite hypothesis "not worse than half of what was promised".

The likelihood ratio is that of u given w (see causal_score): Gaussian with mean b w and variance s2 w. u is a
product of a bounded score and a clipped value, so that one bar moves ln R by a bounded amount. s2 is
measured (history first, then the stream itself).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.stats.sequential_kernels import likelihood_step, variance_step
from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DROPS = (0.5, 0.0, -0.5, -1.0)
# death and flip are what happens and what must be fast; the two others only fill the gaps between them
DROP_WEIGHTS = (0.05, 0.45, 0.05, 0.45)
KILL_DROPS = (0.0, -0.5, -1.0)
KILL_WEIGHTS = (0.4, 0.2, 0.4)
KILL_SHARE = 0.5
PRIOR_BARS = 20.0
_HEAD_START, _LARGEST_HEAD_START = 0.40, 0.15


@dataclass(frozen=True, slots=True)
class Reference:
    """What a feature promised: the yardstick of its detectors.

    Attributes:
        score: Expected slope b of the causal score (mean u per unit of w), already shrunk.
        variance: Variance of u per unit of w; about 1 for one symbol, 1 / effective breadth for a panel.
        variance_bars: How many bars `variance` was measured on; 0 for a guess.
        break_even: Slope at which the feature only pays its costs; floor of the kill test.
    """

    score: float
    variance: float = 1.0
    variance_bars: float = 0.0
    break_even: float = 0.0

    @property
    def floor(self) -> float:
        """The slope below which the feature should be stopped."""
        return max(KILL_SHARE * self.score, self.break_even)

    @property
    def usable(self) -> bool:
        """A promise that can be tested: positive and finite."""
        return bool(np.isfinite(self.score) and self.score > 0 and np.isfinite(self.variance) and self.variance > 0)


def head_start(slope: float, variance: float, arl0: float) -> float:
    """Where the critical test starts: bars of its run length that count as passed; at most 15 % of it.

    Example:
        >>> round(head_start(0.05, 1.0, 8760.0)), round(head_start(0.5, 1.0, 8760.0))
        (749, 75)
    """
    bars = _HEAD_START * math.sqrt(arl0 * variance) / slope
    return min(bars, _LARGEST_HEAD_START * arl0)


class SequentialBank:
    """The critical and the kill detector of F features, vectorised; O(1) state a feature.

    Attributes:
        decay_fired: Which features the critical test called on the last bar, [F].
        kill_fired: Which features the kill test called on the last bar, [F].
    """

    def __init__(self, references: Sequence[Reference | None], *, arl0: float = 8760.0) -> None:
        if not arl0 >= 2:
            raise MonitorError(
                f"arl0 = {arl0} bars is no average run length", hint="use bars between false alarms: 8760"
            )
        self.arl0 = float(arl0)
        count = len(references)
        self.base, self.floor = np.full(count, np.nan), np.full(count, np.nan)
        self.variance, self.memory = np.ones(count), np.full(count, PRIOR_BARS)
        self.start = np.zeros(count)
        self.decay_odds = np.zeros((count, len(DROPS)))
        self.kill_odds = np.zeros((count, len(KILL_DROPS)))
        for row, reference in enumerate(references):
            self._set(row, reference)
        self._derive()

    def _set(self, row: int, reference: Reference | None) -> None:
        self.base[row] = self.floor[row] = np.nan
        self.start[row] = self.kill_odds[row] = 0.0
        if reference is not None and reference.usable:
            self.base[row], self.floor[row] = reference.score, reference.floor
            self.variance[row] = reference.variance
            self.memory[row] = max(reference.variance_bars, PRIOR_BARS)
            self.start[row] = head_start(reference.score, reference.variance, self.arl0)
        self.decay_odds[row] = self.start[row]

    def _derive(self) -> None:
        self.decay_fired = np.zeros(len(self.base), np.bool_)
        self.kill_fired = np.zeros(len(self.base), np.bool_)
        self._decay_slopes = np.ascontiguousarray(self.base[:, None] * np.array(DROPS))
        self._kill_slopes = np.ascontiguousarray(self.base[:, None] * np.array(KILL_DROPS))
        self._cold = np.zeros(len(self.base))

    def calibrate(self, row: int, reference: Reference | None) -> None:
        """Give feature `row` a new promise; its statistics start from zero."""
        self._set(row, reference)
        self._derive()

    def update(self, u: Floats, w: Floats) -> None:
        """Take one bar's scores, [F] each; NaN where a feature was not scored."""
        for base, slopes, weights, odds, start, fired in (
            (self.base, self._decay_slopes, _DROP_WEIGHTS, self.decay_odds, self.start, self.decay_fired),
            (self.floor, self._kill_slopes, _KILL_WEIGHTS, self.kill_odds, self._cold, self.kill_fired),
        ):
            likelihood_step(u, w, base, slopes, weights, self.variance, odds, start, self.arl0, fired)
        variance_step(u, w, self.base, self.variance, self.memory)

    def reference(self, row: int) -> Reference:
        """The promise of feature `row`, with its variance as it is known by now."""
        score, floor = float(self.base[row]), float(self.floor[row])
        known = float(self.memory[row])
        return Reference(score, float(self.variance[row]), known, floor if floor > KILL_SHARE * score else 0.0)

    @property
    def decay_log_s(self) -> Floats:
        """Ln of the critical statistic less its head start's share, [F]; NaN for a feature without a promise."""
        return _log_mean(self.decay_odds @ _DROP_WEIGHTS / (1.0 + self.start / self.arl0), self.base)

    @property
    def kill_log_e(self) -> Floats:
        """Ln of the kill statistic, [F]; NaN for a feature without a promise."""
        return _log_mean(self.kill_odds @ _KILL_WEIGHTS, self.base)

    @property
    def threshold(self) -> float:
        """Where both alarm."""
        return math.log(self.arl0)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        return {name: getattr(self, name) for name in _STATE}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave; MonitorError when its shape is another's."""
        for name in _STATE:
            array = np.ascontiguousarray(arrays[name], np.float64)
            if array.shape != getattr(self, name).shape:
                raise MonitorError(f"detector state {name!r} has shape {array.shape}, not {getattr(self, name).shape}")
            setattr(self, name, array)
        self._derive()

    def select(self, rows: Sequence[int], references: Sequence[Reference | None]) -> None:
        """Keep the features `rows`, in that order; -1 adds a new one with the reference at its place."""
        for name, fill in zip(_STATE, (np.nan, np.nan, 1.0, PRIOR_BARS, 0.0, 0.0, 0.0), strict=True):
            setattr(self, name, select_rows(getattr(self, name), rows, fill))
        for place, row in enumerate(rows):
            if row < 0:
                self._set(place, references[place])
        self._derive()


_DROP_WEIGHTS = np.array(DROP_WEIGHTS)
_KILL_WEIGHTS = np.array(KILL_WEIGHTS)
_STATE = ("base", "floor", "variance", "memory", "start", "decay_odds", "kill_odds")


def _log_mean(odds: Floats, base: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        logs: Floats = np.log(odds)
    return np.where(np.isfinite(base), logs, np.nan)
