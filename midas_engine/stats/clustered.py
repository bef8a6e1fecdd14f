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
def _symbol_parts(z_f: Floats, z_r: Floats, mean: float, lag: int, sums: Floats) -> float:
    """Each symbol's sum of (q - mean) / n_t into `sums`; returns the Bartlett long-run sums of all symbols together."""
    bars, symbols = z_f.shape
    width = lag + 1
    x = np.zeros((width, symbols))
    window = np.zeros(symbols)
    squares = 0.0
    sums[:] = 0.0
    for t in range(bars + lag):
        row = x[t % width]
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
    return squares / width


def symbol_variances(z_f: Floats, z_r: Floats, mean: float, lag: int) -> tuple[float, float, int]:
    """V_symbol, V_both (variances of a *sum* of bar scores) and the symbols that were scored. Shapes: [T, S].

    Args:
        z_f: Standardised normal scores of the feature, rows are bars; NaN where missing.
        z_r: The same of the scaled return.
        mean: Of the bar scores.
        lag: Bartlett lag.
    """
    sums = np.empty(z_f.shape[1])
    both = float(_symbol_parts(z_f, z_r, mean, lag, sums))
    known = int(np.count_nonzero((~np.isnan(z_f) & ~np.isnan(z_r)).any(axis=0)))
    if known < 2:
        return 0.0, both, known
    return float(sums @ sums) * known / (known - 1.0), both, known


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
