"""What a sample could have seen: effective breadth, the smallest detectable IC, the data a verdict would take."""

from __future__ import annotations

import math

POWER_80 = 0.8416212335729143


def effective_breadth(cell_variance: float, bar_variance: float) -> float:
    """Variance of a single symbol's score over the variance of u_t: how many independent markets a bar is worth.

    Example:
        >>> effective_breadth(1.0, 0.1)
        10.0
    """
    return cell_variance / bar_variance if bar_variance > 0.0 else math.nan


def smallest_detectable_ic(line_t: float, se: float, power_z: float = POWER_80) -> float:
    """Smallest true mean score that passes the session line with 80 % chance: (line + 0.84) x se."""
    return (line_t + power_z) * se


def bars_needed(ic: float, se: float, bars: int, line_t: float, power_z: float = POWER_80) -> float:
    """Bars of data at which a true score of `ic` would pass the line with 80 % chance; infinite for ic <= 0.

    Example:
        >>> round(bars_needed(0.03, 0.01, 8760, 3.0) / 8760, 2)
        1.64
    """
    if not ic > 0.0 or not se > 0.0:
        return math.inf
    return bars * (smallest_detectable_ic(line_t, se, power_z) / ic) ** 2
