"""From what a caller hands over to clean arrays: times on the bar grid, values and returns as floats."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import MonitorError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_EARLIEST, _LATEST = datetime(2009, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_UNITS = (1.0, 1e3, 1e6, 1e9)
LARGEST = 1e100  # nothing a market measures is larger; squares of it still fit a float
_LOWEST_RETURN, _HIGHEST_RETURN = -1.0, 5.0


def read_time(moment: Any) -> datetime:
    """A UTC datetime from a datetime (naive means UTC, never local), numpy datetime64, ISO text or epoch number.

    An epoch number may be in seconds, milliseconds, microseconds or nanoseconds: the unit is the only one that
    falls between 2009 and 2100.

    Raises:
        MonitorError: It is none of these, or lies outside those years.

    Example:
        >>> read_time(1735689600000) == read_time("2025-01-01") == datetime(2025, 1, 1, tzinfo=UTC)
        True
    """
    found = _as_datetime(moment)
    if found is None or not _EARLIEST <= found < _LATEST:
        raise MonitorError(
            f"{moment!r} is not a bar time", hint="give a UTC datetime between 2009 and 2100, or an epoch number"
        )
    return found


def _as_datetime(moment: Any) -> datetime | None:
    if isinstance(moment, np.datetime64):
        if np.isnat(moment):
            return None
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
            microseconds=int(moment.astype("datetime64[us]").astype(np.int64))
        )
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    if isinstance(moment, datetime):
        if moment != moment:  # pandas' NaT
            return None
        plain = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return datetime.fromisoformat(plain.astimezone(UTC).isoformat(timespec="microseconds"))
    if isinstance(moment, int | float | np.number) and not isinstance(moment, bool):
        for unit in _UNITS:
            seconds = float(moment) / unit
            if _EARLIEST.timestamp() <= seconds < _LATEST.timestamp():
                return datetime.fromtimestamp(seconds, UTC)
    return None


def read_values(values: Mapping[str, Any], names: Sequence[str], symbols: int) -> Floats:
    """[F, S] floats; NaN for a feature that is absent and for anything that is no finite, sane number.

    Raises:
        MonitorError: A feature came with a number of symbols that is not `symbols`.
    """
    given = [values.get(name) for name in names]
    if symbols == 1:
        # ten thousand plain numbers a bar: only what is no float is looked at closely
        cells = [v if type(v) is float else float(_floats(v, 1, name)[0]) for name, v in zip(names, given, strict=True)]
        out = np.array(cells, np.float64).reshape(-1, 1)
    else:
        out = np.full((len(names), symbols), np.nan)
        for row, value in enumerate(given):
            if value is not None:
                out[row] = _floats(value, symbols, names[row])
    out[~(np.abs(out) <= LARGEST)] = np.nan
    return out


def read_returns(returns: Any, symbols: int) -> tuple[Floats, int]:
    """[S] floats, and how many were refused as impossible (a loss of 100 % or more, a gain above 500 %, text)."""
    out = _floats(returns, symbols, "forward_return").copy()
    absurd = np.isfinite(out) & ((out <= _LOWEST_RETURN) | (out > _HIGHEST_RETURN))
    out[absurd | ~np.isfinite(out)] = np.nan
    return out, int(absurd.sum())


def count_symbols(values: Mapping[str, Any], returns: Any) -> int:
    """How many symbols a first bar speaks of: the longest array in it, 1 for plain numbers."""
    sizes = [np.size(v) for v in (*values.values(), returns) if v is not None and not isinstance(v, str)]
    return max([1, *sizes])


def _floats(value: Any, symbols: int, name: str) -> Floats:
    if value is None or isinstance(value, str | bytes | bool):
        return np.full(symbols, np.nan)
    if isinstance(value, int | float):
        return np.full(symbols, _number(value)) if symbols == 1 else _wrong(name, 1, symbols)
    try:
        array = np.asarray(value, np.float64).reshape(-1)
    except (TypeError, ValueError):
        return np.full(symbols, np.nan)
    return array if len(array) == symbols else _wrong(name, len(array), symbols)


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an int of four hundred digits
        return math.nan


def _wrong(name: str, got: int, wanted: int) -> Floats:
    raise MonitorError(f"{name} came with {got} values, the monitor watches {wanted} symbols")
