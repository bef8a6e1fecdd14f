"""Compiled steps of the sequential detectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from numba import njit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

VARIANCE_MEMORY = 8760.0  # bars; a year of hourly bars


@njit(cache=True, nogil=True)
def likelihood_step(
    u: Floats,
    w: Floats,
    base: Floats,
    alternatives: Floats,
    weights: Floats,
    variance: Floats,
    odds: Floats,
    start: Floats,
    arl0: float,
    fired: Flags,
) -> None:
    """Take one bar's scores into the Shiryaev-Roberts statistics of F features and K alternatives.

    R_k <- (1 + R_k) exp(l_k), l_k the Gaussian log-likelihood ratio of slope alternatives[f, k] against base[f]:
    theta (u - w (alternative + base) / 2), theta = (alternative - base) / variance. A feature fires when the
    mean of its R_k under `weights` (which sum to one) reaches `arl0` + `start`; they then go back to `start` [F].
    Features whose `base` is not finite, and bars without a score, are left alone.
    """
    kinds = alternatives.shape[1]
    for f in range(u.shape[0]):
        fired[f] = False
        score, weight, from_slope = u[f], w[f], base[f]
        if not (math.isfinite(score) and math.isfinite(weight) and math.isfinite(from_slope)):
            continue
        total = 0.0
        for k in range(kinds):
            to_slope = alternatives[f, k]
            step = (to_slope - from_slope) / variance[f] * (score - 0.5 * weight * (to_slope + from_slope))
            odds[f, k] = (1.0 + odds[f, k]) * math.exp(min(max(step, -20.0), 20.0))
            total += weights[k] * odds[f, k]
        if total >= arl0 + start[f]:
            fired[f] = True
            for k in range(kinds):
                odds[f, k] = start[f]


@njit(cache=True, nogil=True)
def variance_step(u: Floats, w: Floats, slope: Floats, variance: Floats, memory: Floats) -> None:
    """Take one bar into the variance of u per unit of w; `memory` [F] counts bars up to a year."""
    for f in range(u.shape[0]):
        score, weight = u[f], w[f]
        if not (math.isfinite(score) and math.isfinite(weight)) or weight < 1e-6:
            continue
        centre = slope[f] if math.isfinite(slope[f]) else 0.0
        surprise = score - centre * weight
        memory[f] = min(memory[f] + 1.0, VARIANCE_MEMORY)
        # mean of surprise^2 over mean of w: both sides are accumulated in one ratio
        variance[f] += (surprise * surprise - variance[f] * weight) / memory[f]
        if variance[f] < 1e-6:
            variance[f] = 1e-6
