"""What of a pair can be believed: returns of an impossible size, in another unit, slippage in another unit.

Pairs pass here in the order in which they are scored, once each, so that a repeat of a bar cannot be judged twice and
a restart judges as the run before it did.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.monitor.bars.complaints import Complaint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# One bar: a price six times as high, or a sixth of it (+500 %, -83.3 %). Symmetric in logs, as a way and its way back.
JUMP = math.log(6.0)
# While a jump stands, a smaller move against it is its way back: no ordinary bar moves by half within that day.
WAY_BACK = math.log(1.5)
# The median hour of a coin is between 0.1 and 1.5 %, and grows with the root of time: the unit is known from it. Above
# the first no market is; above the second none is in which somebody also lost more than everything.
FAR, DOUBTFUL, USUAL = 0.20, 0.05, 0.005
# The first is seen on one bar of eight symbols, the second needs six bars, since all coins may rise together once.
FAR_CELLS, FEW_BARS, FEW_CELLS, FEW_FILLS = 8, 6, 24, 12
# Slippage of a fiftieth of what is expected, or of a basis point, in most fills: fractions, not basis points.
NO_SLIPPAGE = 0.02
NAMED = 3


class PairScreen:
    """Judges the returns and the slippage of each pair.

    Args:
        symbols: How many symbols a bar has.
        bar_seconds: Size of a bar.
        day_bars: Bars of a day: how far it looks back, and how long a jump is waited for to be undone.
    """

    def __init__(self, symbols: int, bar_seconds: int, day_bars: int) -> None:
        self.hours, self.day_bars = bar_seconds / 3600.0, day_bars
        self.recent = np.full((24, symbols), np.nan)
        self.away, self.age = np.zeros(symbols), np.zeros(symbols, np.int64)
        self.filled = np.full(24, np.nan)
        self.turn = self.fill_turn = 0

    def returns(self, at: datetime, returns: Floats, names: Sequence[str] = ()) -> tuple[Floats, list[Complaint]]:
        """The returns [S] that can be, NaN for the others, and what was wrong.

        Args:
            at: Open time of the bar whose values they follow.
            returns: As given; not changed.
            names: The symbols; empty: not known.
        """
        self.recent[self.turn] = returns
        self.turn = (self.turn + 1) % len(self.recent)
        unit = self._unit()
        if unit is not None:
            return np.full(len(returns), np.nan), [unit]
        with np.errstate(invalid="ignore", divide="ignore"):
            log = np.where(returns > -1.0, np.log1p(np.maximum(returns, -1.0)), np.nan)
            opposite = (self.away != 0.0) & (np.sign(log) == -np.sign(self.away))
            impossible, back = returns <= -1.0, opposite & (np.abs(log) > WAY_BACK)
            refused = impossible | (np.abs(log) > JUMP) | back
        stood = self._wait(refused)
        moved = refused & np.isfinite(log)
        self.away[moved] += log[moved]
        self.away[moved & (np.abs(self.away) < WAY_BACK)] = 0.0
        told = self._jumps(at, returns, refused, back, names)
        told += [
            Complaint(
                f"stayed {name(names, place)}",
                f"{name(names, place)}: the price stayed at {math.exp(level):.4g} times what it was: "
                "taken as a change of its unit, and scored on from there",
                severity="info",
            )
            for place, level in stood
        ]
        return np.where(refused, np.nan, returns), told

    def _wait(self, refused: NDArray[np.bool_]) -> list[tuple[int, float]]:
        """Count the bars since the last jump; those that stood for a day are let be."""
        self.age = np.where(refused, 0, self.age + 1)
        over = np.flatnonzero((self.away != 0.0) & (self.age >= self.day_bars) & ~refused)
        found = [(int(place), float(self.away[place])) for place in over]
        self.away[over] = 0.0
        return found

    def _jumps(
        self, at: datetime, returns: Floats, refused: NDArray[np.bool_], back: NDArray[np.bool_], names: Sequence[str]
    ) -> list[Complaint]:
        places = np.flatnonzero(refused).tolist()
        when = f"{at:%Y-%m-%d %H:%M}"
        if len(places) > NAMED:
            some = ", ".join(f"{name(names, place)} {_percent(returns[place])}" for place in places[:NAMED])
            text = f"{len(places)} impossible returns after the bar of {when} were left out: {some}, ..."
            return [Complaint("jumps", text, _JUMP_HINT)]
        told = []
        for place in places:
            undone = " (it undoes one that was left out)" if back[place] else ""
            text = f"{name(names, place)}: an impossible return of {_percent(returns[place])} after the bar of {when}"
            told.append(Complaint(f"jump {place} {bool(back[place])}", f"{text} was left out{undone}", _JUMP_HINT))
        return told

    def _unit(self) -> Complaint | None:
        """A word about returns that are no fractions, from the last 24 bars."""
        cells = self.recent[np.isfinite(self.recent) & (self.recent != 0.0)]
        bars = int(np.isfinite(self.recent).any(axis=1).sum())
        if len(cells) < (FAR_CELLS if self.recent.shape[1] >= FAR_CELLS else FEW_CELLS):
            return None
        median, scale = float(np.median(np.abs(cells))), math.sqrt(self.hours)
        long = bars >= FEW_BARS and len(cells) >= FEW_CELLS and median > DOUBTFUL * scale
        if not (median > FAR * scale or (long and (bool((cells <= -1.0).any()) or bool((cells > 0.0).all())))):
            return None
        unit = "percent"
        if bool((cells > 0.0).all()):
            unit = "prices"
        elif median > 1500.0 * USUAL * scale:
            unit = "basis points"
        return Complaint(
            "unit of returns",
            f"returns look like {unit}: median move {median * 100:,.0f} % {_span(self.hours)}; they are left out",
            "forward_return is a fraction: 0.4 % is 0.004",
        )

    def fills(self, fills: tuple[Floats, Floats]) -> tuple[tuple[Floats, Floats], list[Complaint]]:
        """Realised and expected slippage [F] each that can be basis points, and what was wrong."""
        realised, expected = fills
        with np.errstate(invalid="ignore"):
            share = np.abs(realised) / np.maximum(expected, 1.0)
        known = share[np.isfinite(share) & (share > 0.0)]
        if not len(known):
            return fills, []
        self.filled[self.fill_turn] = share_now = float(np.median(known))
        self.fill_turn = (self.fill_turn + 1) % len(self.filled)
        held = self.filled[np.isfinite(self.filled)]
        if len(held) < FEW_FILLS or np.median(held) >= NO_SLIPPAGE or share_now >= NO_SLIPPAGE:
            return fills, []
        nothing = np.full(len(realised), np.nan)
        size = float(np.median(np.abs(realised[np.isfinite(realised) & (realised != 0.0)])))
        usual = float(np.nanmedian(expected))
        text = f"slippage looks like a fraction: {size:.4g} where {usual:.4g} bps are expected; such fills are left out"
        return (nothing, nothing.copy()), [Complaint("unit of slippage", text, "give basis points: 30 bps is 30.0")]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        place = np.array([self.turn, self.fill_turn])
        return {"recent": self.recent, "away": self.away, "age": self.age, "filled": self.filled, "place": place}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave; an empty one, of an older base, leaves it fresh."""
        if not arrays:
            return
        self.recent, self.away, self.filled = (
            np.array(arrays[key], np.float64) for key in ("recent", "away", "filled")
        )
        self.age = np.array(arrays["age"], np.int64)
        self.turn, self.fill_turn = (int(v) for v in arrays["place"])


_JUMP_HINT = "a price six times as high in one bar, or a sixth of it, is no move: look at the feed"


def name(names: Sequence[str], place: int) -> str:
    """What a symbol is called: its name, or its place."""
    return names[place] if place < len(names) else f"symbol {place + 1}"


def _percent(value: float) -> str:
    return f"{value * 100:+,.1f} %"


def _span(hours: float) -> str:
    known = {1 / 60: "a minute", 1.0: "an hour", 24.0: "a day"}
    return known.get(hours, f"in {hours:g} h" if hours >= 1 else f"in {hours * 60:g} min")
