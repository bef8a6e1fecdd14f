"""From what a caller hands over to clean arrays: times, values and returns as floats, by position or by symbol."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import MonitorError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_EARLIEST, _LATEST = datetime(2009, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_UNITS = (1.0, 1e3, 1e6, 1e9)
LARGEST = 1e100  # nothing a market measures is larger; squares of it still fit a float
_NO_NUMBERS = (bool, str, bytes, bytearray, memoryview, complex)


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
    try:
        found = _as_datetime(moment)
    except Exception:  # a foreign object's own methods, or a time that no datetime can hold
        found = None
    if found is None or not _EARLIEST <= found < _LATEST:
        raise MonitorError(
            f"{reprlib.repr(moment)} is not a bar time",
            hint="give a UTC datetime between 2009 and 2100, or an epoch number",
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
    if isinstance(moment, int | float | np.integer | np.floating) and not isinstance(moment, bool):
        for unit in _UNITS:
            seconds = float(moment) / unit
            if _EARLIEST.timestamp() <= seconds < _LATEST.timestamp():
                return datetime.fromtimestamp(seconds, UTC)
    return None


def read_values(
    values: Mapping[str, Any], names: Sequence[str], symbols: int, order: Mapping[str, int] | None = None
) -> Floats:
    """[F, S] floats; NaN for a feature that is absent and for a number that is not finite or not sane.

    Args:
        values: A number or an array for each feature; with `order`, ``{symbol: number}`` too.
        names: The features, in the order of the rows.
        symbols: How many symbols a bar has.
        order: Place of each symbol, where their names are known.

    Raises:
        MonitorError: A feature came as what is no number, or with a number of symbols that is not `symbols`.
    """
    if symbols == 1:
        # ten thousand plain numbers a bar: only what is no float is looked at closely
        given = [values.get(name) for name in names]
        cells = [
            v if type(v) is float else float(read_row(v, 1, name, order)[0])
            for name, v in zip(names, given, strict=True)
        ]
        out = np.array(cells, np.float64).reshape(-1, 1)
    else:
        out = np.full((len(names), symbols), np.nan)
        for row, name in enumerate(names):
            out[row] = read_row(values.get(name), symbols, name, order)
    out[~(np.abs(out) <= LARGEST)] = np.nan
    return out


def read_returns(returns: Any, symbols: int, order: Mapping[str, int] | None = None) -> Floats:
    """[S] floats, NaN where there is none; MonitorError as in `read_values`. Whether they can be is asked later."""
    out = read_row(returns, symbols, "forward_return", order)
    out[~(np.abs(out) <= LARGEST)] = np.nan
    return out


def read_row(value: Any, symbols: int, name: str, order: Mapping[str, int] | None = None) -> Floats:
    """[S] floats of one feature, or of the returns; a fresh array."""
    if _absent(value):
        return np.full(symbols, np.nan)
    if isinstance(value, _NO_NUMBERS):
        raise _no_number(name, value, symbols)
    if isinstance(value, int | float | Decimal | Fraction | np.integer | np.floating):
        number = _cell(value, name, symbols)
        if symbols != 1 and math.isfinite(number):
            raise _wrong(name, 1, symbols)
        return np.full(symbols, number)
    labels = labels_of(value)
    if labels is not None and order is not None:
        return _by_symbol(value, labels, symbols, name, order)
    if isinstance(value, Mapping):
        raise MonitorError(
            f"{name} came by symbol, and the order of the monitor's symbols is not known",
            hint="give symbols=[names] to the monitor, or values and returns both as {symbol: number}",
        )
    row = _array(value, name, symbols)
    if len(row) != symbols:
        raise _wrong(name, len(row), symbols)
    return row


def labels_of(value: Any) -> list[str] | None:
    """The symbols of a mapping or of a pandas Series with text labels; None for what comes by position."""
    if isinstance(value, Mapping):
        return [str(key) for key in value]
    index = getattr(value, "index", None)
    if index is None or callable(index):
        return None
    labels = list(index)
    return labels if labels and all(isinstance(label, str) for label in labels) else None


def count_symbols(values: Mapping[str, Any], returns: Any) -> int:
    """How many symbols a first bar speaks of: the longest array in it, 1 for plain numbers."""
    return max([1, *(_size(v) for v in (*values.values(), returns))])


def _size(value: Any) -> int:
    if value is None or isinstance(value, (*_NO_NUMBERS, int, float, Mapping)):
        return 1
    return int(np.size(value))


def _absent(value: Any) -> bool:
    # pandas' NA compares to nothing, itself included, so it is known by its name
    return value is None or type(value).__name__ == "NAType"


def _by_symbol(value: Any, labels: Sequence[str], symbols: int, name: str, order: Mapping[str, int]) -> Floats:
    out = np.full(symbols, np.nan)
    cells = [cell for _, cell in value.items()]
    known = 0
    for label, cell in zip(labels, cells, strict=True):
        place = order.get(label)
        if place is not None:
            known += 1
            out[place] = _cell(cell, name, symbols)
    if labels and not known:
        raise MonitorError(
            f"{name} came for {reprlib.repr(labels[0])}, which is no symbol of the monitor",
            hint="its symbols: " + ", ".join(list(order)[:8]),
        )
    return out


def _array(value: Any, name: str, symbols: int) -> Floats:
    try:
        if isinstance(value, np.ma.MaskedArray):
            value = np.ma.filled(value.astype(np.float64), np.nan)
        array = np.asarray(value)
    except Exception as error:  # ragged lists, and whatever a foreign object's own methods raise
        raise _no_number(name, value, symbols) from error
    if array.ndim > 1 and max(array.shape) != array.size:
        raise MonitorError(f"{name} came with the shape {array.shape}", hint=f"give an array of {symbols} numbers")
    if array.dtype.kind in "iuf":
        return array.reshape(-1).astype(np.float64)
    if array.dtype.kind == "O" and array.ndim:
        return np.array([_cell(cell, name, symbols) for cell in array.reshape(-1)], np.float64)
    raise _no_number(name, value, symbols)


def _cell(cell: Any, name: str, symbols: int) -> float:
    if _absent(cell):
        return math.nan
    if isinstance(cell, _NO_NUMBERS) or not isinstance(cell, int | float | Decimal | Fraction | np.number):
        raise _no_number(name, cell, symbols)
    if isinstance(cell, np.complexfloating | np.timedelta64):
        raise _no_number(name, cell, symbols)
    return _number(cell)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (OverflowError, ValueError):  # an int of four hundred digits; a signalling NaN
        return math.nan


def _no_number(name: str, value: Any, symbols: int) -> MonitorError:
    shape = "a number" if symbols == 1 else f"an array of {symbols} numbers, or {{symbol: number}}"
    told = f": {reprlib.repr(value)}" if isinstance(value, bool | str | bytes | complex) else ""
    return MonitorError(f"{name} came as {type(value).__name__}{told}", hint=f"give {shape}; NaN where there is none")


def _wrong(name: str, got: int, wanted: int) -> MonitorError:
    return MonitorError(
        f"{name} came with {got} values, the monitor watches {wanted} symbols",
        hint="NaN for a symbol that left, or {symbol: number}",
    )
