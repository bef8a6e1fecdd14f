"""Funding actually paid, from a rate column that carries the last settled rate forward.

The panel's `funding_rate` is a level: every bar shows the rate of the latest settlement. What a holder pays
happens only at settlements, every 8, 4, 2 or 1 hours by symbol and date. The interval is read off the data:
a level only moves when a settlement brings a new rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

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
    bars = len(rate)
    payments = FundingPayments(lambda start, stop: rate[start:stop], timestamps, bar_seconds)
    return payments.rows(0, bars)


class FundingPayments:
    """`funding_paid`, of some rows at a time.

    Args:
        rate: Gives rows start..stop of the rates.
        timestamps: Open times of all T bars.
        bar_seconds: Length of a bar.
    """

    def __init__(
        self, rate: Callable[[int, int], Floats], timestamps: NDArray[np.datetime64], bar_seconds: float
    ) -> None:
        self._rate = rate
        self._opens = timestamps.astype("datetime64[s]").astype(np.int64)
        self._closes = self._opens + round(bar_seconds)
        self._stretch = max(2, int(_STRETCH_HOURS * 3600 / bar_seconds))
        self._at_open = self._shown_at_open()

    def _shown_at_open(self) -> bool:
        """Whether a rate first shows on the bar that opens at its settlement, rather than the one that closes there."""
        found = []
        for start in range(0, self._opens.size, self._stretch):
            first = max(start - 1, 0)
            rate = self._rate(first, min(start + self._stretch, self._opens.size))
            moved = (np.diff(rate, axis=0) != 0) & ~np.isnan(rate[1:]) & ~np.isnan(rate[:-1])
            found.append(np.flatnonzero(moved.any(axis=1)) + 1 + first)
        bars = np.concatenate(found) if found else np.empty(0, np.int64)
        if not bars.size:
            return False
        return bool((self._opens[bars] % 14_400 == 0).mean() > (self._closes[bars] % 14_400 == 0).mean())

    def rows(self, start: int, stop: int) -> Floats:
        """What is paid over the bar that follows each of the bars start..stop. Shapes: [stop - start, S]."""
        bars = self._opens.size
        pieces = [np.zeros((0, self._rate(0, min(1, bars)).shape[1]))]
        for first in range(start // self._stretch * self._stretch, stop, self._stretch):
            paid = self._paid_in(first, min(first + self._stretch, bars))
            pieces.append(paid[max(start - first, 0) : stop - first])
        return np.vstack(pieces)

    def _paid_in(self, start: int, stop: int) -> Floats:
        """One stretch: each settlement in (close of t, close of t + 1], at the rate first shown with it."""
        bars, before = self._opens.size, max(start - 1, 0)
        rate = self._rate(before, min(stop + 2, bars))
        out = np.zeros((stop - start, rate.shape[1]))
        last = min(stop, bars - 1)
        if last <= start:
            return out
        shown = np.minimum(np.arange(start, last) + (2 if self._at_open else 1), bars - 1) - before
        clock = self._opens if self._at_open else self._closes
        for s in range(rate.shape[1]):
            piece = rate[: stop - before, s]
            known = ~np.isnan(piece)
            if not known.any():
                continue
            moved = np.flatnonzero((np.diff(piece) != 0) & known[1:] & known[:-1]) + before + 1
            interval = _interval(clock[moved])
            settlements = self._closes[start + 1 : last + 1] // interval - self._closes[start:last] // interval
            out[: last - start, s] = np.nan_to_num(rate[shown, s]) * settlements
        return out


def _interval(moments: NDArray[np.int64]) -> int:
    """Longest usual interval, in seconds, that nine in ten of the rate's moves agree with; 8 hours without moves."""
    for hours in INTERVALS_HOURS:
        seconds = hours * 3600
        if not moments.size or (moments % seconds == 0).mean() >= _SHARE:
            return seconds
    return 3600
