"""What a feed is made of: a source that is asked, and the closed bars that come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    Row = NDArray[np.float64]

# Regimes rank a day's volatility within the quarter before it; the monitor's longest window is 30 days,
# and so is a feature's (`dsl.lookback`): 8,640 bars of 5 minutes.
HISTORY_HOURS = 24 * 92
MOST_HISTORY_BARS = 9000
# Of long bars a quarter of a year is few: an expression may look back so many (`dsl.total_lookback`).
LEAST_HISTORY_BARS = 2001


@dataclass(frozen=True, slots=True)
class Candle:
    """One symbol's bar as a source gives it: open time (ms since the epoch) and its figures by column."""

    opened_ms: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Settlement:
    """One funding settlement: instant (ms since the epoch) and rate (fraction; positive: longs pay)."""

    at_ms: int
    rate: float


@dataclass(frozen=True, slots=True)
class ClosedBar:
    """One bar that is over.

    Attributes:
        at: Open time, UTC.
        values: Column -> one value a symbol, in the order of the feed's symbols; NaN where it did not trade.
    """

    at: datetime
    values: Mapping[str, Row]


class BarSource(Protocol):
    """Something that can be asked for bars: an exchange, a file."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    @property
    def bar_seconds(self) -> int:
        """Length of a bar."""
        ...

    async def symbols(self) -> Sequence[str]:
        """The symbols it gives, in the order of all arrays.

        Raises:
            FeedError: It cannot be reached, or a wanted symbol is not there.
        """
        ...

    async def candles(self, symbol: str, since_ms: int) -> Sequence[Candle]:
        """Bars that opened at or after `since_ms`, oldest first, as many as one request gives.

        The last one may not be over yet. FeedError when the request failed.
        """
        ...

    async def settlements(self, symbol: str, since_ms: int) -> Sequence[Settlement]:
        """Funding settled at or after `since_ms`, oldest first; empty where there is none."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
