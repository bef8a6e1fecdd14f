"""What a sample could have seen: effective breadth, the smallest detectable IC, the data a verdict would take."""

from __future__ import annotations

import math

from scipy.special import ndtr

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


def promotion_chance(
    ic: float,
    research: tuple[float, float],
    sealed: tuple[float, float],
    least_ic: float = 0.0,
) -> float:
    """Chance that a feature of true mean score `ic` passes research and its sealed look: two independent parts.

    Args:
        ic: True mean score.
        research: Error of the mean score on the research part, and the t it must reach.
        sealed: The same of the sealed part.
        least_ic: Effect size that research asks for besides.

    Example:
        >>> round(promotion_chance(0.05, (0.0118, 3.15), (0.0161, 1.97), 0.02), 2)
        0.75
    """
    (se, line), (sealed_se, sealed_line) = research, sealed
    return float(ndtr((ic - max(line * se, least_ic)) / se) * ndtr((ic - sealed_line * sealed_se) / sealed_se))


def smallest_promotable_ic(
    research: tuple[float, float], sealed: tuple[float, float], least_ic: float = 0.0, chance: float = 0.5
) -> float:
    """Smallest true mean score that is promoted with `chance`; NaN where the errors are unknown.

    Example:
        >>> round(smallest_promotable_ic((0.0118, 3.15), (0.0161, 1.97), 0.02), 3)
        0.042
    """
    if not (research[0] > 0.0 and sealed[0] > 0.0):
        return math.nan
    low, high = 0.0, 1.0
    while promotion_chance(high, research, sealed, least_ic) < chance and high < 1e6:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if promotion_chance(middle, research, sealed, least_ic) < chance else (low, middle)
    return high


def history_needed(
    ic: float, research: tuple[float, float], sealed: tuple[float, float], least_ic: float = 0.0, chance: float = 0.5
) -> float:
    """How many times the history it takes to promote a true mean score of `ic` with `chance`; infinite when never.

    Errors fall with the root of the bars; the effect size that research asks for does not.

    Example:
        >>> round(history_needed(0.03, (0.0118, 3.15), (0.0161, 1.97), 0.02), 1)
        2.0
    """
    if not (research[0] > 0.0 and sealed[0] > 0.0):
        return math.nan

    def reached(times: float) -> bool:
        root = math.sqrt(times)
        parts = (research[0] / root, research[1]), (sealed[0] / root, sealed[1])
        return promotion_chance(ic, *parts, least_ic) >= chance

    if not reached(1e6):
        return math.inf
    low, high = 0.0, 1e6
    for _ in range(80):
        middle = math.sqrt(max(low, 1e-6) * high)
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
