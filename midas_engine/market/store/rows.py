"""`Rows`: bars on their way into or out of the store, one a bar and symbol, sorted by symbol, then time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataDefectError, DataFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from midas_engine.market.panel import Panel

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_KEYS = ("timestamp", "symbol")
_MOST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Rows:
    """Long rows.

    Attributes:
        symbols: Names, sorted.
        codes: Which symbol a row is of [N].
        seconds: Open time, seconds since 1970 UTC [N].
        columns: Figures by column [N]; NaN where unknown, and never infinite.
    """

    symbols: tuple[str, ...]
    codes: Ints
    seconds: Ints
    columns: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.seconds)

    def take(self, where: Any) -> Rows:
        """The rows `where` says (a mask or positions in ascending order)."""
        columns = {n: v[where] for n, v in self.columns.items()}
        return Rows(self.symbols, self.codes[where], self.seconds[where], columns)

    def by_month(self) -> Iterator[tuple[str, Rows]]:
        """The rows of each month, in time order: (`2025-09`, rows)."""
        months = self.seconds.astype("datetime64[s]").astype("datetime64[M]")
        for month in np.unique(months):
            yield str(month), self.take(months == month)

    def sorted(self) -> Rows:
        """The rows in their order, with only the symbols that have any."""
        names = np.array(self.symbols, dtype=object)
        used = np.unique(self.codes)
        order = np.argsort(names[used].astype(str), kind="stable") if len(used) else used
        place = np.zeros(len(names) or 1, dtype=np.int64)
        place[used[order]] = np.arange(len(used))
        codes = place[self.codes]
        rows = np.lexsort((self.seconds, codes))
        return Rows(
            tuple(self.symbols[i] for i in used[order]),
            codes[rows],
            self.seconds[rows],
            {n: np.ascontiguousarray(v[rows]) for n, v in self.columns.items()},
        )


def rows_of_frames(frames: Mapping[str, Any]) -> Rows:
    """Rows of frames by symbol.

    Args:
        frames: Symbol -> a DataFrame, or a mapping of arrays, with `timestamp` (open times; without a zone they are
            UTC; of a DataFrame its DatetimeIndex serves too) and one column a figure.

    Raises:
        DataFormatError: No times, or a column that is no figures.
        DataDefectError: A name that cannot be kept, or two rows of one bar that differ.
    """
    names, times, columns = [], [], []
    for symbol, frame in frames.items():
        name = _checked_symbol(symbol)
        stamps = _stamps(frame, name)
        names.append(name)
        times.append(stamps)
        columns.append({c: _figures(frame[c], c, name, len(stamps)) for c in _columns_of(frame)})
    lengths = [len(t) for t in times]
    seen = dict.fromkeys(c for found in columns for c in found)
    whole = {
        c: np.concatenate([f.get(c, np.full(n, np.nan)) for f, n in zip(columns, lengths, strict=True)]) for c in seen
    }
    codes = np.repeat(np.arange(len(names), dtype=np.int64), lengths)
    seconds = np.concatenate([*times, np.empty(0, np.int64)])
    return _once(_known(Rows(tuple(names), codes, seconds, whole)).sorted())


def rows_of_panel(panel: Panel) -> Rows:
    """Rows of a panel, without those where nothing is known."""
    seconds = np.repeat(panel.timestamps.astype("datetime64[s]").astype(np.int64), panel.S)
    codes = np.tile(np.arange(panel.S, dtype=np.int64), panel.T)
    fields = {_checked_column(n): v.reshape(-1) for n, v in panel.fields.items()}
    return _known(Rows(tuple(map(_checked_symbol, panel.symbols)), codes, seconds, fields)).sorted()


def join(parts: Sequence[Rows]) -> Rows:
    """All rows of `parts`, no two of which hold the same bar of a symbol."""
    names = sorted({name for part in parts for name in part.symbols})
    place = {name: i for i, name in enumerate(names)}
    codes = [np.array([place[n] for n in part.symbols] or [0], dtype=np.int64)[part.codes] for part in parts]
    seen = dict.fromkeys(c for part in parts for c in part.columns)
    return Rows(
        tuple(names),
        np.concatenate(codes),
        np.concatenate([part.seconds for part in parts]),
        {c: np.concatenate([p.columns.get(c, np.full(len(p), np.nan)) for p in parts]) for c in seen},
    ).sorted()


def _known(rows: Rows) -> Rows:
    """Without rows where nothing is known."""
    known = np.zeros(len(rows), dtype=bool)
    for values in rows.columns.values():
        known |= ~np.isnan(values)
    return rows.take(known)


def _once(rows: Rows) -> Rows:
    """Without second copies; two rows of one bar that say different things are refused."""
    again = np.flatnonzero((np.diff(rows.codes) == 0) & (np.diff(rows.seconds) == 0))
    for name, values in rows.columns.items():
        one, two = values[again], values[again + 1]
        differ = np.flatnonzero(~((one == two) | (np.isnan(one) & np.isnan(two))))
        if differ.size:
            at = again[differ[0]]
            raise DataDefectError(
                f"{rows.symbols[rows.codes[at]]} has two bars at {_text(rows.seconds[at])} with different {name}",
                hint="give each bar once",
            )
    if not again.size:
        return rows
    kept = np.ones(len(rows), dtype=bool)
    kept[again + 1] = False
    return rows.take(kept)


def _columns_of(frame: Any) -> list[str]:
    found = [c for c in (frame.columns if hasattr(frame, "columns") else frame) if c not in _KEYS]
    return [_checked_column(c) for c in found]


def _stamps(frame: Any, symbol: str) -> Ints:
    there = frame.columns if hasattr(frame, "columns") else frame
    column = frame["timestamp"] if "timestamp" in there else getattr(frame, "index", None)
    if column is None:
        raise DataFormatError(f"the bars of {symbol} have no `timestamp`", hint="open times, UTC")
    convert = getattr(column, "to_numpy", None)  # of a zone, pandas makes UTC
    try:
        stamps = convert(dtype="datetime64[ns]") if convert else np.asarray(column)
    except (TypeError, ValueError) as error:
        raise DataFormatError(f"the bars of {symbol} have times that are none", hint="open times, UTC") from error
    if stamps.dtype.kind != "M" or (convert and not str(getattr(column, "dtype", "")).startswith("datetime64")):
        raise DataFormatError(f"the bars of {symbol} have times of type {stamps.dtype}", hint="datetimes, UTC")
    if np.isnat(stamps).any():
        raise DataDefectError(f"a bar of {symbol} has no time", hint="drop the row, or say when it was")
    seconds = stamps.astype("datetime64[s]")
    off = np.flatnonzero(seconds != stamps)
    if off.size:
        raise DataDefectError(f"{symbol} has a bar that opens at {stamps[off[0]]}", hint="bars open on whole seconds")
    return np.asarray(seconds.astype(np.int64))


def _figures(column: Any, name: str, symbol: str, length: int) -> Floats:
    convert = getattr(column, "to_numpy", None)
    try:
        values = convert(dtype=np.float64, na_value=np.nan) if convert else np.array(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataFormatError(f"column {name!r} of {symbol} holds no figures", hint="leave it out") from error
    if len(values) != length:
        raise DataFormatError(f"column {name!r} of {symbol} has {len(values)} rows, its times {length}")
    return np.where(np.isfinite(values), values, np.nan)


def _checked_symbol(name: object) -> str:
    return _checked(name, "symbol")


def _checked_column(name: object) -> str:
    return _checked(name, "column")


def _checked(name: object, what: str) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > _MOST_TEXT or not name.isprintable():
        raise DataDefectError(
            f"{str(name)[:60]!r} cannot name a {what} of the store",
            hint=f"printable text of 1 to {_MOST_TEXT} characters",
        )
    return name


def instant(seconds: int) -> np.datetime64:
    """Seconds since 1970 as the time a panel has."""
    return np.datetime64(int(seconds) * 1_000_000_000, "ns")


def _text(seconds: int) -> str:
    return str(np.datetime64(int(seconds), "s"))[:16] + " UTC"
