"""Compiled steps of the causal score: one bar, many features, no allocation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

CLIP = 3.0
CROSS_MINIMUM = 10
FEATURE_HALF_LIFE = 720
RETURN_HALF_LIFE = 24
FEATURE_WARM = 48
RETURN_WARM = 12
_WINSOR = 8.0  # one bad tick may not blow up the scale that judges the next 720 bars
_BREAK = 1e-4  # fast over slow variance: the feature's unit changed by a factor of 100
_FAST_HALF_LIFE = 48
_PSI_SCALE = math.sqrt(0.7)  # E[psi^2] = 10/7 for a unit-variance t(4)
_T4_SD = math.sqrt(2.0)  # sd over mean absolute value of a t(4)


def forget_factor(half_life: float) -> float:
    """Weight kept after one bar, so that a weight halves in `half_life` bars."""
    return float(0.5 ** (1.0 / half_life))


_KEEP = forget_factor(FEATURE_HALF_LIFE)
_KEEP_FAST = forget_factor(_FAST_HALF_LIFE)
_KEEP_RETURN = forget_factor(RETURN_HALF_LIFE)


@njit(cache=True, nogil=True)
def standardise_step(values: Floats, moments: Floats, breaks: Counts, z: Floats) -> None:
    """Z of `values` [F, S] against their own past, which then takes them in.

    `moments` [F, S, 5]: weight, mean, variance, fast mean, fast variance. z is clipped at 3 and NaN while the past is
    shorter than 48 values, where the value is missing or where it never moved. A variance that fell a
    hundredfold in scale is a change of unit: `breaks` counts it and the past starts anew.
    """
    for f in range(values.shape[0]):
        for s in range(values.shape[1]):
            x = values[f, s]
            z[f, s] = np.nan
            if not math.isfinite(x):
                continue
            weight, mean, variance = moments[f, s, 0], moments[f, s, 1], moments[f, s, 2]
            near, fast = moments[f, s, 3], moments[f, s, 4]
            deviation = x - mean
            warm = weight >= FEATURE_WARM * 0.95
            moving = warm and variance > 0.0 and variance > 1e-24 * mean * mean
            sd = math.sqrt(variance) if moving else 0.0
            if moving:
                z[f, s] = min(max(deviation / sd, -CLIP), CLIP)
                deviation = min(max(deviation, -_WINSOR * sd), _WINSOR * sd)
            weight = weight * _KEEP + 1.0
            rate = 1.0 / weight
            mean += rate * deviation
            variance = (1.0 - rate) * (variance + rate * deviation * deviation)
            pace = max(rate, 1.0 - _KEEP_FAST)
            step = x - near
            if moving:
                step = min(max(step, -_WINSOR * sd), _WINSOR * sd)
            near += pace * step
            fast = (1.0 - pace) * (fast + pace * step * step)
            if moving and 0.0 < fast < _BREAK * variance:
                mean, variance, weight, fast = near, 0.0, 0.0, 0.0
                breaks[f] += 1
            moments[f, s, 0], moments[f, s, 1], moments[f, s, 2] = weight, mean, variance
            moments[f, s, 3], moments[f, s, 4] = near, fast


@njit(cache=True, nogil=True)
def return_scale_step(returns: Floats, scale: Floats, z: Floats) -> None:
    """Z of `returns` [S] over their lagged scale, which then takes them in. `scale` [S, 2]: weight, mean |r|."""
    for s in range(returns.shape[0]):
        r = returns[s]
        z[s] = np.nan
        if not math.isfinite(r):
            continue
        weight, size = scale[s, 0], scale[s, 1]
        absolute = abs(r)
        if weight >= RETURN_WARM * 0.8 and size > 0.0:
            z[s] = r / (size * _T4_SD)
            absolute = min(absolute, 12.0 * size)
        weight = weight * _KEEP_RETURN + 1.0
        scale[s, 0] = weight
        scale[s, 1] = size + (absolute - size) / weight


@njit(cache=True, nogil=True)
def psi(z: float) -> float:
    """Location score of a unit-variance t(4), scaled to unit variance."""
    return 5.0 * z / (2.0 + z * z) * _PSI_SCALE


@njit(cache=True, nogil=True)
def score_bar_series(z: Floats, z_return: Floats, u: Floats, w: Floats) -> None:
    """U and w of one bar in the series shape: the mean over the symbols where both sides are known."""
    for f in range(z.shape[0]):
        total = weight = 0.0
        n = 0
        for s in range(z.shape[1]):
            a, b = z[f, s], z_return[s]
            if math.isfinite(a) and math.isfinite(b):
                total += a * psi(b)
                weight += a * a
                n += 1
        u[f] = total / n if n else np.nan
        w[f] = weight / n if n else np.nan


@njit(cache=True, nogil=True)
def normal_quantile(p: float) -> float:
    """Inverse normal distribution (Acklam's rational approximation, relative error below 1.2e-9)."""
    if p < 0.02425 or p > 0.97575:
        tail = min(p, 1.0 - p)
        q = math.sqrt(-2.0 * math.log(tail))
        top = (
            (((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838) * q - 2.549732539343734) * q
            + 4.374664141464968
        ) * q + 2.938163982698783
        low = (
            ((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996) * q + 3.754408661907416
        ) * q + 1.0
        x = top / low
        return x if p < 0.5 else -x
    q = p - 0.5
    r = q * q
    top = (
        (
            (((-3.969683028665376e01 * r + 2.209460984245205e02) * r - 2.759285104469687e02) * r + 1.383577518672690e02)
            * r
            - 3.066479806614716e01
        )
        * r
        + 2.506628277459239
    ) * q
    low = (
        (((-5.447609879822406e01 * r + 1.615858368580409e02) * r - 1.556989798598866e02) * r + 6.680131188771972e01) * r
        - 1.328068155288572e01
    ) * r + 1.0
    return top / low


@njit(cache=True, nogil=True)
def doubled_ranks(x: Floats, n: int, out: Floats) -> None:
    """Twice the average rank (2 for the smallest) of the first `n` entries, by counting: no sort, ties exact."""
    for i in range(n):
        below = 0.0
        for j in range(n):
            below += (1.0 if x[j] < x[i] else 0.0) + (1.0 if x[j] <= x[i] else 0.0)
        out[i] = below + 1.0


@njit(cache=True, nogil=True)
def _correlation(a: Floats, b: Floats, n: int) -> float:
    mean_a = mean_b = 0.0
    for i in range(n):
        mean_a += a[i]
        mean_b += b[i]
    mean_a /= n
    mean_b /= n
    aa = bb = ab = 0.0
    for i in range(n):
        da, db = a[i] - mean_a, b[i] - mean_b
        aa += da * da
        bb += db * db
        ab += da * db
    return ab / math.sqrt(aa * bb) if aa > 0.0 and bb > 0.0 else np.nan


@njit(cache=True, nogil=True)
def score_bar_cross(
    values: Floats, returns: Floats, z_return: Floats, z: Floats, u: Floats, w: Floats, rank_ic: Floats, pearson: Floats
) -> None:
    """One bar across symbols: u, w, the plain rank and Pearson IC, and z [F, S], the normal scores of the ranks.

    A bar with fewer than ten symbols that have value and return, or with a flat feature, gives NaN.
    """
    symbols = values.shape[1]
    x, y, zr = np.empty(symbols), np.empty(symbols), np.empty(symbols)
    rank_x, rank_y, rank_z = np.empty(symbols), np.empty(symbols), np.empty(symbols)
    place = np.empty(symbols, np.int64)
    for f in range(values.shape[0]):
        n = 0
        for s in range(symbols):
            z[f, s] = np.nan
            if math.isfinite(values[f, s]) and math.isfinite(returns[s]) and math.isfinite(z_return[s]):
                x[n], y[n], zr[n], place[n] = values[f, s], returns[s], z_return[s], s
                n += 1
        u[f] = w[f] = rank_ic[f] = pearson[f] = np.nan
        if n < CROSS_MINIMUM:
            continue
        doubled_ranks(x, n, rank_x)
        doubled_ranks(y, n, rank_y)
        doubled_ranks(zr, n, rank_z)
        rank_ic[f] = _correlation(rank_x, rank_y, n)
        pearson[f] = _correlation(x, y, n)
        if not math.isfinite(rank_ic[f]):
            continue
        total = 0.0
        for i in range(n):
            a = normal_quantile((rank_x[i] - 1.0) / (2.0 * n))
            z[f, place[i]] = a
            total += a * normal_quantile((rank_z[i] - 1.0) / (2.0 * n))
        u[f] = total / n
        w[f] = 1.0


@njit(cache=True, nogil=True)
def cross_positions(values: Floats, z: Floats) -> None:
    """Normal scores of `values` across symbols into `z` [F, S], whatever the returns; NaN where unknown."""
    symbols = values.shape[1]
    x, rank = np.empty(symbols), np.empty(symbols)
    place = np.empty(symbols, np.int64)
    for f in range(values.shape[0]):
        n = 0
        for s in range(symbols):
            z[f, s] = np.nan
            if math.isfinite(values[f, s]):
                x[n], place[n] = values[f, s], s
                n += 1
        if n < 2:
            continue
        doubled_ranks(x, n, rank)
        for i in range(n):
            z[f, place[i]] = normal_quantile((rank[i] - 1.0) / (2.0 * n))
