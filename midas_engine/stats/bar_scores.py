"""The per-bar score u_t: the one series under significance, IR, folds, regimes, decay and the live detectors.

* Cross-section (at least 10 valid symbols at t): u_t = mean over symbols of z(f_ts) z(r_ts / sigma_ts), z the
  normal score across the symbols valid at t.
* Time series: per symbol z in time over the part scored, then the mean over the symbols valid at t.

In both cases z has unit variance over what is ranked, so mean(u) is a correlation and sd(u) is about 1 / sqrt(breadth).
Arrays here are rows to rank along: [T, S] for a cross-section, [S, T] for time series.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from midas_engine.stats._jit import Floats, Ints, fast_kernel, kernel

CROSS_MINIMUM = 10
"""Valid symbols a bar needs to be scored across symbols."""

SERIES_MINIMUM = 30
"""Valid bars a symbol needs to be scored in time."""


@kernel
def _mean_product(a: Floats, b: Floats, by_row: bool, out: Floats) -> tuple[float, float, int]:
    """Mean of a x b over the known cells of each row, or of each column; sum, squares and count of all cells."""
    rows, n = a.shape
    known = np.zeros(out.size, np.int32)
    out[:] = 0.0
    total = 0.0
    squares = 0.0
    cells = 0
    for i in range(rows):
        for j in range(n):
            p = a[i, j] * b[i, j]
            if p == p:
                at = i if by_row else j
                out[at] += p
                known[at] += 1
                total += p
                squares += p * p
                cells += 1
    for t in range(out.size):
        out[t] = out[t] / known[t] if known[t] > 0 else np.nan
    return total, squares, cells


@dataclass(frozen=True, slots=True)
class BarScores:
    """Scores of every bar and what they were made from.

    Attributes:
        u: The score [T]; NaN where a bar was not scored.
        z_f: Standardised normal scores of the feature, rows [R, N].
        z_r: The same of the scaled return.
        cells: How many (bar, symbol) cells were scored.
        cell_variance: Variance of a single cell's score.
    """

    u: Floats
    z_f: Floats
    z_r: Floats
    cells: int
    cell_variance: float


def combine(z_f: Floats, z_r: Floats, cross: bool) -> BarScores:
    """Scores of every bar from two sets of standardised rows."""
    out = np.empty(z_f.shape[0] if cross else z_f.shape[1])
    total, squares, cells = _mean_product(z_f, z_r, cross, out)
    variance = squares / cells - (total / cells) ** 2 if cells else float("nan")
    return BarScores(out, z_f, z_r, cells, variance)


@fast_kernel
def _split_columns(x: Floats, z: Floats, constant: Floats, rest: Floats) -> tuple[float, float]:
    rows, n = z.shape
    sums = np.zeros(n)
    known = np.zeros(n)
    for i in range(rows):
        for j in range(n):
            inside = 1.0 if z[i, j] == z[i, j] else 0.0
            known[j] += inside
            sums[j] += x[i, j] if inside == 1.0 else 0.0
    for j in range(n):
        sums[j] = sums[j] / known[j] if known[j] > 0.0 else np.nan
    total = 0.0
    for i in range(rows):
        for j in range(n):
            inside = z[i, j] == z[i, j]
            constant[i, j] = sums[j] if inside else np.nan
            rest[i, j] = x[i, j] - sums[j] if inside else np.nan
            total += x[i, j] * x[i, j] if inside else 0.0
    between = 0.0
    for j in range(n):
        between += known[j] * sums[j] * sums[j] if known[j] > 0.0 else 0.0
    return between, total


def split_columns(x: Floats, z: Floats) -> tuple[Floats, Floats, float, float]:
    """Each column's mean over the cells where z is known, and what is left; squares of the means and of x there.

    Shapes: [T, S] each. Example:
        >>> x = np.array([[1.0, 5.0], [3.0, np.nan]])
        >>> constant, rest, between, total = split_columns(x, x)
        >>> constant.tolist(), rest.tolist(), between, total
        ([[2.0, 5.0], [2.0, nan]], [[-1.0, 0.0], [1.0, nan]], 33.0, 35.0)
    """
    constant, rest = np.empty(z.shape), np.empty(z.shape)
    between, total = _split_columns(x, z, constant, rest)
    return constant, rest, float(between), float(total)


@fast_kernel
def _rank_scores(a: Ints, b: Ints, counts: Ints, minimum: int, cross: bool, out: Floats) -> None:
    """Spearman's correlation of each row (cross), or its terms bar by bar, averaged over rows (series)."""
    rows, n = a.shape
    known = np.zeros(out.size, np.int32)
    out[:] = 0.0
    for i in range(rows):
        c = counts[i]
        scale = 0.0
        centre = c - 1.0
        saa = 0.0
        sbb = 0.0
        sab = 0.0
        if c >= minimum:
            for j in range(n):
                inside = 1.0 if a[i, j] >= 0 else 0.0
                x = (a[i, j] - centre) * inside
                y = (b[i, j] - centre) * inside
                saa += x * x
                sbb += y * y
                sab += x * y
            if saa > 0.0 and sbb > 0.0:
                scale = 1.0 / np.sqrt(saa * sbb)
        if cross:
            out[i] = sab * scale if scale > 0.0 else np.nan
            continue
        if scale == 0.0:
            continue
        scale *= c
        for j in range(n):
            if a[i, j] >= 0:
                out[j] += (a[i, j] - centre) * (b[i, j] - centre) * scale
                known[j] += 1
    if not cross:
        for j in range(n):
            out[j] = out[j] / known[j] if known[j] > 0 else np.nan


def rank_scores(a: Ints, b: Ints, counts: Ints, minimum: int, cross: bool) -> Floats:
    """One number a bar whose mean is the plain rank IC. Shapes: rows [R, N] -> [T].

    Doubled ranks centre on their count less one exactly, so the mean is Spearman's coefficient to rounding.
    """
    out = np.empty(a.shape[0] if cross else a.shape[1])
    _rank_scores(a, b, counts, minimum, cross, out)
    return out


@fast_kernel
def _linear_scores(f: Floats, r: Floats, minimum: int, cross: bool, out: Floats) -> None:
    rows, n = f.shape
    known = np.zeros(out.size, np.int32)
    out[:] = 0.0
    for i in range(rows):
        c = 0
        mf = 0.0
        mr = 0.0
        for j in range(n):
            if f[i, j] == f[i, j] and r[i, j] == r[i, j]:
                c += 1
                mf += f[i, j]
                mr += r[i, j]
        scale = 0.0
        sfr = 0.0
        if c >= minimum:
            mf /= c
            mr /= c
            sff = 0.0
            srr = 0.0
            for j in range(n):
                if f[i, j] == f[i, j] and r[i, j] == r[i, j]:
                    x = f[i, j] - mf
                    y = r[i, j] - mr
                    sff += x * x
                    srr += y * y
                    sfr += x * y
            size = np.sqrt(sff) * np.sqrt(srr)
            if size > 0.0 and size < np.inf:
                scale = 1.0 / size
        if cross:
            out[i] = sfr * scale if scale > 0.0 else np.nan
            continue
        if scale == 0.0:
            continue
        for j in range(n):
            if f[i, j] == f[i, j] and r[i, j] == r[i, j]:
                out[j] += (f[i, j] - mf) * (r[i, j] - mr) * scale * c
                known[j] += 1
    if not cross:
        for j in range(n):
            out[j] = out[j] / known[j] if known[j] > 0 else np.nan


def linear_scores(f: Floats, r: Floats, minimum: int, cross: bool) -> Floats:
    """One number a bar whose mean is the plain Pearson IC. Shapes: rows [R, N] -> [T]."""
    out = np.empty(f.shape[0] if cross else f.shape[1])
    _linear_scores(f, r, minimum, cross, out)
    return out
