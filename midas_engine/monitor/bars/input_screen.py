"""The fleet's memory of its input: what of each pair is believed, what was said of the rest, what went unscored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.events import FaultReported
from midas_engine.monitor.bars.complaints import Complaint, Complaints
from midas_engine.monitor.bars.screen import PairScreen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from midas_engine.events import Event
    from midas_engine.monitor.bars.late_labels import Pair

    Floats = NDArray[np.float64]


class InputScreen:
    """Screens pairs in the order in which they are scored.

    Args:
        symbols: How many symbols a bar has.
        bar_seconds: Size of a bar.
        day_bars: Bars of a day.

    Attributes:
        names: The symbols; empty while they are not known.
        unscored: Pairs in a row that had values and no return to score them with.
    """

    def __init__(self, symbols: int, bar_seconds: int, day_bars: int) -> None:
        self.symbols, self.day_bars = symbols, day_bars
        self.names: tuple[str, ...] = ()
        self.unscored = 0
        self._pairs = PairScreen(symbols, bar_seconds, day_bars)
        self._complaints = Complaints(day_bars)
        self._wrong: list[Complaint] = []

    def believe(self, pair: Pair, at: datetime) -> tuple[Floats, tuple[Floats, Floats]]:
        """Returns and fills of the pair of the bar `at`, NaN for those that cannot be."""
        given = pair.returns if pair.returns is not None else np.full(self.symbols, np.nan)
        returns, wrong = self._pairs.returns(at, given, self.names)
        fills, odd = self._pairs.fills(pair.fills)
        self._wrong += [*wrong, *odd]
        if np.isfinite(pair.values).any():  # a bar that is missing whole is a gap, and was told as one
            scored = bool((np.isfinite(pair.values) & np.isfinite(returns)).any())
            self.unscored = 0 if scored else self.unscored + 1
        return returns, fills

    def news(self, at: datetime, bar: int) -> list[Event]:
        """What was wrong since the last call, as far as it is news on bar number `bar`."""
        wrong, self._wrong = self._wrong, []
        return [
            FaultReported(at=at, where="monitor", message=text, hint=one.hint, severity=one.severity)
            for one in wrong
            if (text := self._complaints.word(one, bar))
        ]

    def figures(self, silent: float) -> dict[str, float]:
        """Figures of the fleet for its rules; `silent` is for how many bars no feature has had a value."""
        return {"unscored_bars": float(self.unscored), "silent_bars": silent, "day_bars": float(self.day_bars)}

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]]:
        """Everything a restart needs: a header, and the live arrays."""
        meta = {"names": list(self.names), "unscored": self.unscored, "complaints": self._complaints.state()}
        return meta, self._pairs.arrays()

    def restore(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from `state`; an empty one, of an older base, leaves it fresh."""
        self.names = tuple(str(name) for name in meta.get("names", ()))
        self.unscored, self._wrong = int(meta.get("unscored", 0)), []
        self._complaints.restore(meta.get("complaints", {}))
        self._pairs.load(arrays)
