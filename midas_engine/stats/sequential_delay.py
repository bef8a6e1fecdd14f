"""How long a detector will take: expected delay from strength, breadth and run length, for the gauge.

The delay in bars times d^2, d the slope in standard deviations of one bar's score, depends on d^2 A alone (A the
promised run length): Brownian scaling. The table was simulated with the detector itself, after 2,000 healthy bars at
the slope that a promise was shrunk from: a promise is seven tenths of what was measured, so a healthy feature beats
its reference, the statistic starts lower, and a flip is to all of it. In between it is read on log scales;
`benchmarks/statistics/sim_delay_table.py` prints it again beside the numbers here.

Scaling is for small steps. A test looks once a bar and passes its line by a part of a step, and evidence comes in
clumps, for a bar's weight is the square of a value that remembers: some bars more, the same number at every strength.
They are nothing to a feature on hours and a sixth of the delay of a strong one on days (`--arl0 365` prints them).
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

STRENGTH = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0)
DROP_DELAY = (0.490, 0.817, 1.344, 2.064, 2.963, 4.071, 5.182, 6.655, 8.144, 9.416, 11.073, 12.843)
FLIP_DELAY = (0.290, 0.424, 0.596, 0.808, 1.046, 1.296, 1.557, 1.812, 2.124, 2.433, 2.715, 3.067)

DROP_STEP, FLIP_STEP = 7.0, 4.0
"""Bars beyond the scaling. Of a drop 8 to 9 without memory and 7 at a memory of 0.9; of a flip 2, and 6 at 0.9."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What to expect of a detector.

    Attributes:
        drop_bars: Expected bars from the moment the edge is gone to the alarm.
        flip_bars: Expected bars from the moment the edge has turned against you.
        false_alarms_per_year: How often a healthy feature is called.
    """

    drop_bars: float
    flip_bars: float
    false_alarms_per_year: float


def outlook(slope: float, variance: float, *, arl0: float = 8760.0, bars_per_year: float = 8760.0) -> Outlook:
    """Expected delays of the critical test for a feature of strength `slope`.

    Args:
        slope: Expected score per bar, as in `Reference.score`: shrunk.
        variance: Variance of one bar's score: about 1 for one symbol, 1 / effective breadth for a panel.
        arl0: Promised bars between false alarms.
        bars_per_year: Bars scored in a year.

    Example:
        >>> one, ten = outlook(0.05, 1.0), outlook(0.05, 0.1)
        >>> round(one.drop_bars / ten.drop_bars, 1)  # breadth 10
        4.3
    """
    if not (slope > 0 and variance > 0 and math.isfinite(slope) and math.isfinite(variance)):
        return Outlook(math.nan, math.nan, bars_per_year / arl0)
    power = slope * slope / variance
    place = math.log(power * arl0)
    drop = math.exp(_extended(place, _DROP)) / power + DROP_STEP
    flip = math.exp(_extended(place, _FLIP)) / power + FLIP_STEP
    return Outlook(min(drop, arl0), min(flip, arl0), bars_per_year / arl0)


_GRID, _DROP, _FLIP = ([math.log(x) for x in table] for table in (STRENGTH, DROP_DELAY, FLIP_DELAY))


def _extended(place: float, values: list[float]) -> float:
    """Linear interpolation on `_GRID` that goes on with the last slope beyond either end."""
    left = min(max(bisect.bisect_right(_GRID, place) - 1, 0), len(_GRID) - 2)
    rate = (values[left + 1] - values[left]) / (_GRID[left + 1] - _GRID[left])
    return values[left] + rate * (place - _GRID[left])
