"""From pandas to arrays: the only place where labels, time zones and row order are dealt with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from midas_engine.errors import EvaluationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas_engine.stats._jit import Floats

DEFAULT_BAR_SECONDS = 3600.0
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "t": 60.0, "h": 3600.0, "hr": 3600.0, "d": 86_400.0, "w": 604_800.0}
_BARE = re.compile(r"(?:(?:fwd|forward|returns?|ret|horizon|r|h)_?)*+(\d{1,6})", re.IGNORECASE)
_NAME = re.compile(r"(?:^|_)(\d+)\s*([a-z]+)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Grid:
    """Where each row of a pandas index lies in [T, S].

    Attributes:
        index: The index it was made from.
        timestamps: [T], datetime64[ns], UTC, ascending.
        symbols: [S]; one empty name for a plain time series.
        places: Flat position of every row of the index.
        whole: The rows are exactly the cells in order, so values only need a reshape.
        bar_seconds: Most common spacing of the timestamps.
    """

    index: pd.Index[Any]
    timestamps: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    places: NDArray[np.int64]
    whole: bool
    bar_seconds: float

    def matrix(self, values: pd.Series[Any], what: str) -> Floats:
        """Values [T, S] of a series, aligned on labels; cells without a label are NaN.

        Raises:
            EvaluationError: Not numeric, duplicate labels, or nothing in common with the index.
        """
        numbers = numeric(values, what)
        size = len(self.timestamps) * len(self.symbols)
        index = values.index
        if index is self.index or (len(index) == len(self.index) and index.equals(self.index)):
            if self.whole:
                return numbers.reshape(len(self.timestamps), len(self.symbols))
            places = self.places
        else:
            places, numbers = self._aligned(index, numbers, what)
        out = np.full(size, np.nan)
        out[places] = numbers
        return out.reshape(len(self.timestamps), len(self.symbols))

    def _aligned(self, index: pd.Index[Any], numbers: Floats, what: str) -> tuple[NDArray[np.int64], Floats]:
        if index.has_duplicates:
            raise EvaluationError(f"{what} has duplicate index labels, first {_first_duplicate(index)}")
        mine, other = comparable(self.index), comparable(index)
        if mine.nlevels != other.nlevels:
            raise EvaluationError(
                f"{what} is indexed by {_kind(other)}, the forward returns by {_kind(mine)}",
                hint="index both by timestamp, or both by (timestamp, symbol)",
            )
        found = mine.get_indexer(other)
        known = found >= 0
        if len(other) and not known.any():
            raise EvaluationError(
                f"{what} shares no index label with the forward returns ({other[0]} against {mine[0]})",
                hint="check time zone and bar size: labels are bar open times in UTC",
            )
        return self.places[found[known]], numbers[known]


def grid_of(index: pd.Index[Any], what: str = "forward returns", bar_seconds: float | None = None) -> Grid:
    """The grid of an index: DatetimeIndex, (timestamp, symbol) MultiIndex, or plain integers as bar numbers.

    Raises:
        EvaluationError: Empty, duplicate or missing labels, or a MultiIndex of other than two levels.
    """
    if len(index) == 0:
        raise EvaluationError(f"{what} have no rows")
    if index.has_duplicates:
        raise EvaluationError(f"{what} have duplicate index labels, first {_first_duplicate(index)}")
    if isinstance(index, pd.MultiIndex):
        if index.nlevels != 2:
            raise EvaluationError(f"{what} have {index.nlevels} index levels", hint="use (timestamp, symbol)")
        times, rows = _times(index.get_level_values(0), what, bar_seconds)
        columns, names = pd.factorize(index.get_level_values(1))
        symbols = tuple(str(name) for name in names)
    else:
        times, rows = _times(index, what, bar_seconds)
        columns, symbols = np.zeros(len(index), np.int64), ("",)
    places = rows * len(symbols) + columns
    size = len(times) * len(symbols)
    whole = len(places) == size and bool((places == np.arange(size)).all())
    return Grid(index, times, symbols, places, whole, bar_seconds or _spacing(times))


def _times(
    labels: pd.Index[Any], what: str, bar_seconds: float | None
) -> tuple[NDArray[np.datetime64], NDArray[np.int64]]:
    if pd.api.types.is_integer_dtype(labels.dtype):
        step = np.timedelta64(round((bar_seconds or DEFAULT_BAR_SECONDS) * 1e9), "ns")
        stamps = np.datetime64("1970-01-01", "ns") + labels.to_numpy() * step
    elif isinstance(labels, pd.DatetimeIndex):
        stamps = _utc(labels).to_numpy().astype("datetime64[ns]")
    else:
        raise EvaluationError(
            f"the index of {what} holds {labels.dtype}, not times", hint="use pandas timestamps (UTC bar open times)"
        )
    if np.isnat(stamps).any():
        raise EvaluationError(f"the index of {what} has missing timestamps")
    times, rows = np.unique(stamps, return_inverse=True)
    return times, rows.astype(np.int64)


def _utc(labels: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return labels.tz_convert("UTC").tz_localize(None) if labels.tz is not None else labels


def comparable(index: pd.Index[Any]) -> pd.Index[Any]:
    """The index with naive UTC nanosecond times, so that aware and naive labels of one moment meet."""
    if isinstance(index, pd.DatetimeIndex):
        return _utc(index).as_unit("ns")
    if isinstance(index, pd.MultiIndex) and index.nlevels == 2:
        first = index.get_level_values(0)
        if isinstance(first, pd.DatetimeIndex):
            return pd.MultiIndex.from_arrays([_utc(first).as_unit("ns"), index.get_level_values(1).astype(str)])
    return index


def numeric(values: pd.Series[Any], what: str) -> Floats:
    """Values as float64, refusing what is not a number.

    Raises:
        EvaluationError: The dtype is not numeric or boolean.
    """
    if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_complex_dtype(values.dtype):
        raise EvaluationError(f"{what} holds {values.dtype}, not numbers", hint="convert it with pandas.to_numeric")
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def horizon_bars(name: object, bar_seconds: float) -> int | None:
    """Bars of a column named after its horizon: `ret_5m`, `fwd_24h`, `ret_1d`, `ret_12bars`; None if it is not.

    A number without a unit counts bars: `ret_4`, `h24`, 1.

    Example:
        >>> horizon_bars("ret_24h", 3600.0), horizon_bars("ret_5m", 60.0), horizon_bars("score", 60.0)
        (24, 5, None)
    """
    text = str(name).strip()
    found = _NAME.search(text)
    if not found:
        bare = _BARE.fullmatch(text)
        return (int(bare.group(1)) or None) if bare else None
    amount, unit = int(found.group(1)), found.group(2).lower()
    if unit in ("b", "bar", "bars"):
        return amount or None
    if unit not in _UNITS:
        return None
    bars = amount * _UNITS[unit] / bar_seconds
    return round(bars) if bars >= 1 and abs(bars - round(bars)) < 1e-6 else None


def _spacing(times: NDArray[np.datetime64]) -> float:
    if len(times) < 2:
        return DEFAULT_BAR_SECONDS
    steps, counts = np.unique(np.diff(times).astype(np.int64), return_counts=True)
    return float(steps[counts.argmax()]) / 1e9


def _first_duplicate(index: pd.Index[Any]) -> object:
    return index[index.duplicated()][0]


def _kind(index: pd.Index[Any]) -> str:
    return "(timestamp, symbol)" if index.nlevels == 2 else "timestamp"
