"""How strong a member really is: a posterior under a prior of everything that was tried, so that selection is paid for.

Every candidate's strength theta is its mean return over its standard deviation, per bar. Most candidates are noise:
theta = 0 with chance 1 - share, else normal about zero with standard deviation `spread` (the two-groups model, Efron
2008). The prior is fitted to the t of *all* trials, not of the winners; a posterior under such a prior needs no further
correction for having been selected (Dawid 1994; Senn 2008), and a winner by luck is drawn to zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from midas_engine.stats._jit import Floats

# Before any trial is known: one candidate in five is real, and those have yearly gross Sharpe ratios of about 3.
_SHARE, _YEARLY = 0.2, 3.0
# How many trials that belief is worth, for the share and for the spread.
_SHARE_WORTH, _SPREAD_WORTH = 10.0, 4.0
_STEPS = 60


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of a candidate before its figures.

    Attributes:
        share: Chance that it is real.
        spread: Standard deviation of the strength of those that are, per bar.
    """

    share: float
    spread: float


def default_prior(bars_per_year: float) -> Prior:
    """The belief without any trial."""
    return Prior(_SHARE, _YEARLY / math.sqrt(bars_per_year))


def fit_prior(t: Floats, bars: int, bars_per_year: float) -> Prior:
    """The prior that the t of all trials speak for, held by a few trials' worth of the default.

    Args:
        t: One a trial, on the same bars.
        bars: Bars that each was measured on.
        bars_per_year: Of the data.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> noise = fit_prior(rng.normal(size=400), 5000, 8760.0)
        >>> noise.share < 0.05
        True
    """
    start = default_prior(bars_per_year)
    x = np.asarray(t, np.float64)
    x = x[np.isfinite(x)]
    if x.size == 0 or bars < 2:
        return start
    first = 1.0 + bars * start.spread**2
    share, size = start.share, first
    for _ in range(_STEPS):
        slab = share / math.sqrt(size) * np.exp(-0.5 * np.minimum(x * x, 1e4) / size)
        null = (1.0 - share) * np.exp(-0.5 * np.minimum(x * x, 1e4))
        real = slab / (slab + null)
        count = float(real.sum())
        share = (count + _SHARE_WORTH * start.share) / (x.size + _SHARE_WORTH)
        size = max((float((real * x * x).sum()) + _SPREAD_WORTH * first) / (count + _SPREAD_WORTH), 1.05)
    return Prior(share, math.sqrt((size - 1.0) / bars))


def posterior(theta: Floats, bars: Floats, prior: Prior) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the strengths given the measured ones. Shapes: any, equal.

    Args:
        theta: Measured mean over standard deviation, per bar.
        bars: Bars measured on.
        prior: What was believed before.

    Example:
        >>> mean, sd = posterior(np.array([0.05]), np.array([4000.0]), Prior(0.2, 0.03))
        >>> bool(0.03 < mean[0] < 0.05)
        True
    """
    noise = 1.0 / np.maximum(bars, 1.0)
    total = prior.spread**2 + noise
    keep = prior.spread**2 / total
    log_odds = 0.5 * np.log(noise / total) + 0.5 * theta * theta * (1.0 / noise - 1.0 / total)
    odds = prior.share / (1.0 - prior.share) * np.exp(np.minimum(log_odds, 50.0))
    real = odds / (1.0 + odds)
    centre = keep * theta
    mean = real * centre
    variance = real * keep * noise + real * (1.0 - real) * centre * centre
    return mean, np.sqrt(variance)
