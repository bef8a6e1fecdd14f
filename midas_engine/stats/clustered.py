"""Error of a panel's mean score, clustered by time and by symbol.

A slow feature ranks the same symbols high for months, and symbols differ for good: some drift up over the whole
sample. The score of such a feature is one draw of "who drifts" repeated every hour, and an error that only knows
the time axis takes the repetitions for evidence. Two-way clustering adds what the scores of one symbol share:

    V = V_time + V_symbol - V_both

* `V_time`: Newey-West of u_t (see `midas_engine.stats.hac`), bars that share what happened at t and shortly after;
* `V_symbol = S / (S - 1) sum_s g_s^2`, with g_s the symbol's sum of (q_ts - mean) / (n_t T), q_ts = z_f z_r;
* `V_both`: the Newey-West of each symbol's own series, summed, which both of the above counted.

Cameron, Gelbach and Miller (2011); with lags in time Thompson (2011), equation 7, and Chiang, Hansen and Sasaki
(2024). `V_symbol - V_both` is an estimate from S sums of what the symbols share with themselves for good; where it
comes out negative nothing is subtracted, so that the error is never below that of the time axis.

Degrees of freedom after Satterthwaite (1946): of the two summands the standing one has S - 1 (Cameron and Miller
2015, section VI.D), that of the time axis its own. So t has S - 1 degrees where symbols decide (a constant), and
those of the time axis where they do not, and a fast feature pays nothing for a question it does not raise.
`benchmarks/statistics/sim_panel_sizes.py` measures the sizes, beside those of S - 1 throughout.
"""

from __future__ import annotations

import numpy as np

from midas_engine.stats._jit import Floats, fast_kernel


@fast_kernel
def _symbol_parts(
    z_f: Floats, z_r: Floats, mean: float, after: int, first: int, x: Floats, window: Floats, sums: Floats
) -> None:
    """Add each symbol's (q - mean) / n_t to `sums` [S + 1], and last the squares of all moving sums together.

    `x` [lag + 1, S] and `window` [S] hold the last bars: `first` bars were added before, and `after` empty ones follow.
    """
    bars, symbols = z_f.shape
    width = x.shape[0]
    squares = sums[symbols]
    for t in range(bars + after):
        row = x[(first + t) % width]
        for s in range(symbols):
            window[s] -= row[s]
            row[s] = 0.0
        if t < bars:
            n = 0
            for s in range(symbols):
                q = z_f[t, s] * z_r[t, s]
                if q == q:
                    n += 1
            if n > 0:
                weight = 1.0 / n
                for s in range(symbols):
                    q = z_f[t, s] * z_r[t, s]
                    d = (q - mean) * weight if q == q else 0.0
                    row[s] = d
                    window[s] += d
                    sums[s] += d
        total = 0.0
        for s in range(symbols):
            total += window[s] * window[s]
        squares += total
    sums[symbols] = squares


class SymbolVariances:
    """`symbol_variances` of a history that may come in pieces."""

    def __init__(self, symbols: int, mean: float, lag: int) -> None:
        self._mean, self._lag, self._bars = mean, lag, 0
        self._x, self._window, self._sums = np.zeros((lag + 1, symbols)), np.zeros(symbols), np.zeros(symbols + 1)
        self._scored = np.zeros(symbols, np.bool_)

    def _take(self, z_f: Floats, z_r: Floats, after: int) -> None:
        _symbol_parts(z_f, z_r, self._mean, after, self._bars, self._x, self._window, self._sums)
        self._bars += len(z_f)

    def add(self, z_f: Floats, z_r: Floats) -> None:
        """The next bars [B, S]."""
        self._take(z_f, z_r, 0)
        self._scored |= (~np.isnan(z_f) & ~np.isnan(z_r)).any(axis=0)

    def found(self) -> tuple[float, float, int]:
        """V_symbol, V_both and the symbols that were scored; nothing can be added after it."""
        none = np.empty((0, len(self._scored)))
        self._take(none, none, self._lag)
        sums, both = self._sums[:-1], float(self._sums[-1]) / (self._lag + 1)
        known = int(np.count_nonzero(self._scored))
        if known < 2:
            return 0.0, both, known
        return float(sums @ sums) * known / (known - 1.0), both, known


def symbol_variances(z_f: Floats, z_r: Floats, mean: float, lag: int) -> tuple[float, float, int]:
    """V_symbol, V_both (variances of a *sum* of bar scores) and the symbols that were scored. Shapes: [T, S].

    Args:
        z_f: Standardised normal scores of the feature, rows are bars; NaN where missing.
        z_r: The same of the scaled return.
        mean: Of the bar scores.
        lag: Bartlett lag.
    """
    parts = SymbolVariances(z_f.shape[1], mean, lag)
    parts.add(z_f, z_r)
    return parts.found()


def clustered_variance(
    time: float, time_dof: float, parts: tuple[float, float, int], correction: float = 1.0
) -> tuple[float, float]:
    """Two-way variance of the sum of bar scores, and the degrees of freedom of its t.

    Args:
        time: Variance of the sum over the time axis.
        time_dof: Its degrees of freedom.
        parts: From `symbol_variances`.
        correction: What `time` was multiplied with for the overlap of horizons; the part both ways count is too.

    Example:
        >>> clustered_variance(1.0, 100.0, (1.0, 1.0, 24))
        (1.0, 100.0)
        >>> variance, dof = clustered_variance(1.0, 100.0, (100.0, 1.0, 24))
        >>> variance, round(dof, 1)
        (100.0, 23.5)
    """
    symbol, both, symbols = parts
    standing = max(symbol - both * correction, 0.0)
    if standing == 0.0 or symbols < 2:
        return time, time_dof
    total = time + standing
    return total, total * total / (time * time / time_dof + standing * standing / (symbols - 1.0))
