"""Altered copies of market tables: cut short, with another future, or with holes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from midas_engine.dsl.engine import FeatureEngine
from midas_engine.market.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.dsl.leaks.calendar import Calendar, Placed

_MOST_TABLES = 512
_UNLISTED = 10**6
# Bars that symbols miss, by turns: one shows what a neighbour fills, three what the nearest value does, a late
# listing what the first value does.
HOLES = (1, _UNLISTED, 3, 0)
APART = ((1, 3, 0), (_UNLISTED, 0))
# Before pandas 3 a slice could write through to the original.
_COPIES = int(pd.__version__.split(".", 1)[0]) < 3


@dataclass(frozen=True, slots=True)
class View:
    """Which history a run sees, in bars of the calendar.

    Attributes:
        start: First bar.
        stop: First bar that does not exist.
        changed: First bar whose values are replaced by others; None for none.
        holed: Bar before which symbols miss values; None for none.
        holes: How many they miss, by turns.
    """

    start: int
    stop: int
    changed: int | None = None
    holed: int | None = None
    holes: tuple[int, ...] = HOLES


class Altered:
    """Alters tables for one view; anything that is not a table of the calendar stays what it is.

    Args:
        calendar: The bars.
        view: What the run may see.
        targets: The forward returns: a row of theirs is known only when its horizon is over.
    """

    def __init__(self, calendar: Calendar, view: View, targets: Targets) -> None:
        self.calendar, self.view, self.targets = calendar, view, targets
        self.start = calendar.times[view.start]
        self.stop = self._time(view.stop)
        self.changed = None if view.changed is None else self._time(view.changed)
        self.met = 0

    def _time(self, bar: int) -> np.datetime64:
        times = self.calendar.times
        moment: np.datetime64 = times[bar] if bar < len(times) else times[-1] + self.calendar.bar
        return moment

    def __call__(self, thing: Any) -> Any:
        """The altered copy, or None when `thing` is not a table."""
        if isinstance(thing, Panel):
            self.met += 1
            return self._panel(thing)
        if isinstance(thing, FeatureEngine):
            self.met += 1
            return FeatureEngine(
                self._panel(thing.panel),
                limits=thing.limits,
                features=thing.features,
                min_shares=thing.min_shares,
                cache_bytes=0,
            )
        if not isinstance(thing, pd.DataFrame | pd.Series | pd.Index | np.ndarray):
            return None
        place = self.calendar.place(thing)
        if place is None:
            return None
        self.met += 1
        return self._table(thing, place)

    def _panel(self, panel: Panel) -> Panel:
        place = self.calendar.place(panel.timestamps)
        assert place is not None
        fields = {name: self._table(values, place) for name, values in panel.fields.items()}
        return Panel(panel.timestamps[self._kept(place)], panel.symbols, fields, panel.bar_seconds)

    def _kept(self, place: Placed) -> Any:
        if place.ordered:
            first, last = np.searchsorted(place.times, [self.start, self.stop])
            return slice(int(first), int(last))
        return (place.times >= self.start) & (place.times < self.stop)

    def _table(self, table: Any, place: Placed) -> Any:
        kept = self._kept(place)
        times = place.times[kept]
        if isinstance(table, pd.Index):
            return table[kept]
        if place.axis == 1:
            flipped = self._cells(self._cut(table.T, kept), times, place, table)
            return np.ascontiguousarray(flipped.T) if isinstance(flipped, np.ndarray) else flipped.T
        return self._cells(self._cut(table, kept), times, place, table)

    def _cut(self, table: Any, kept: Any) -> Any:
        if isinstance(table, np.ndarray):
            return table[kept].copy()
        part = table.iloc[kept] if isinstance(kept, slice) else table[kept]
        return part.copy() if _COPIES else part

    def _cells(self, part: Any, times: Any, place: Placed, original: Any) -> Any:
        """Change what is not complete at the border, and make the holes."""
        horizons = self.targets.horizons(original)
        if isinstance(horizons, list):
            columns = [
                self._late(part.iloc[:, i], times, self._span(place, h)).rename(i) for i, h in enumerate(horizons)
            ]
            part = pd.concat(columns, axis=1).set_axis(part.columns, axis=1)
        else:
            part = self._late(part, times, self._span(place, horizons))
        if self.view.holed is not None and place.span <= self.calendar.bar:
            cut = self._time(self.view.holed)
            for length in self.view.holes:
                hole = (times >= cut - length * self.calendar.bar) & (times < cut)
                if hole.any():
                    part = _put(part, hole, partial(_emptied, length=length), self._hole_of)
        return part

    def _hole_of(self, name: Any) -> int:
        """Bars that a symbol misses: symbols take turns, the same in every table; a lone series has the first turn."""
        turn = self.calendar.symbols.get(str(name), name)
        return self.view.holes[turn % len(self.view.holes) if isinstance(turn, int) else 0]

    def _span(self, place: Placed, horizon: int | None) -> np.timedelta64:
        return place.span if horizon is None else (1 + horizon) * self.calendar.bar

    def _late(self, part: Any, times: Any, span: np.timedelta64) -> Any:
        """Other values in the rows that the border leaves incomplete: a row may begin before it and end after it."""
        border = self.stop if self.changed is None else self.changed
        late = times + span > border if span else times >= border
        return _put(part, late, _other) if late.any() else part


class Targets:
    """Recognises the forward returns, whole or one column of them, in whatever shape a user keeps them.

    Args:
        returns: As given for scoring.
        horizons: Bars ahead of each column.
    """

    def __init__(self, returns: pd.DataFrame | pd.Series[Any], horizons: Mapping[Any, int]) -> None:
        frame = returns.to_frame() if isinstance(returns, pd.Series) else returns
        self._columns = [
            (np.ascontiguousarray(frame.iloc[:, i].to_numpy(dtype=float, na_value=np.nan)), horizons.get(name, 1))
            for i, name in enumerate(frame.columns)
        ]
        self._known: dict[int, tuple[Any, int | list[int | None] | None]] = {}

    def horizons(self, table: Any) -> int | list[int | None] | None:
        """Bars ahead: of the table, of each of its columns, or None when it is no forward return."""
        key = id(table)
        if key not in self._known:
            if len(self._known) > _MOST_TABLES:
                self._known.clear()
            self._known[key] = (table, self._find(table))
        return self._known[key][1]

    def _find(self, table: Any) -> int | list[int | None] | None:
        whole = self._match(table)
        if whole is not None or not isinstance(table, pd.DataFrame):
            return whole
        found = [self._match(table.iloc[:, i]) for i in range(table.shape[1])]
        return found if any(h is not None for h in found) else None

    def _match(self, table: Any) -> int | None:
        size = self._columns[0][0].size
        if table.size != size or isinstance(table, pd.Index):
            return None
        values = table if isinstance(table, np.ndarray) else table.to_numpy()
        if values.dtype.kind != "f":
            return None
        flat = values.reshape(-1)
        for column, horizon in self._columns:
            # A thinned look first: nearly every table is something else.
            if np.array_equal(flat[::97], column[::97], equal_nan=True) and np.array_equal(
                flat, column, equal_nan=True
            ):
                return horizon
        return None


def _put(part: Any, rows: Any, make: Any, hole_of: Any = None) -> Any:
    """`part` with the masked rows replaced by `make(values, holes)`.

    `hole_of` gives the length of a symbol's hole; without it `make` gets none.
    """
    if isinstance(part, np.ndarray):
        places = range(part.shape[1]) if part.ndim == 2 else (None,)
        part[rows] = make(part[rows], hole_of and np.array([hole_of(i) for i in places]))
        return part
    if isinstance(part, pd.Series):
        values = part.to_numpy(copy=True)
        values[rows] = make(values[rows], hole_of and _row_holes(part, rows, hole_of))
        return pd.Series(values, index=part.index, name=part.name)
    if {dtype.kind if isinstance(dtype, np.dtype) else "O" for dtype in part.dtypes} == {"f"}:
        values = part.to_numpy(copy=True)
        holes = None
        if hole_of is not None and isinstance(part.index, pd.MultiIndex):
            holes = _row_holes(part.iloc[:, 0], rows, hole_of)[:, None]
        elif hole_of is not None:
            holes = np.array([hole_of(column) for column in part.columns])
        values[rows] = make(values[rows], holes)
        return pd.DataFrame(values, index=part.index, columns=part.columns)
    columns = {}
    for i, column in enumerate(part.columns):
        series = part.iloc[:, i]
        numeric = isinstance(series.dtype, np.dtype) and series.dtype.kind in "fiub"
        columns[column] = _put(series, rows, make, hole_of) if numeric else series
    return pd.DataFrame(columns, index=part.index)


def _row_holes(part: Any, rows: Any, hole_of: Any) -> Any:
    """The hole length of the symbol of each masked row."""
    if isinstance(part.index, pd.MultiIndex):
        labels = part.index[rows]
        for level in range(labels.nlevels):
            if not isinstance(labels.levels[level], pd.DatetimeIndex):
                return np.array([hole_of(name) for name in labels.levels[level]])[labels.codes[level]]
    return np.full(int(rows.sum()), hole_of(part.name))


def _emptied(late: Any, holes: Any, length: int) -> Any:
    if late.dtype.kind == "f":
        late[np.broadcast_to(holes == length, late.shape)] = np.nan
    return late


def _other(late: Any, holes: Any) -> Any:
    """Other values of the same kind: the section backwards, rescaled at random, some of it missing."""
    rng = np.random.default_rng(late.size)
    back = late[::-1].copy()
    if late.dtype.kind == "f":
        back *= rng.lognormal(0.0, 1.0, late.shape)
        back[rng.random(late.shape) < 0.03] = np.nan
    elif late.dtype.kind in "iu":
        back = (back * rng.uniform(0.5, 2.0, late.shape) + rng.integers(0, 3, late.shape)).astype(late.dtype)
    elif late.dtype.kind == "b":
        back = ~back
    return back
