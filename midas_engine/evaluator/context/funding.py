"""Funding actually paid, from a rate column that carries the last settled rate forward.

The panel's `funding_rate` is a level: every bar shows the rate of the latest settlement. What a holder pays
happens only at settlements, every 8, 4, 2 or 1 hours by symbol and date. The interval is read off the data:
a level only moves when a settlement brings a new rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas_engine.stats._jit import Floats

INTERVALS_HOURS = (8, 4, 2, 1)
_STRETCH_HOURS = 24 * 30  # intervals change over time for some symbols; a month at a time follows them
_SHARE = 0.9


def funding_paid(rate: Floats, timestamps: NDArray[np.datetime64], bar_seconds: float) -> Floats:
    """Funding a long pays over the bar that follows each bar, as a fraction of notional. Shapes: [T, S] -> [T, S].

    Args:
        rate: Last settled rate at each bar, NaN before the first.
        timestamps: Bar open times.
        bar_seconds: Length of a bar.

    Returns:
        Zero where no settlement falls inside the following bar or the rate is unknown. A position entered at
        the close of bar t pays a settlement at or before the close of bar t + 1.
    """
    bars, symbols = rate.shape
    out = np.zeros((bars, symbols))
    if bars < 2:
        return out
    seconds = timestamps.astype("datetime64[s]").astype(np.int64)
    closes = seconds + round(bar_seconds)
    at_open = _shown_at_open(rate, seconds, closes)
    stretch = max(2, int(_STRETCH_HOURS * 3600 / bar_seconds))
    for start in range(0, bars, stretch):
        stop = min(start + stretch, bars)
        for s in range(symbols):
            piece = rate[max(start - 1, 0) : stop, s]
            known = ~np.isnan(piece)
            if not known.any():
                continue
            moved = np.flatnonzero((np.diff(piece) != 0) & known[1:] & known[:-1]) + max(start - 1, 0) + 1
            interval = _interval((seconds if at_open else closes)[moved])
            _pay(out, rate, closes, s, start, stop, interval, at_open)
    return out


def _pay(
    out: Floats, rate: Floats, closes: NDArray[np.int64], s: int, start: int, stop: int, interval: int, at_open: bool
) -> None:
    """Charge each settlement in (close of t, close of t + 1], at the rate first shown with it."""
    last = min(stop, closes.size - 1)
    if last <= start:
        return
    settlements = closes[start + 1 : last + 1] // interval - closes[start:last] // interval
    shown = np.minimum(np.arange(start, last) + (2 if at_open else 1), closes.size - 1)
    out[start:last, s] = np.nan_to_num(rate[shown, s]) * settlements


def _shown_at_open(rate: Floats, opens: NDArray[np.int64], closes: NDArray[np.int64]) -> bool:
    """Whether a new rate first shows on the bar that opens at its settlement, rather than the one that closes there."""
    moved = (np.diff(rate, axis=0) != 0) & ~np.isnan(rate[1:]) & ~np.isnan(rate[:-1])
    bars = np.flatnonzero(moved.any(axis=1)) + 1
    if not bars.size:
        return False
    return bool((opens[bars] % 14_400 == 0).mean() > (closes[bars] % 14_400 == 0).mean())


def _interval(moments: NDArray[np.int64]) -> int:
    """Longest usual interval, in seconds, that nine in ten of the rate's moves agree with; 8 hours without moves."""
    for hours in INTERVALS_HOURS:
        seconds = hours * 3600
        if not moments.size or (moments % seconds == 0).mean() >= _SHARE:
            return seconds
    return 3600
