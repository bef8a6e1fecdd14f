"""Late labels: the values of a bar wait for the return that follows them, and pairs are released in order."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(slots=True)
class Pair:
    """The values of one bar and, once known, the return of the next.

    Attributes:
        index: Bar number on the grid (epoch seconds over bar size).
        values: [F, S].
        returns: [S], or None while it is not known; all NaN when it is known to be absent.
        fills: Realised and expected slippage, bps, [F] each.
        regime: Label of the bar.
    """

    index: int
    values: Floats
    returns: Floats | None
    fills: tuple[Floats, Floats]
    regime: str


class PendingPairs:
    """Holds pairs until the bar after them has come and their return is known, or has waited too long.

    Args:
        wait_bars: How many bars a missing return is waited for before its pair goes out without one.
    """

    def __init__(self, wait_bars: int) -> None:
        self.wait_bars = wait_bars
        self.pairs: OrderedDict[int, Pair] = OrderedDict()

    def add(self, pair: Pair) -> None:
        """Queue a pair; its index must be above all that wait."""
        self.pairs[pair.index] = pair

    def label(self, index: int, returns: Floats) -> bool:
        """Give the pair of bar `index` its return; False when it no longer waits."""
        pair = self.pairs.get(index)
        if pair is None:
            return False
        pair.returns = returns
        return True

    def release(self, now: int) -> Iterator[Pair]:
        """Pairs of bars before `now`, oldest first, up to the first that still waits for its return."""
        while self.pairs:
            index, pair = next(iter(self.pairs.items()))
            if index >= now:
                return
            if pair.returns is None:
                if now - index <= self.wait_bars:
                    return
                pair.returns = np.full(pair.values.shape[1], np.nan)
            del self.pairs[index]
            yield pair
