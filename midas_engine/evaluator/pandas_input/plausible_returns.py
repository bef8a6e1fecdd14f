"""Forward returns that are not what they claim: percent, prices, or overlaps nobody declared. Refused by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import EvaluationError

if TYPE_CHECKING:
    from midas_engine.stats._jit import Floats

HOURLY_MOVE = 0.08
"""Median move in an hour above which it is no fraction: wild coins move 0.01, a calm one in percent 0.15."""
LEAST_BARS = 100
OVERLAP = 1.6
"""Bars of overlap over those declared above which a column is refused; bounce and momentum stay below 1.3 at
one bar; at many a trend reaches 1.7, and twice as much is allowed."""


def refuse_implausible(returns: Floats, bars: int, bar_seconds: float, name: str) -> None:
    """Refuse forward returns that are not fractions over `bars` bars.

    Returns over h bars that start one bar apart share h - 1 of them, so their autocorrelation at one bar is about
    1 - 1 / h (Hansen and Hodrick 1980): what is measured says how many bars a column really spans.

    Args:
        returns: [T, S].
        bars: The horizon that was declared.
        bar_seconds: Length of a bar.
        name: Of the column.

    Raises:
        EvaluationError: Percent or prices, or an overlap of more bars than declared.
    """
    known = np.abs(returns[np.isfinite(returns)])
    if known.size < LEAST_BARS:
        return
    typical = float(np.median(known))
    hours = bars * bar_seconds / 3600.0
    if typical > HOURLY_MOVE * math.sqrt(hours):
        raise EvaluationError(
            f"column {name!r} of the forward returns moves {typical:.3g} in the median over {hours:g} h: "
            "percent or prices, not fractions",
            hint="give close.shift(-h) / close - 1; divide percent by 100",
        )
    spans = [span for span in (_span(column) for column in returns.T) if math.isfinite(span)]
    if spans and float(np.median(spans)) > (OVERLAP if bars == 1 else 2.0 * OVERLAP) * bars:
        found = round(float(np.median(spans)))
        raise EvaluationError(
            f"column {name!r} of the forward returns is declared as {bars} bar{'s' if bars > 1 else ''} ahead and "
            f"overlaps like a return over about {found} bars",
            hint=f"name its horizon (for example ret_{found}bars), or give returns over {bars}",
        )


def _span(column: Floats) -> float:
    """Bars that a column of overlapping returns spans: 1 / (1 - autocorrelation at one bar); NaN when unknown."""
    a, b = column[:-1], column[1:]
    both = np.isfinite(a) & np.isfinite(b)
    if int(both.sum()) < LEAST_BARS:
        return math.nan
    low, high = np.quantile(column[np.isfinite(column)], [0.01, 0.99])  # one wick must not hide an overlap
    a, b = np.clip(a[both], low, high), np.clip(b[both], low, high)
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    rho = float(a @ b) / size if size > 0.0 else math.nan
    return 1.0 / (1.0 - rho) if rho < 0.9999 else 1e4
