"""Normal scores of ranks (van der Waerden): what every tested statistic is made of.

z_i = Phi^-1((rank_i - 0.5) / n), average ranks for ties, then centred and scaled to unit variance over the
cells that are scored, so that a mean of products of two of them is a correlation.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from midas_engine.stats._jit import Floats, Ints, kernel, owned
from midas_engine.stats.ranks import own_ranks, sort_rows

Offsets = NDArray[np.int64]


@lru_cache(maxsize=256)
def score_table(n: int) -> Floats:
    """Normal score of every doubled zero-based rank 0 .. 2n - 2 among n values."""
    half: Floats = ndtri((np.arange(n) + 1.0) / (2.0 * n))
    return np.concatenate([half, -half[-2::-1]])


@lru_cache(maxsize=8)
def _small_tables(limit: int) -> tuple[Floats, Offsets]:
    offsets = np.zeros(limit + 1, np.int64)
    parts = []
    at = 0
    for n in range(1, limit + 1):
        offsets[n] = at
        parts.append(score_table.__wrapped__(n))
        at += 2 * n - 1
    return np.concatenate(parts), offsets


def tables_for(counts: Ints, width: int) -> tuple[Floats, Offsets]:
    """One flat table and the offset of each row's part of it, for rows of `counts` joint cells out of `width`."""
    if counts.size == 1:
        return score_table(max(int(counts[0]), 1)), np.zeros(1, np.int64)
    if counts.size > 64 and width <= 1500:
        table, offsets = _small_tables(width)
        return table, offsets[counts]
    starts = np.zeros(counts.size, np.int64)
    seen: dict[int, int] = {}
    parts: list[Floats] = [np.zeros(1)]
    at = 1
    for i, n in enumerate(counts.tolist()):
        if n and n not in seen:
            seen[n] = at
            parts.append(score_table(n))
            at += 2 * n - 1
        starts[i] = seen.get(n, 0)
    return np.concatenate(parts), starts


@kernel
def score_rows(ranks: Ints, counts: Ints, table: Floats, starts: Offsets, minimum: int, out: Floats) -> None:
    """Standardised normal scores of doubled ranks; NaN on rows too short or without variance. [R, N] -> [R, N]."""
    rows, n = ranks.shape
    for i in range(rows):
        start = starts[i]
        total = 0.0
        squares = 0.0
        if counts[i] >= minimum:
            for j in range(n):
                d = ranks[i, j]
                if d >= 0:
                    z = table[start + d]
                    total += z
                    squares += z * z
        c = max(counts[i], 1)
        mean = total / c
        variance = squares / c - mean * mean
        if counts[i] < minimum or variance < 1e-9:
            for j in range(n):
                out[i, j] = np.nan
            continue
        scale = 1.0 / np.sqrt(variance)
        for j in range(n):
            d = ranks[i, j]
            out[i, j] = (table[start + d] - mean) * scale if d >= 0 else np.nan


def scores_of_ranks(ranks: Ints, counts: Ints, minimum: int) -> Floats:
    """Standardised normal scores of doubled ranks, row by row."""
    table, starts = tables_for(counts, ranks.shape[1])
    out = np.empty(ranks.shape)
    score_rows(ranks, counts, table, starts, minimum, out)
    return out


def normal_scores(values: Floats, minimum: int = 2) -> Floats:
    """Normal scores of one series over its known values, mean 0 and variance 1; all NaN when it never varies.

    Example:
        >>> normal_scores(np.array([10.0, 30.0, 20.0])).round(3).tolist()
        [-1.225, 1.225, 0.0]
    """
    row = owned(values).reshape(1, -1)
    ranks, counts = own_ranks(row, sort_rows(row))
    scores: Floats = scores_of_ranks(ranks, counts, minimum)[0]
    return scores
