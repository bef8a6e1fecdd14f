"""How likely it is that a member has died, bar by bar: the live detectors' own statistic, read as a chance.

R is the Shiryaev-Roberts sum of the critical test over the causal score, without its alarm and restart: it falls
again when the score comes back. R / (R + run length) is the chance of a break when breaks come once in a run length
(Shiryaev 1963): 1/2 where the detector calls, and about a twelfth for a healthy member. A member that is called has no
weight, chance or not, until the sum has fallen to a tenth of the line again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.stats._jit import Bools, Floats, kernel
from midas_engine.stats.sequential import DROP_WEIGHTS, DROPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.stats.sequential import Reference

_MOST, _BACK = 100.0, 0.1
"""The sum is held below so many run lengths, so that a member that comes back is seen; and where it counts as back."""


@kernel
def _odds(
    u: Floats, w: Floats, base: Floats, variance: Floats, drops: Floats, weights: Floats, line: float, out: Floats,
    called: Bools,
) -> None:  # fmt: skip
    features, bars = u.shape
    most, back = _MOST * line, _BACK * line
    for f in range(features):
        sums = np.zeros(drops.size)
        total = 0.0
        down = False
        for t in range(bars):
            out[f, t] = total
            down = total >= line or (down and total >= back)
            called[f, t] = down
            score, weight = u[f, t], w[f, t]
            if not (math.isfinite(score) and math.isfinite(weight) and math.isfinite(base[f])):
                continue
            total = 0.0
            for k in range(drops.size):
                to_slope = base[f] * drops[k]
                step = (to_slope - base[f]) / variance[f] * (score - 0.5 * weight * (to_slope + base[f]))
                sums[k] = min((1.0 + sums[k]) * math.exp(min(max(step, -20.0), 20.0)), most)
                total += weights[k] * sums[k]


def death_chance(u: Floats, w: Floats, references: Sequence[Reference | None], arl0: float) -> tuple[Floats, Bools]:
    """Chance that each member is dead and whether it is called, from the scores before each bar. All [K, T].

    Args:
        u: Causal scores.
        w: Their weights.
        references: What each promised; None: nothing was, and nothing can be noticed (0 throughout).
        arl0: Bars between false alarms of the detectors.
    """
    out, called = np.zeros(u.shape), np.zeros(u.shape, np.bool_)
    usable = [r if r is not None and r.usable else None for r in references]
    base = np.array([math.nan if r is None else r.score for r in usable], np.float64)
    variance = np.array([1.0 if r is None else r.variance for r in usable], np.float64)
    _odds(
        np.ascontiguousarray(u, np.float64),
        np.ascontiguousarray(w, np.float64),
        base,
        variance,
        np.array(DROPS),
        np.array(DROP_WEIGHTS),
        arl0,
        out,
        called,
    )
    chance: Floats = out / (out + arl0)
    return chance, called
