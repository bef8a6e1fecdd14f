"""Exact intervals for counts: what a simulation may say of a share or a rate."""

from __future__ import annotations

import math

from scipy.stats import beta, chi2

LEVEL = 0.90


def share_interval(hits: int, tries: int, level: float = LEVEL) -> tuple[float, float]:
    """Clopper-Pearson interval of a share (Clopper and Pearson 1934); (0, 1) when nothing was tried.

    Example:
        >>> low, high = share_interval(0, 100)
        >>> low, round(high, 4)
        (0.0, 0.0295)
    """
    if tries <= 0:
        return 0.0, 1.0
    tail = (1.0 - level) / 2.0
    low = float(beta.ppf(tail, hits, tries - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1.0 - tail, hits + 1, tries - hits)) if hits < tries else 1.0
    return low, high


def rate_interval(events: int, exposure: float, level: float = LEVEL) -> tuple[float, float]:
    """Garwood's interval of a Poisson rate (Garwood 1936); (0, inf) without exposure.

    Example:
        >>> low, high = rate_interval(4, 2.0)
        >>> round(low, 3), round(high, 3)
        (0.683, 4.577)
    """
    if not exposure > 0.0:
        return 0.0, math.inf
    tail = (1.0 - level) / 2.0
    low = float(chi2.ppf(tail, 2 * events)) / 2.0 if events > 0 else 0.0
    return low / exposure, float(chi2.ppf(1.0 - tail, 2 * events + 2)) / 2.0 / exposure
