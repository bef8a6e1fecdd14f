"""Annualised information ratio of the per-bar score."""

from __future__ import annotations

import math

from midas_engine.stats.normal import Z90


def information_ratio(
    mean: float, long_run: float, count: float, bars_per_year: float
) -> tuple[float, float, float, float]:
    """mean(u) / sd(u) x sqrt(bars per year), with its standard error and 90 % interval.

    Args:
        mean: Mean score of a bar.
        long_run: Variance of a bar's score; the long-run variance where horizons overlap.
        count: Bars scored.
        bars_per_year: Of the data.

    Returns:
        (value, se, low, high); the error of a ratio of n bars is sqrt((1 + ratio^2 / 2) / n) (Lo 2002).

    Example:
        >>> round(information_ratio(0.05, 1.0, 8760, 8760)[0], 2)
        4.68
    """
    if count < 2 or not long_run > 0.0:
        return (math.nan,) * 4
    ratio = mean / math.sqrt(long_run)
    year = math.sqrt(bars_per_year)
    se = math.sqrt((1.0 + 0.5 * ratio * ratio) / count) * year
    value = ratio * year
    return value, se, value - Z90 * se, value + Z90 * se
