"""Half-life of a feature: a x 2^(-k/H) fitted to its score against the single bar k later.

Errors of neighbouring lags are correlated as strongly as the feature with itself, so the fit is generalised
least squares with the feature's own autocorrelation as the error's shape; ordinary least squares would give
slow features intervals several times too narrow. The interval is the profile likelihood's 90 %.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.stats._jit import Floats, fast_kernel
from midas_engine.stats.cholesky import factorise, forward

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAGS = 48
GRID = np.exp2(np.linspace(-2.0, 12.0, 85))
"""Half-lives tried, in lags: a quarter to 4,096, six to the octave."""

CUT_90 = 2.705543454095404
_RIDGE = 0.02  # keeps the error matrix of a nearly constant feature invertible


@fast_kernel
def _lagged_sums(a: Floats, b: Floats, step: int, lags: int, out: Floats) -> None:
    """Sum over cells of a[i, j] b[i, j + k step]; blocks keep both operands in the cache for all lags.

    `b` may go on behind the end of `a`.
    """
    rows, n = a.shape
    block = 4096
    for i in range(rows):
        for start in range(0, n, block):
            for k in range(lags):
                shift = k * step
                stop = min(start + block, n, b.shape[1] - shift)
                if stop <= start:
                    break
                x = a[i, start:stop]
                y = b[i, start + shift : stop + shift]
                total = 0.0
                for j in range(x.size):
                    total += x[j] * y[j]
                out[k] += total


def _run(known: NDArray[np.bool_]) -> tuple[int, int] | None:
    """First and last-plus-one known cell of a single row without holes; None when it has holes."""
    count = int(np.count_nonzero(known))
    if known.shape[0] != 1 or count == 0:
        return None
    first = int(known[0].argmax())
    stop = known.shape[1] - int(known[0, ::-1].argmax())
    return (first, stop) if stop - first == count else None


def _overlaps(a: NDArray[np.bool_], b: NDArray[np.bool_], step: int, lags: int) -> Floats:
    """How many cells a and b share at each lag."""
    run_a, run_b = _run(a), _run(b)
    if run_a and run_b:
        shifts = np.arange(lags) * step
        shared = np.minimum(run_a[1], run_b[1] - shifts) - np.maximum(run_a[0], run_b[0] - shifts)
        found: Floats = np.maximum(shared, 0).astype(np.float64)
        return found
    counts = np.zeros(lags)
    _lagged_sums(a.astype(np.float64), b.astype(np.float64), step, lags, counts)
    return counts


def lagged_means(a: Floats, b: Floats, cross: bool, lags: int = LAGS, stride: int = 1) -> tuple[Floats, Floats]:
    """Mean product of a at t and b at t + k x stride over known cells, and how many cells there are.

    Args:
        a: Standardised rows, [T, S] for a cross-section, [S, T] for series.
        b: Likewise.
        cross: Rows are bars.
        lags: How many lags, from 0.
        stride: Bars between lags.

    Returns:
        (means [lags], cells [lags]) with NaN where nothing overlaps.
    """
    symbols = a.shape[1] if cross else a.shape[0]
    step = stride * symbols if cross else stride
    shape = (1, a.size) if cross else a.shape
    a, b = a.reshape(shape), b.reshape(shape)
    known_a, known_b = a == a, b == b
    sums = np.zeros(lags)
    _lagged_sums(np.where(known_a, a, 0.0), np.where(known_b, b, 0.0), step, lags, sums)
    counts = _overlaps(known_a, known_b, step, lags)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts > 0, sums / counts, np.nan), counts


class LaggedMeans:
    """`lagged_means` of a cross-section that comes in pieces of a multiple of 4,096 bars.

    Args:
        symbols: Columns.
        lags: How many lags, from 0.
        stride: Bars between lags.
    """

    def __init__(self, symbols: int, lags: int, stride: int) -> None:
        self._step, self.overlap = stride * symbols, (lags - 1) * stride
        self._sums, self._counts = np.zeros(lags), np.zeros(lags)

    def add(self, a: Floats, b: Floats) -> None:
        """Bars [B, S] of a, and those of b with the `overlap` bars that follow them as far as there are any."""
        a, b = a.reshape(1, -1), b.reshape(1, -1)
        known_a, known_b = a == a, b == b
        lags = len(self._sums)
        _lagged_sums(np.where(known_a, a, 0.0), np.where(known_b, b, 0.0), self._step, lags, self._sums)
        _lagged_sums(known_a.astype(np.float64), known_b.astype(np.float64), self._step, lags, self._counts)

    def found(self) -> tuple[Floats, Floats]:
        """Means and cells, as `lagged_means` gives them."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self._counts > 0, self._sums / self._counts, np.nan), self._counts


@lru_cache(maxsize=4)
def _distances(lags: int) -> NDArray[np.int64]:
    index = np.arange(lags)
    distances: NDArray[np.int64] = np.abs(index[:, None] - index[None, :])
    return distances


@lru_cache(maxsize=4)
def _curves(lags: int) -> Floats:
    return np.exp2(-np.arange(lags)[:, None] / GRID[None, :])


def fit_half_life(
    means: Floats, counts: Floats, variance: float, autocorrelation: Floats
) -> tuple[float, float, float, float]:
    """Half-life in lags with its 90 % interval, and the fitted height a.

    Args:
        means: Score against lag k.
        counts: Bars behind each.
        variance: Variance of one bar's score (1 / breadth).
        autocorrelation: Of the feature at the same lags: the shape of the errors.

    Returns:
        (half life, low, high, a). The ends are infinite or zero where the likelihood does not bound them; all
        NaN when nothing can be fitted. A height that is not positive fits nothing.
    """
    lags = means.size
    ok = np.isfinite(means) & np.isfinite(autocorrelation) & (counts > 1)
    if lags < 3 or not ok.all() or not variance > 0.0:
        return (math.nan,) * 4
    shape = autocorrelation / autocorrelation[0] if autocorrelation[0] > 0 else autocorrelation
    size = np.sqrt(variance / counts)
    errors = shape[_distances(lags)] * (size[:, None] * size)
    errors[np.diag_indices(lags)] *= 1.0 + _RIDGE
    white = np.column_stack([_curves(lags), means])
    if factorise(errors):
        forward(errors, white)
    else:  # an estimated error shape that no process has: fall back to independent errors
        white /= size[:, None]
    power = (white[:, :-1] ** 2).sum(axis=0)
    match = (white[:, :-1] * white[:, -1:]).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        height = match / power
        gain = np.where(height > 0.0, match * match / power, 0.0)
    best = int(np.argmax(gain))
    if not gain[best] > 0.0:
        return (math.nan,) * 4
    inside = np.flatnonzero(gain >= gain[best] - CUT_90)
    low = 0.0 if inside[0] == 0 else float(GRID[inside[0]])
    high = math.inf if inside[-1] == GRID.size - 1 else float(GRID[inside[-1]])
    if gain[best] < CUT_90:  # no decay curve is told from no signal at all
        low, high = 0.0, math.inf
    return float(GRID[best]), low, high, float(height[best])


def half_life_known(low: float, high: float) -> bool:
    """Whether the interval spans a factor of 8 or less."""
    return low > 0.0 and math.isfinite(high) and high <= 8.0 * low
