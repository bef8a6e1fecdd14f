"""Block bootstrap of a mean: the second opinion on errors where horizons are long.

Circular blocks (Politis and Romano 1992) by default, or blocks of geometric length (the stationary
bootstrap, Politis and Romano 1994). Block sums come from one running sum, so a resample costs n / block
additions and two thousand of them a few milliseconds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from midas_engine.stats._jit import Floats

DEFAULT_SEED = 20_240_229


def block_length(horizon: int) -> int:
    """Block for a score over `horizon` bars: max(4h, 24)."""
    return max(4 * horizon, 24)


def bootstrap_means(
    u: Floats, block: int, *, resamples: int = 2000, seed: int = DEFAULT_SEED, stationary: bool = False
) -> Floats:
    """Means of block resamples of u (NaN bars dropped); empty when there are fewer than two blocks.

    Args:
        u: Scores, one a bar.
        block: Block length in bars; the mean length when `stationary`.
        resamples: How many.
        seed: Same seed, same answer.
        stationary: Geometric instead of fixed lengths.
    """
    x = u[~np.isnan(u)]
    n = x.size
    if n < 2 * block:
        return np.empty(0)
    rng = np.random.default_rng(seed)
    mean = float(x.mean())
    running = np.concatenate([[0.0], np.cumsum(np.concatenate([x, x]) - mean)])
    blocks = math.ceil(n / block) * (3 if stationary else 1)
    starts = rng.integers(0, n, (resamples, blocks))
    if stationary:
        lengths = np.minimum(rng.geometric(1.0 / block, (resamples, blocks)), n)
        ends = np.minimum(np.cumsum(lengths, axis=1), n)
        lengths = np.diff(ends, axis=1, prepend=0)
        short = n - ends[:, -1]
        extra = rng.integers(0, n, resamples)
        sums = (running[starts + lengths] - running[starts]).sum(axis=1) + running[extra + short] - running[extra]
        stationary_means: Floats = mean + sums / n
        return stationary_means
    lengths = np.full(blocks, block)
    lengths[-1] = n - block * (blocks - 1)
    sums = (running[starts + lengths] - running[starts]).sum(axis=1)
    means: Floats = mean + sums / n
    return means


def bootstrap_se(u: Floats, block: int, *, resamples: int = 2000, seed: int = DEFAULT_SEED) -> float:
    """Standard error of mean(u) by circular blocks; NaN when there is too little data.

    The variance is enlarged by n / (n - block): resampled block means vary about the sample mean, which
    is itself fitted to the blocks.
    """
    means = bootstrap_means(u, block, resamples=resamples, seed=seed)
    if means.size == 0:
        return math.nan
    n = int(np.count_nonzero(~np.isnan(u)))
    return float(means.std(ddof=1)) * math.sqrt(n / (n - block))
