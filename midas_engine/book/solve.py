"""The weights with the best expected net return per unit of risk, when trades of members net against each other.

Maximises (m'w - c sqrt(w'Cw)) / sqrt(w'Sw) over w >= 0. m: expected gross less funding; S: covariance; c: one-way cost;
C: turnovers times the correlations of position changes, so that sqrt(w'Cw) is the expected turnover of the netted book
(exact for one member, and for any mixture of jointly normal changes). The ratio does not depend on the scale of w.

Solved by linearising the cost at the current point, which leaves a quadratic programme with w >= 0, by coordinates.
"""

from __future__ import annotations

import math

import numpy as np

from midas_engine.stats._jit import Floats, kernel

_ROUNDS, _SWEEPS = 40, 30


@kernel
def _norm(w: Floats, matrix: Floats) -> float:
    total = 0.0
    for i in range(w.size):
        for j in range(w.size):
            total += w[i] * matrix[i, j] * w[j]
    return math.sqrt(max(total, 0.0))


@kernel
def net_ratio(w: Floats, mean: Floats, covariance: Floats, change: Floats, cost: float) -> float:
    """Expected net return of w over its standard deviation; 0 for a book without risk."""
    risk = _norm(w, covariance)
    if risk <= 0.0:
        return 0.0
    total = 0.0
    for i in range(w.size):
        total += w[i] * mean[i]
    return (total - cost * _norm(w, change)) / risk


@kernel
def _climb(start: Floats, mean: Floats, covariance: Floats, change: Floats, cost: float) -> Floats:
    size = start.size
    w = start.copy()
    best, found = w.copy(), net_ratio(w, mean, covariance, change, cost)
    for _ in range(_ROUNDS):
        turnover = _norm(w, change)
        nxt = w.copy()
        for _sweep in range(_SWEEPS):
            moved = 0.0
            for i in range(size):
                if covariance[i, i] <= 0.0:
                    nxt[i] = 0.0
                    continue
                slope = mean[i]
                if turnover > 0.0:
                    for j in range(size):
                        slope -= cost * change[i, j] * w[j] / turnover
                for j in range(size):
                    if j != i:
                        slope -= covariance[i, j] * nxt[j]
                value = max(slope / covariance[i, i], 0.0)
                moved += abs(value - nxt[i])
                nxt[i] = value
            if moved < 1e-9 * (1e-12 + nxt.sum()):
                break
        total = nxt.sum()
        if total <= 0.0:
            break
        nxt /= total
        step = np.abs(nxt - w).sum()
        w = 0.5 * (w + nxt)
        ratio = net_ratio(w, mean, covariance, change, cost)
        if ratio > found:
            best, found = w.copy(), ratio
        if step < 1e-6:
            break
    return best


@kernel
def best_weights(before: Floats, mean: Floats, covariance: Floats, change: Floats, cost: float) -> Floats:
    """Weights [K], at least 0, summing to 1; all 0 when no mixture is expected to earn its costs.

    Args:
        before: The weights so far; where the climb starts.
        mean: Expected return before trading costs, per bar [K].
        covariance: Of returns [K, K].
        change: Turnover matrix [K, K].
        cost: One way, as a fraction.
    """
    size = mean.size
    alone = np.zeros(size)
    top = -math.inf
    for k in range(size):
        if covariance[k, k] > 0.0:
            ratio = (mean[k] - cost * math.sqrt(max(change[k, k], 0.0))) / math.sqrt(covariance[k, k])
            if ratio > top:
                top = ratio
                alone[:] = 0.0
                alone[k] = 1.0
    best = np.zeros(size)
    found = 0.0
    for start in (np.full(size, 1.0 / size), before.copy(), alone):
        total = start.sum()
        if total <= 0.0:
            continue
        w = _climb(start / total, mean, covariance, change, cost)
        ratio = net_ratio(w, mean, covariance, change, cost)
        if ratio > found + 1e-12:
            best, found = w, ratio
    return best
