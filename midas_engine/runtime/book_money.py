"""What the book, or a feature by itself, earned on paper up to the newest bar: asked at every bar, so it is cheap."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.market.instants import as_utc
from midas_engine.runtime.timeline import book_returns
from midas_engine.sentence import Money

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas_engine.monitor.figures.engine import MonitorEngine

    Floats = NDArray[np.float64]


class BookMoney:
    """The running answer: of the history only the bars that came since the last question are read."""

    def __init__(self) -> None:
        self._of: weakref.ref[NDArray[np.float32]] | None = None
        self._earned: Floats = np.empty(0)
        self._next = 0
        self._newest: Any = None

    def at(self, engine: MonitorEngine) -> Money | None:
        """What the book earned over the bars that are kept; None below five days.

        It is the last value of the book's `timeline`, with the error of the sum of its days.
        """
        ring = engine.history_ring
        x, position, order = ring.x, ring.position, ring.order()
        seen = self._of() if self._of is not None else None
        new = (position - self._next) % ring.bars
        known = seen is x and self._newest == (ring.at[self._next - 1] if ring.filled else None)
        if not known:  # other features, another moment of a replay, or more bars than are kept
            self._of, self._earned, new = weakref.ref(x), np.full(ring.bars, np.nan), ring.filled
        rows = (position - new + np.arange(new)) % ring.bars
        self._earned[rows] = book_returns(ring.figure("net_bps", rows), ring.figure("share", rows))
        self._next, self._newest = position, ring.at[position - 1] if ring.filled else None
        return _money(ring.at[order], self._earned[order])


def feature_money(engine: MonitorEngine, name: str) -> Money | None:
    """What a watched feature earned by itself over the bars that are kept; None below five days."""
    ring = engine.history_ring
    order = ring.order()
    return _money(ring.at[order], ring.figure("net_bps", order, engine.row(name)))


def _money(at: NDArray[np.datetime64], earned: Floats) -> Money | None:
    known = np.isfinite(earned)
    if not known.any():
        return None
    last, at, earned = at[-1], at[known], earned[known]
    days = at.astype("datetime64[D]")
    sums = np.add.reduceat(earned, np.flatnonzero(np.r_[True, days[1:] != days[:-1]]))
    return Money.of(sums.tolist(), as_utc(at[0]), as_utc(last))
