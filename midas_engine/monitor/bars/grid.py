"""The bars as they come: on the grid, once, in order, with gaps made explicit; out go pairs to score."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.monitor.bars.late_labels import Pair, PendingPairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Arrival:
    """What a bar led to.

    Attributes:
        new: The bar moved time forward.
        pairs: Pairs whose return is known now, oldest first; a bar missing in the feed is a pair of NaN.
        refused: Why the bar was not taken; empty when it was.
        revised: The bar replaced an earlier one that was not scored yet.
        missing: How many bars were missing before it.
    """

    new: bool = False
    pairs: list[Pair] = field(default_factory=list)
    refused: str = ""
    revised: bool = False
    missing: int = 0


class BarStream:
    """Applies bars idempotently: a repeat changes nothing, a revision of values or label counts while unscored.

    Args:
        features: How many features a bar has.
        symbols: How many symbols.
        bar_seconds: Size of a bar.
        wait_bars: How long a return is waited for.
        longest_gap: Missing bars written out at most; a longer gap has emptied every window anyway.
    """

    def __init__(
        self, features: int, symbols: int, bar_seconds: int, *, wait_bars: int = 6, longest_gap: int = 720
    ) -> None:
        self.features, self.symbols, self.bar_seconds = features, symbols, bar_seconds
        self.longest_gap = longest_gap
        self.pending = PendingPairs(wait_bars)
        self.last: int | None = None

    def index(self, at: datetime) -> int:
        """Number of the bar that `at` falls in."""
        return int((at - _EPOCH).total_seconds() // self.bar_seconds)

    def open_time(self, index: int) -> datetime:
        """Open time of bar `index`."""
        return _EPOCH + timedelta(seconds=index * self.bar_seconds)

    def follow(
        self, index: int, values: Floats, returns: Floats | None, fills: tuple[Floats, Floats], regime: str
    ) -> Arrival:
        """A bar whose `returns` are those of the bar that *follows* it; None: not known yet."""
        arrival = Arrival()
        if self.last is not None and index <= self.last:
            return self._again(index, values, returns, arrival)
        self._advance(index, arrival)
        self.pending.add(Pair(index, values, returns, fills, regime))
        return arrival

    def close(self, index: int, values: Floats, returns: Floats, fills: tuple[Floats, Floats], regime: str) -> Arrival:
        """A bar whose `returns` are its *own*, just become known: they follow the values of the bar before."""
        arrival = Arrival()
        if self.last is not None and index <= self.last:
            return self._again(index, values, None, arrival)
        self.pending.label(index - 1, returns)
        for pair in self.pending.pairs.values():
            if pair.index < index and pair.returns is None:
                pair.returns = np.full(self.symbols, np.nan)
        self._advance(index, arrival)
        self.pending.add(Pair(index, values, None, fills, regime))
        return arrival

    def _again(self, index: int, values: Floats, returns: Floats | None, arrival: Arrival) -> Arrival:
        pair = self.pending.pairs.get(index)
        if pair is None:
            late = self.last is not None and index < self.last
            arrival.refused = "older than a bar already taken" if late else "this bar was taken already"
            return arrival
        labelled = returns is not None and pair.returns is None
        revised = not np.array_equal(values, pair.values, equal_nan=True)
        if returns is not None and pair.returns is not None:
            revised |= not np.array_equal(returns, pair.returns, equal_nan=True)
        if returns is not None:
            pair.returns = returns
        if revised:
            pair.values = values
        if not labelled and not revised:
            arrival.refused = "this bar was taken already"
        arrival.revised = revised
        return arrival

    def _advance(self, index: int, arrival: Arrival) -> None:
        if self.last is not None:
            arrival.missing = index - self.last - 1
            first = max(self.last + 1, index - self.longest_gap)
            empty = np.full((self.features, self.symbols), np.nan)
            none = np.full(self.features, np.nan)
            for hole in range(first, index):
                self.pending.add(Pair(hole, empty, np.full(self.symbols, np.nan), (none, none), ""))
        arrival.pairs.extend(self.pending.release(index))
        arrival.new = True
        self.last = index

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        pairs = list(self.pending.pairs.values())
        shape = (len(pairs), self.symbols)
        returns = np.array([np.full(self.symbols, np.nan) if p.returns is None else p.returns for p in pairs])
        return {
            "last": np.array(-1 if self.last is None else self.last),
            "index": np.array([p.index for p in pairs], np.int64),
            "values": np.array([p.values for p in pairs]).reshape(len(pairs), self.features, self.symbols),
            "returns": returns.reshape(shape),
            "known": np.array([p.returns is not None for p in pairs], np.bool_),
            "fills": np.array([p.fills for p in pairs]).reshape(len(pairs), 2, self.features),
            "regimes": np.array([p.regime for p in pairs], dtype=np.str_),
        }

    def load(self, arrays: Mapping[str, Any]) -> None:
        """Take the state that `arrays` gave."""
        last = int(arrays["last"])
        self.last = None if last < 0 else last
        self.pending.pairs.clear()
        for place, index in enumerate(arrays["index"]):
            returns = arrays["returns"][place].copy() if arrays["known"][place] else None
            fills = (arrays["fills"][place, 0].copy(), arrays["fills"][place, 1].copy())
            values = np.ascontiguousarray(arrays["values"][place])
            self.pending.add(Pair(int(index), values, returns, fills, str(arrays["regimes"][place])))

    def select(self, rows: list[int]) -> None:
        """Keep the features `rows` in what waits; -1 adds one without values."""
        self.features = len(rows)
        for pair in self.pending.pairs.values():
            old = pair.values
            pair.values = np.full((len(rows), self.symbols), np.nan)
            fills = tuple(np.full(len(rows), np.nan) for _ in range(2))
            for place, row in enumerate(rows):
                if row >= 0:
                    pair.values[place] = old[row]
                    fills[0][place], fills[1][place] = pair.fills[0][row], pair.fills[1][row]
            pair.fills = (fills[0], fills[1])
