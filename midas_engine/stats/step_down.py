"""A family of hypotheses judged together: step-down of the largest score, with the correlation that is in the data.

Bonferroni pays for N hypotheses as if they were strangers. Published alphas are not: half of a bank says the same
thing. The largest of their scores under no effect is smaller than that of strangers, and a block bootstrap of the
bars' scores, all columns resampled together, measures it. Stepping down (Romano and Wolf 2005; Westfall and Young
1993) drops a hypothesis once it is rejected, so the next one is compared with fewer.

    p_(j) = P(max over the hypotheses ranked j and below of z* >= z_(j)), made monotone down the list

z is the score's own t with its clustered error and degrees of freedom, as a normal score; z* is the resampled mean
over its own bootstrap error, so that both have unit variance and the bootstrap supplies what they share. The chance
that any true null of the family is rejected is at most the level, whatever else is true.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from midas_engine.stats.bootstrap import DEFAULT_SEED

if TYPE_CHECKING:
    from midas_engine.stats._jit import Floats

RESAMPLES = 4000
_CHUNK_CELLS = 8_000_000


@dataclass(frozen=True, slots=True)
class Family:
    """What a family says of each of its members, in the order they were given.

    Attributes:
        p: One-sided, adjusted for the whole family; NaN for a member without a score.
        line_p: Unadjusted one-sided p each would have to reach at the level: what Bonferroni calls level / N.
        effective: Independent trials that would ask as much of the best: level / the first line's p.
    """

    p: Floats
    line_p: Floats
    effective: float


def step_down(
    scores: Floats, p: Floats, block: int, *, level: float = 0.05, resamples: int = RESAMPLES, seed: int = DEFAULT_SEED
) -> Family:
    """Adjusted p-values of a family.

    Args:
        scores: Scores of every bar [T, K]; NaN where a bar was not scored.
        p: Each member's own one-sided p [K]; NaN leaves it out (it is still a trial, of nothing).
        block: Block length in bars.
        level: Chance of any false rejection.
        resamples: Of the bootstrap; the least p that can come out is 1 / (resamples + 1).
        seed: Same seed, same answer.

    Example:
        >>> u = np.random.default_rng(0).normal(size=(4000, 1)).repeat(50, axis=1)
        >>> found = step_down(u, np.full(50, 0.01), 24)  # fifty copies of one hypothesis are one
        >>> bool(abs(found.p[0] - 0.01) < 0.01), bool(found.effective < 1.5)
        (True, True)
    """
    adjusted, lines = np.full(p.size, np.nan), np.full(p.size, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    if known.size == 0:
        return Family(adjusted, lines, float("nan"))
    z = -ndtri(np.clip(p[known], 1e-300, 1.0 - 1e-16))
    order = known[np.argsort(-z, kind="stable")]
    z = np.sort(z)[::-1]
    drawn = _resampled(scores[:, order], block, resamples, seed)
    # Column j: the largest among the hypotheses ranked j and below.
    largest = np.maximum.accumulate(drawn[:, ::-1], axis=1)[:, ::-1]
    raw = (1.0 + (largest >= z).sum(axis=0)) / (resamples + 1.0)
    adjusted[order] = np.maximum.accumulate(raw)
    critical = np.quantile(largest, 1.0 - level, axis=0, method="higher")
    rejected = int(np.argmax(np.append(adjusted[order] > level, True)))
    # Past the first that is not rejected nothing steps down any more.
    critical[rejected:] = critical[min(rejected, critical.size - 1)]
    lines[order] = ndtr(-critical)
    return Family(adjusted, lines, level / float(lines[order[0]]))


def _resampled(scores: Floats, block: int, resamples: int, seed: int) -> Floats:
    """Means of circular block resamples over their own error [resamples, K]; all columns share their blocks."""
    bars, members = scores.shape
    missing = np.isnan(scores)
    counts = np.maximum((~missing).sum(axis=0), 1)
    centred = np.where(missing, 0.0, scores - np.where(missing, 0.0, scores).sum(axis=0) / counts)
    block = max(1, min(block, bars // 2))
    running = np.vstack([np.zeros((1, members)), np.cumsum(np.vstack([centred, centred[:block]]), axis=0)])
    sums = running[block : block + bars] - running[:bars]
    rng = np.random.default_rng(seed)
    out = np.empty((resamples, members))
    step = max(1, _CHUNK_CELLS // bars)
    for first in range(0, resamples, step):
        rows = min(step, resamples - first)
        starts = rng.integers(0, bars, (rows, -(-bars // block)))
        cells = (starts + bars * np.arange(rows)[:, None]).ravel()
        times = np.bincount(cells, np.ones(cells.size), minlength=rows * bars)  # floats at once, not a second copy
        out[first : first + rows] = times.reshape(rows, bars) @ sums
    spread = out.std(axis=0, ddof=1)
    drawn: Floats = (out - out.mean(axis=0)) / np.where(spread > 0.0, spread, np.inf)
    return drawn
