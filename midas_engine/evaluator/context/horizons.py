"""`Horizons`: what a context makes of its forward returns, horizon by horizon, when it is asked for.

Of a part that is large only what every candidate needs stays: the shortest horizon and the target whole, and the order
of the others' returns, which costs a sort. Those returns themselves are made again from the closes, which takes a few
milliseconds and saves five matrices. Of horizons that single candidates aim at the latest few stay.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import EvaluationError
from midas_engine.evaluator.context.layout import compounded
from midas_engine.stats._jit import Floats, Ints, owned
from midas_engine.stats.bar_scores import CROSS_MINIMUM
from midas_engine.stats.ranks import sort_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from midas_engine.evaluator.context.part_rows import PartRows

LARGE_BYTES = 24 * 2**20
"""Forward returns over all horizons from which they are made when asked for."""
_VISITORS, _VISITORS_OF_LARGE = 16, 2


@dataclass(slots=True)
class Horizon:
    """Forward returns over one horizon.

    Attributes:
        bars: The horizon.
        forward: [T, S].
        rows: The same in the layout that is ranked.
        order: Its order.
    """

    bars: int
    forward: Floats
    rows: Floats
    order: Ints


class PartReturns(Mapping[int, Floats]):
    """Forward returns of a part of a panel by horizon.

    Args:
        part: The part.
        horizons: In bars, ascending.
        own: Those that stay; all of them where they are small.
    """

    def __init__(self, part: PartRows, horizons: Sequence[int], own: Sequence[int]) -> None:
        self._part, self._horizons = part, tuple(horizons)
        small = 8 * part.bars * part.panel.S * len(self._horizons) <= LARGE_BYTES
        self._kept = {h: part.forward(h, 0, part.bars) for h in self._horizons if small or h in own}

    def __getitem__(self, bars: int) -> Floats:
        if bars not in self._horizons:
            raise KeyError(bars)
        found = self._kept.get(bars)
        return self._part.forward(bars, 0, self._part.bars) if found is None else found

    def __contains__(self, bars: object) -> bool:
        return bars in self._horizons

    def __iter__(self) -> Iterator[int]:
        return iter(self._horizons)

    def __len__(self) -> int:
        return len(self._horizons)


class Horizons:
    """Arrays by horizon, made at their first use.

    Args:
        returns: Forward returns by horizon [T, S].
        scale: Lagged scale of returns [T, S].
        funding: Funding a long pays over the bar that follows [T, S]; None when unknown.
        cross: Rows are bars of a cross-section.
        target: The horizon that most candidates aim at.
    """

    def __init__(
        self, returns: Mapping[int, Floats], scale: Floats, funding: Floats | None, cross: bool, target: int
    ) -> None:
        self._returns, self._scale, self._funding, self._cross = returns, scale, funding, cross
        self._own = {next(iter(returns)), target}
        self._small = scale.nbytes * len(returns) <= LARGE_BYTES
        self._extra: dict[int, Floats] = {}
        self._orders: dict[int, Ints] = {}
        self._horizons: dict[int, Horizon] = {}
        self._scaled: dict[int, tuple[Floats, Ints, int]] = {}
        self._paid: dict[int, Floats] = {}
        self._visitors: list[int] = []
        self._lock = threading.RLock()

    def lay(self, values: Floats) -> Floats:
        """[T, S] in the layout that is ranked."""
        return values if self._cross else owned(values.T)

    def forward(self, bars: int) -> Floats:
        """Forward returns over `bars` [T, S]; an event's hold may be none of those that were given."""
        if bars in self._returns:
            return self._returns[bars]
        with self._lock:
            if bars not in self._extra:
                if bars < 1 or 1 not in self._returns:
                    raise EvaluationError(
                        f"no forward return over {bars} bars", hint="horizons: " + ", ".join(map(str, self._returns))
                    )
                self._visit(bars)
                self._extra[bars] = compounded(self._returns[1], bars)
            return self._extra[bars]

    def horizon(self, bars: int) -> Horizon:
        """Forward returns over `bars` with their order."""
        found = self._horizons.get(bars)
        if found is not None:
            return found
        values = self.forward(bars)
        rows, order = self.lay(values), self._orders.get(bars)
        found = Horizon(bars, values, rows, sort_rows(rows) if order is None else order)
        if self._small or bars in self._own:
            self._horizons[bars] = found
        else:
            self._orders[bars] = found.order
        return found

    def scaled(self, bars: int) -> tuple[Floats, Ints, int]:
        """Forward returns over their lagged scale: rows, order, and how many cells could be scored."""
        found = self._scaled.get(bars)
        if found is None:
            with np.errstate(invalid="ignore", divide="ignore"):
                rows = self.lay(self.forward(bars) / self._scale)
            ok = ~np.isnan(rows)
            if self._cross:
                rows = np.where(ok.sum(axis=1, keepdims=True) >= CROSS_MINIMUM, rows, np.nan)
                ok = ~np.isnan(rows)
            self._visit(bars)
            found = self._scaled[bars] = (rows, sort_rows(rows), int(ok.sum()))
        return found

    def paid(self, bars: int) -> Floats:
        """Funding a long pays over the `bars` that follow each bar, fraction of notional [T, S]; 0 where unknown."""
        found = self._paid.get(bars)
        if found is None:
            count, symbols = self._scale.shape
            found = np.zeros((count, symbols))
            if self._funding is not None:
                running = np.vstack([np.zeros((1, symbols)), np.cumsum(self._funding, axis=0)])
                ends = np.minimum(np.arange(count) + bars, count)
                found = running[ends] - running[:count]
            self._visit(bars)
            self._paid[bars] = found
        return found

    def _visit(self, bars: int) -> None:
        """Make room for what one candidate aims at: the oldest such horizon goes."""
        if bars in self._own or (self._small and bars in self._returns):
            return
        with self._lock:
            if bars not in self._visitors:
                self._visitors.append(bars)
            while len(self._visitors) > (_VISITORS if self._small else _VISITORS_OF_LARGE):
                gone = self._visitors.pop(0)
                for made in (self._extra, self._horizons, self._scaled, self._paid):
                    made.pop(gone, None)
                if gone not in self._returns:
                    self._orders.pop(gone, None)
