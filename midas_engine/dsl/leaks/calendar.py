"""Which row of a table belongs to which moment, for every shape in which people keep market data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import numpy.typing as npt

    Times = npt.NDArray[np.datetime64]

_MOST_TABLES, _MOST_EVENTS = 512, 3
EPOCH = np.datetime64("1970-01-01", "ns")
# Columns of a bar that covers an interval: its row is complete only when the interval is over.
_INTERVAL = re.compile(r"^(open|high|low|close|volume|vwap|price)$", re.IGNORECASE)


def index_times(index: pd.Index[Any], bar: np.timedelta64) -> Times | None:
    """UTC times of an index's rows; integers are bar numbers; None when it holds no times."""
    if isinstance(index, pd.MultiIndex):
        for level in range(index.nlevels):
            if isinstance(index.levels[level], pd.DatetimeIndex):
                return index_times(index.get_level_values(level), bar)
        return None
    if isinstance(index, pd.DatetimeIndex):
        naive = index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index
        return naive.to_numpy().astype("datetime64[ns]")
    return None


@dataclass(frozen=True, slots=True)
class Placed:
    """The time axis of a table.

    Attributes:
        axis: 0 for rows, 1 for columns.
        times: Of every row (or column).
        ordered: The times ascend, so that a cut is a slice.
        span: How long after its label a row is complete.
    """

    axis: int
    times: Times
    ordered: bool
    span: np.timedelta64


@dataclass(slots=True)
class Calendar:
    """The bars that features are computed on, and the time axes of the tables met so far.

    Args:
        times: [T], open times of the bars, ascending, UTC.
        bar: Length of a bar.
        rows: Times of the rows of the forward returns, for flat arrays of the same length.
        numbered: The index is bar numbers and not times.
        symbols: The place of each symbol; empty for one series.
    """

    times: Times
    bar: np.timedelta64
    rows: Times
    numbered: bool = False
    symbols: dict[str, int] = field(default_factory=dict)
    _events: list[Times] = field(default_factory=list)
    _known: dict[int, tuple[Any, Placed | None]] = field(default_factory=dict)

    def place(self, table: Any) -> Placed | None:
        """The time axis of a pandas object or an array; None when it has none."""
        key = id(table)
        if key not in self._known:
            if len(self._known) >= _MOST_TABLES:  # a function that reads its files at every call
                self._known.clear()
            self._known[key] = (table, self.find(table))
        return self._known[key][1]

    def find(self, table: Any) -> Placed | None:
        """The same, remembering nothing."""
        if isinstance(table, np.ndarray):
            return self._array(table)
        index = table if isinstance(table, pd.Index) else table.index
        times = index_times(index, self.bar)
        if times is not None:
            return self._placed(0, times, table)
        if isinstance(table, pd.DataFrame):
            times = index_times(table.columns, self.bar)
            if times is not None:
                return self._placed(1, times, table)
            for column in table.columns:
                if pd.api.types.is_datetime64_any_dtype(table[column].dtype):
                    stamps = index_times(pd.DatetimeIndex(table[column]), self.bar)
                    assert stamps is not None
                    return self._placed(0, stamps, table)
        if self.numbered and pd.api.types.is_integer_dtype(index.dtype):
            return self._placed(0, EPOCH + index.to_numpy() * self.bar, table)
        return self._by_length(len(index))

    def _array(self, array: Any) -> Placed | None:
        if np.issubdtype(array.dtype, np.datetime64) and array.ndim == 1:
            return self._placed(0, array.astype("datetime64[ns]"), array)
        for axis in range(min(array.ndim, 2)):
            found = self._by_length(array.shape[axis]) if array.ndim else None
            if found is not None:
                return Placed(axis, found.times, found.ordered, found.span)
        return None

    def _by_length(self, length: int) -> Placed | None:
        if length == len(self.times):
            return Placed(0, self.times, True, self.bar)
        if length == len(self.rows):
            return Placed(0, self.rows, bool((np.diff(self.rows) >= np.timedelta64(0)).all()), self.bar)
        return None

    def _placed(self, axis: int, times: Times, table: Any) -> Placed:
        steps = np.diff(times)
        ordered = bool((steps >= np.timedelta64(0)).all())
        if not ordered:
            steps = np.diff(np.unique(times))
        steps = steps[steps > np.timedelta64(0)].astype(np.int64)
        gap = np.timedelta64(int(np.median(steps)) if steps.size else 0, "ns")
        span = gap
        if gap > self.bar:
            # Coarser than the bars: bars of their own, or events such as settlements, known at once.
            regular = bool((steps == gap.astype(np.int64)).mean() > 0.9)
            span = gap if regular and _is_interval(table) else np.timedelta64(0, "ns")
            moments = np.unique(times)
            known = any(np.array_equal(moments, other) for other in self._events)
            if axis == 0 and not known and len(self._events) < _MOST_EVENTS:
                self._events.append(moments)
        return Placed(axis, times, ordered, span)

    @property
    def events(self) -> list[Times]:
        """Moments of the tables met so far that are coarser than the bars."""
        return self._events


def _is_interval(table: Any) -> bool:
    names = table.columns if isinstance(table, pd.DataFrame) else [getattr(table, "name", None)]
    return any(_INTERVAL.match(str(name)) for name in names)
