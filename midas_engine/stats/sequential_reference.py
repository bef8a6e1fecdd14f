"""The yardstick of the detectors: what score a feature may be expected to give, and how noisy it is.

A history of a year measures the slope of a single series to +-0.011, which is a third of a decent IC. So the
measurement is combined with what the IC claims: slope = GAIN x IC, give or take GAIN_SPREAD (on simulated
markets the factor is 1.07 with Gaussian returns, 1.13-1.19 with t(4) returns, 1.28 when an IC with raw returns is meant
and volatility is strongly clustered). A history that speaks clearly against the claim outweighs it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.stats.sequential import Reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

GAIN = 1.15
GAIN_SPREAD = 0.17
_LOWER_QUARTILE = 0.6744897501960817
_DOUBT = 1.5
_LEAST_SHARE = 0.2
_LEAST_BARS = 100


@dataclass(frozen=True, slots=True)
class MeasuredScore:
    """Slope of the causal score over a history: value, standard error, variance per unit weight, scored bars."""

    slope: float
    se: float
    variance: float
    bars: int


def measure_score(u: Floats, w: Floats) -> MeasuredScore | None:
    """Measure slope and variance of scores u [T] with weights w [T]; None with fewer than 100 scored bars."""
    known = np.isfinite(u) & np.isfinite(w)
    if known.sum() < _LEAST_BARS or w[known].sum() <= 0:
        return None
    u, w = u[known], w[known]
    slope = float(u.sum() / w.sum())
    variance = float(((u - slope * w) ** 2).sum() / w.sum())
    return MeasuredScore(slope, math.sqrt(variance / w.sum()), max(variance, 1e-12), len(u))


def expected_reference(
    expected_ic: float, measured: MeasuredScore | None = None, *, cautious: bool = False, variance: float = 1.0
) -> Reference:
    """The yardstick for a claimed IC, checked against a history where there is one.

    Args:
        expected_ic: IC of the value with the next one-bar return; positive.
        measured: The same feature's score over a history.
        cautious: Take the lower quartile instead of the middle (for a kill).
        variance: Variance of the score where it was not measured.

    Raises:
        MonitorError: `expected_ic` is not a number between 0 and 1.
    """
    if not (isinstance(expected_ic, int | float | np.number) and 0.0 < expected_ic < 1.0):
        raise MonitorError(
            f"expected_ic = {expected_ic!r} is not between 0 and 1",
            hint="flip the sign of a feature with a negative IC",
        )
    claim = GAIN * float(expected_ic)
    spread = GAIN_SPREAD * claim
    if measured is None:
        return Reference(claim - (_LOWER_QUARTILE * spread if cautious else 0.0), variance, 0.0)
    doubt = (measured.slope - claim) / math.hypot(measured.se, spread)
    if doubt < -_DOUBT:
        spread *= (doubt / _DOUBT) ** 4
    trust = spread**2 / (spread**2 + measured.se**2)
    slope = claim + trust * (measured.slope - claim)
    error = math.sqrt(trust) * measured.se
    if cautious:
        slope -= _LOWER_QUARTILE * error
    slope = max(slope, _LEAST_SHARE * claim)
    return Reference(slope, measured.variance, float(measured.bars))
