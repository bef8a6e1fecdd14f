"""Newey-West error of a mean: Bartlett weights, lag 2h + 8, missing bars allowed.

A score over h bars overlaps its h - 1 neighbours, so its mean has more error than independent bars would.
With missing bars the autocovariances keep their true lags (Parzen's amplitude modulation; Datta and Du 2012).

Two corrections make the p-values of pure noise honest (3.5-7.5 % at nominal 5 % for h = 1, 4, 24 and
feature autocorrelation 0 to 0.98; `benchmarks/statistics/sim_evaluator.py calibration` measures it):

* Student's t with 1.5 n / (lag + 1) degrees of freedom, the fixed-b equivalent of the Bartlett kernel
  (Lazarus, Lewis, Stock and Watson 2018), for the noise in the variance;
* `overlap_correction`, the share of the overlap's known triangle that the Bartlett weights cut off.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtr, stdtrit

from midas_engine.stats._jit import Floats, Ints, fast_kernel, owned


def hac_lag(horizon: int) -> int:
    """The lag for a score over `horizon` bars: 2h + 8."""
    return 2 * horizon + 8


_DIRECT = 32
"""Lags up to which lagged products are summed one lag at a time: they fill the vector units."""


@fast_kernel
def _long_run(x: Floats, lag: int) -> float:
    """Bartlett-weighted sum of autocovariances of x, not divided by its length.

    It equals the mean square of moving sums of lag + 1 neighbours (zero outside), so it is never negative and a
    long lag costs no more than a short one.
    """
    n = x.size
    if lag <= _DIRECT:
        result = 0.0
        for k in range(min(lag, n - 1) + 1):
            head = x[: n - k]
            tail = x[k:]
            total = 0.0
            for j in range(head.size):
                total += head[j] * tail[j]
            result += total if k == 0 else 2.0 * (1.0 - k / (lag + 1.0)) * total
        return max(result, 0.0)
    width = lag + 1
    window = 0.0
    squares = 0.0
    for t in range(n + lag):
        step = x[t] if t < n else 0.0
        if t >= width:
            step -= x[t - width]
        window += step
        squares += window * window
    return squares / width


@fast_kernel
def _group_moments(u: Floats, codes: Ints, groups: int, lag: int, out: Floats) -> None:
    """For every code 0 .. groups - 1: bars, mean, variance and long-run variance of u over its bars."""
    centred = np.empty(u.size)
    for g in range(groups):
        count = 0.0
        total = 0.0
        for t in range(u.size):
            known = codes[t] == g and u[t] == u[t]
            count += 1.0 if known else 0.0
            total += u[t] if known else 0.0
        out[g, 0] = count
        if count == 0.0:
            out[g, 1:] = np.nan
            continue
        first = 0
        while codes[first] != g:
            first += 1
        last = u.size - 1
        while codes[last] != g:
            last -= 1
        mean = total / count
        piece = u[first : last + 1]
        marks = codes[first : last + 1]
        x = centred[: piece.size]
        variance = 0.0
        for j in range(piece.size):
            d = piece[j] - mean if marks[j] == g and piece[j] == piece[j] else 0.0
            x[j] = d
            variance += d * d
        out[g, 1] = mean
        out[g, 2] = variance / count
        out[g, 3] = _long_run(x, lag) / count


def group_moments(u: Floats, codes: Ints, groups: int, lag: int) -> Floats:
    """Bars, mean, variance and long-run variance of u for each code. Shapes: [T], [T] -> [groups, 4].

    Bars whose code is negative, or whose u is NaN, are missing; the lags of the others stay true.
    """
    out = np.empty((groups, 4))
    _group_moments(u, codes, groups, lag, out)
    return out


def moments(u: Floats, lag: int) -> tuple[int, float, float, float]:
    """Bars, mean, variance and long-run variance of u, skipping NaN."""
    row = group_moments(u, np.zeros(u.size, np.int32), 1, lag)[0].tolist()
    return int(row[0]), row[1], row[2], row[3]


def hac_mean(u: Floats, lag: int, *, correction: float = 1.0) -> tuple[float, float, float]:
    """Mean of u, its Newey-West standard error and t; NaN are missing bars.

    Args:
        u: Scores, one a bar.
        lag: Bartlett lag; see `hac_lag`.
        correction: Factor on the variance; see `overlap_correction`.

    Returns:
        (mean, se, t). Equals statsmodels' OLS on a constant with HAC covariance when correction is 1.

    Example:
        >>> mean, se, t = hac_mean(np.array([1.0, 2.0, 3.0, 4.0]), 0)
        >>> round(mean, 3), round(se, 3)
        (2.5, 0.559)
    """
    count, mean, _, long_run = moments(owned(u), lag)
    return mean_error(count, mean, long_run, correction)


def mean_error(count: float, mean: float, long_run: float, correction: float = 1.0) -> tuple[float, float, float]:
    """(mean, se, t) from a long-run variance; NaN error when nothing varies."""
    if count < 2 or not long_run > 1e-18:
        return mean, math.nan, math.nan
    se = math.sqrt(long_run * correction / count)
    return mean, se, mean / se


def overlap_correction(horizon: int, lag: int, persistence: float) -> float:
    """What the Bartlett weights cut off the autocovariance that an h-bar overlap is known to have.

    Under no predictability u has autocovariance rho^k (1 - k/h) for k < h, with rho the feature's own
    autocorrelation. The factor is the true sum of these over the Bartlett-weighted one: 1 at h = 1 and for a
    feature without memory, 1.16 at h = 24 for a slow feature.

    Example:
        >>> overlap_correction(1, 10, 0.9)
        1.0
        >>> round(overlap_correction(24, 56, 1.0), 2)
        1.16
    """
    if horizon <= 1 or not persistence > 0.0:
        return 1.0
    k = np.arange(1, horizon)
    acf = min(persistence, 1.0) ** k * (1.0 - k / horizon)
    weights = np.maximum(0.0, 1.0 - k / (lag + 1.0))
    return float((1.0 + 2.0 * acf.sum()) / (1.0 + 2.0 * (acf * weights).sum()))


def degrees_of_freedom(count: float, lag: int) -> float:
    """Equivalent degrees of freedom of the Bartlett long-run variance: 1.5 n / (lag + 1), at least 2."""
    return max(2.0, 1.5 * count / (lag + 1.0))


def one_sided_p(t: float, dof: float) -> float:
    """Chance of a t at least this large when the mean is zero."""
    return float(stdtr(dof, -t)) if math.isfinite(t) else math.nan


def t_line(p: float, dof: float) -> float:
    """The t that noise passes with chance p."""
    return float(-stdtrit(dof, p))
