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
def _mean_product(a: Floats, b: Floats, by_row: bool, out: Floats, sums: Floats) -> None:
    """Mean of a x b over the known cells of each row, or of each column; adds sum, squares and count of all cells."""
    rows, n = a.shape
    known = np.zeros(out.size, np.int32)
    out[:] = 0.0
    total = sums[0]
    squares = sums[1]
    cells = sums[2]
    for i in range(rows):
        for j in range(n):
            p = a[i, j] * b[i, j]
            if p == p:
                at = i if by_row else j
                out[at] += p
                known[at] += 1
                total += p
                squares += p * p
                cells += 1.0
    for t in range(out.size):
        out[t] = out[t] / known[t] if known[t] > 0 else np.nan
    sums[0] = total
    sums[1] = squares
    sums[2] = cells


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


def combine(z_f: Floats, z_r: Floats, cross: bool, sums: Floats | None = None) -> BarScores:
    """Scores of every bar from two sets of standardised rows.

    `sums` [3] goes on from the bars before, where a history comes in pieces: cells and variance are of all so far.
    """
    out = np.empty(z_f.shape[0] if cross else z_f.shape[1])
    so_far = np.zeros(3) if sums is None else sums
    _mean_product(z_f, z_r, cross, out, so_far)
    total, squares, cells = so_far.tolist()
    variance = squares / cells - (total / cells) ** 2 if cells else float("nan")
    return BarScores(out, z_f, z_r, int(cells), variance)


@fast_kernel
def _column_sums(x: Floats, z: Floats, sums: Floats, known: Floats) -> None:
    rows, n = z.shape
    for i in range(rows):
        for j in range(n):
            inside = 1.0 if z[i, j] == z[i, j] else 0.0
            known[j] += inside
            sums[j] += x[i, j] if inside == 1.0 else 0.0


@fast_kernel
def _split_columns(x: Floats, z: Floats, means: Floats, constant: Floats, rest: Floats, total: float) -> float:
    rows, n = z.shape
    for i in range(rows):
        row = 0.0
        for j in range(n):
            inside = z[i, j] == z[i, j]
            constant[i, j] = means[j] if inside else np.nan
            rest[i, j] = x[i, j] - means[j] if inside else np.nan
            row += x[i, j] * x[i, j] if inside else 0.0
        total += row
    return total


class ColumnSplit:
    """Each column's mean over the cells where z is known, and what is left, of a history that may come in pieces.

    First `add` every piece, then `split` every piece again, in order.

    Attributes:
        total: Squares of x over the cells that were split.
    """

    def __init__(self, columns: int) -> None:
        self._sums, self._known = np.zeros(columns), np.zeros(columns)
        self.total = 0.0

    def add(self, x: Floats, z: Floats) -> None:
        """Rows to take the means of."""
        _column_sums(x, z, self._sums, self._known)

    @property
    def means(self) -> Floats:
        """Of each column; NaN without a known cell."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = np.where(self._known > 0.0, self._sums / self._known, np.nan)
        return found

    @property
    def between(self) -> float:
        """Squares of the means over all known cells."""
        means = self.means
        some = self._known > 0.0
        return float((self._known[some] * means[some] * means[some]).sum())

    def split(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """The means where z is known, and x less them."""
        constant, rest = np.empty(z.shape), np.empty(z.shape)
        self.total = float(_split_columns(x, z, self.means, constant, rest, self.total))
        return constant, rest


def split_columns(x: Floats, z: Floats) -> tuple[Floats, Floats, float, float]:
    """Each column's mean over the cells where z is known, and what is left; squares of the means and of x there.

    Shapes: [T, S] each. Example:
        >>> x = np.array([[1.0, 5.0], [3.0, np.nan]])
        >>> constant, rest, between, total = split_columns(x, x)
        >>> constant.tolist(), rest.tolist(), between, total
        ([[2.0, 5.0], [2.0, nan]], [[-1.0, 0.0], [1.0, nan]], 33.0, 35.0)
    """
    columns = ColumnSplit(z.shape[1])
    columns.add(x, z)
    constant, rest = columns.split(x, z)
    return constant, rest, columns.between, columns.total


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
