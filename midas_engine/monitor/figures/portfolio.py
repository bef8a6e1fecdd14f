"""The portfolio detector: a break that all features share is seen days before it is seen in any one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.monitor.figures.block_ring import mean_ring
from midas_engine.stats.sequential import Reference, SequentialBank

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PORTFOLIO = "portfolio"
_FIRST_VARIANCE_BARS = 30.0
_LEAST_FEATURES = 2
_RECOVERED_SHARE = 0.5


class PortfolioDetector:
    """The critical test on the mean score of all live features that have a promise.

    The mean of u is tested against the mean of what each feature promised for its own value on that bar. Its
    variance is learned from the stream: it depends on how much the features have in common.

    Attributes:
        fired: The test called on the last bar.
    """

    def __init__(self, arl0: float, recent_bars: int) -> None:
        self._bank = SequentialBank([None], arl0=arl0)
        self._scores = mean_ring(1, recent_bars)
        self.fired = False

    def update(self, u: Floats, w: Floats, promised: Floats, live: Floats) -> None:
        """Take one bar: scores and weights [F], promised slopes [F] (NaN: none), live flags [F]."""
        known = np.isfinite(u) & np.isfinite(w) & np.isfinite(promised) & (live > 0)
        self.fired = False
        members = np.isfinite(promised) & (live > 0)
        if members.sum() < _LEAST_FEATURES or known.sum() < _LEAST_FEATURES:
            self._scores.update(np.array([np.nan]))
            return
        slope = float(promised[members].mean())
        if not abs(float(self._bank.base[0]) - slope) <= 1e-9 * abs(slope):  # true of NaN as well
            self._bank.calibrate(0, Reference(slope, self._variance()))
            self._bank.memory[0] = _FIRST_VARIANCE_BARS
        score = np.array([u[known].mean()])
        weight = np.array([(promised[known] * w[known]).mean() / slope])
        self._bank.update(score, weight)
        self._scores.update(score)
        self.fired = bool(self._bank.decay_fired[0])

    def _variance(self) -> float:
        """What was learned so far; 1, the most it can be, before anything was."""
        return float(self._bank.variance[0])

    @property
    def log_s(self) -> float:
        """Ln of the statistic; NaN with fewer than two promised features."""
        return float(self._bank.decay_log_s[0])

    @property
    def slope(self) -> float:
        """Mean promised score of the live features."""
        return float(self._bank.base[0])

    @property
    def variance(self) -> float:
        """Variance of the mean score of one bar."""
        return self._variance()

    @property
    def recovered(self) -> bool:
        """The mean score of the recent past is back at half of what was promised."""
        mean, _, _ = self._scores.mean(self._scores.window)
        return bool(mean[0] >= _RECOVERED_SHARE * self.slope)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        bank = {f"bank.{k}": v for k, v in self._bank.arrays().items()}
        return {**bank, **{f"scores.{k}": v for k, v in self._scores.arrays().items()}}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave."""
        self._bank.load({k: arrays[f"bank.{k}"] for k in self._bank.arrays()})
        self._scores.load({k: arrays[f"scores.{k}"] for k in self._scores.arrays()})
