"""Scores of ranks: what every tested statistic is made of.

* Of a feature normal scores (van der Waerden): z_i = Phi^-1((rank_i - 0.5) / n).
* Of a return location scores of Student's t(4): q = T4^-1((rank_i - 0.5) / n), z_i = 5 q / (4 + q^2). That is the
  best rank score for a shift of returns with such tails (Hajek and Sidak 1967): the largest returns are luck and not
  drift, and count less than large ones. On hourly returns, real ones too, t grows by 8 to 10 % on one series and by
  5 % across 24 symbols (`benchmarks/statistics/sim_return_scores.py`).

Average ranks for ties, then centred and scaled to unit variance over the cells that are scored, so that a mean of
products of two of them is a correlation.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from midas_engine.stats._jit import Floats, Ints, kernel, owned
from midas_engine.stats.ranks import own_ranks, sort_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    Table = Callable[[int], Floats]

Offsets = NDArray[np.int64]
TAILS = 4.0
"""Degrees of freedom of returns over their lagged scale, as those of the live score (`causal_score`)."""


@lru_cache(maxsize=256)
def score_table(n: int) -> Floats:
    """Normal score of every doubled zero-based rank 0 .. 2n - 2 among n values."""
    half: Floats = ndtri((np.arange(n) + 1.0) / (2.0 * n))
    return np.concatenate([half, -half[-2::-1]])


@lru_cache(maxsize=256)
def location_table(n: int) -> Floats:
    """Location score of every doubled zero-based rank 0 .. 2n - 2 among n returns.

    Example:
        >>> location_table(5)[::2].round(3).tolist()
        [-1.207, -0.658, 0.0, 0.658, 1.207]
    """
    quantile = stdtrit(TAILS, (np.arange(n) + 1.0) / (2.0 * n))
    half: Floats = (TAILS + 1.0) * quantile / (TAILS + quantile * quantile)
    return np.concatenate([half, -half[-2::-1]])


@lru_cache(maxsize=256)
def rank_table(n: int) -> Floats:
    """Every doubled zero-based rank among n values itself.

    Example:
        >>> rank_table(2).tolist()
        [0.0, 1.0, 2.0]
    """
    return np.arange(2.0 * n - 1.0)


@lru_cache(maxsize=8)
def _small_tables(limit: int, table: Table) -> tuple[Floats, Offsets]:
    offsets = np.zeros(limit + 1, np.int64)
    plain = getattr(table, "__wrapped__", table)  # all of them are kept here, together
    parts = []
    at = 0
    for n in range(1, limit + 1):
        offsets[n] = at
        parts.append(plain(n))
        at += 2 * n - 1
    return np.concatenate(parts), offsets


def tables_for(counts: Ints, width: int, of: Table = score_table) -> tuple[Floats, Offsets]:
    """One flat table and the offset of each row's part of it, for rows of `counts` joint cells out of `width`."""
    if counts.size == 1:
        return of(max(int(counts[0]), 1)), np.zeros(1, np.int64)
    if counts.size > 64 and width <= 1500:
        table, offsets = _small_tables(width, of)
        return table, offsets[counts]
    starts = np.zeros(counts.size, np.int64)
    seen: dict[int, int] = {}
    parts: list[Floats] = [np.zeros(1)]
    at = 1
    for i, n in enumerate(counts.tolist()):
        if n and n not in seen:
            seen[n] = at
            parts.append(of(n))
            at += 2 * n - 1
        starts[i] = seen.get(n, 0)
    return np.concatenate(parts), starts


@kernel
def score_rows(ranks: Ints, counts: Ints, table: Floats, starts: Offsets, minimum: int, out: Floats) -> None:
    """Standardised scores of doubled ranks; NaN on rows too short or without variance. [R, N] -> [R, N]."""
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


def scores_of_ranks(ranks: Ints, counts: Ints, minimum: int, of: Table = score_table) -> Floats:
    """Standardised scores of doubled ranks, row by row: normal ones, or those of another table."""
    table, starts = tables_for(counts, ranks.shape[1], of)
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
