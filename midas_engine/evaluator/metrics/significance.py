"""Significance of a feature's mean score, with the error its data calls for.

* One market, or a panel scored in time (below 10 symbols): Newey-West over time of u_t. Normal scores are taken
  within each symbol there, so every symbol's mean is removed before anything is tested: a constant scores nothing.
* A cross-section: clustered by time and by symbol (`midas_engine.stats.clustered`).
* Beyond 24 bars the larger of the time axis' HAC and block bootstrap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from midas_engine.stats.bootstrap import block_length, bootstrap_se
from midas_engine.stats.clustered import clustered_variance, symbol_variances
from midas_engine.stats.hac import (
    degrees_of_freedom,
    hac_lag,
    mean_error,
    moments,
    one_sided_p,
    overlap_correction,
)

if TYPE_CHECKING:
    from midas_engine.stats._jit import Floats
    from midas_engine.stats.bar_scores import BarScores

BOOTSTRAP_BEYOND = 24
"""Horizons in bars beyond which the block bootstrap gives a second opinion."""


@dataclass(frozen=True, slots=True)
class ScoreFigures:
    """Mean of u with everything its significance needs.

    Attributes:
        se: Clustered by time, and by symbol on a cross-section.
        dof: Degrees of freedom of t.
        widening: `se` over the error of the time axis alone; 1 where symbols have no say.
        long_run: Long-run variance of a bar's score over time.
        correction: See `overlap_correction`.
    """

    mean: float
    se: float
    t: float
    p: float
    dof: float
    count: int
    variance: float
    long_run: float
    correction: float
    widening: float = 1.0


def time_figures(u: Floats, horizon: int, persistence: float) -> ScoreFigures:
    """Significance of mean(u) over the time axis alone: HAC, and beyond 24 bars the weaker of HAC and bootstrap."""
    lag = hac_lag(horizon)
    correction = overlap_correction(horizon, lag, persistence)
    count, mean, variance, long_run = moments(u, lag)
    _, se, t = mean_error(count, mean, long_run, correction)
    if horizon > BOOTSTRAP_BEYOND:
        other = bootstrap_se(u, block_length(horizon))
        if other > se:
            se, t = other, mean / other
    dof = degrees_of_freedom(count, lag)
    return ScoreFigures(mean, se, t, one_sided_p(t, dof), dof, count, variance, long_run * correction, correction)


def score_figures(bars: BarScores, horizon: int, persistence: float, cross: bool) -> ScoreFigures:
    """Significance of the mean score of scored bars; across symbols clustered by time and by symbol.

    Args:
        bars: The scored bars.
        horizon: Of the return, in bars.
        persistence: The feature's autocorrelation from one bar to the next.
        cross: Rows are bars of a cross-section.
    """
    found = time_figures(bars.u, horizon, persistence)
    if not cross or not found.se > 0.0:
        return found
    return clustered_figures(found, symbol_variances(bars.z_f, bars.z_r, found.mean, hac_lag(horizon)))


def clustered_figures(found: ScoreFigures, parts: tuple[float, float, int]) -> ScoreFigures:
    """The time axis' figures with what symbols share with themselves, from `symbol_variances`."""
    if not found.se > 0.0:
        return found
    variance, dof = clustered_variance((found.se * found.count) ** 2, found.dof, parts, found.correction)
    se = math.sqrt(variance) / found.count
    t = found.mean / se
    return replace(found, se=se, t=t, dof=dof, p=one_sided_p(t, dof), widening=se / found.se)
