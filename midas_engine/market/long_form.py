"""Long rows (one a bar and symbol) to a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataDefectError, DataFormatError
from midas_engine.market.instants import read_instants, wrong_unit

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from midas_engine.market.panel import Panel

    Matrix = NDArray[np.float64]
    Times = NDArray[np.datetime64]

# One wrong year would otherwise ask for a grid of decades: refuse a grid that is nearly all holes, or past all memory.
MOST_HOLES = 100
MOST_CELLS = 500_000_000


def panel_of(cls: type[Panel], frame: pd.DataFrame, bar: str | int | None) -> Panel:
    """See `Panel.from_frame`."""
    import pandas as pd

    if "timestamp" not in frame.columns:
        raise DataFormatError(
            "the frame has no `timestamp` column", hint="there are: " + ", ".join(map(str, frame.columns))
        )
    if frame.empty:
        raise DataFormatError("the frame has no rows")
    stamps = _stamps(frame)
    cols, symbols = _symbol_codes(frame)
    times = np.unique(stamps)
    seconds = _bar_seconds(times, bar)
    rows = _rows(stamps, times, seconds, len(symbols))
    bars = int(rows.max()) + 1
    flat = rows * len(symbols) + cols
    if np.bincount(flat).max() > 1:
        first = frame.index[pd.Series(flat).duplicated().to_numpy()][0]
        raise DataDefectError(f"two rows for one bar and symbol, first at row {first}", hint="run `midas data check`")
    grid = times[0] + np.arange(bars) * np.timedelta64(seconds, "s")
    fields: dict[str, Matrix] = {}
    for column in frame.columns:
        if column in ("timestamp", "symbol"):
            continue
        numbers = _numbers(frame[column])
        if numbers is None:
            continue
        values = np.full(bars * len(symbols), np.nan)
        values[flat] = numbers
        values[~np.isfinite(values)] = np.nan
        fields[str(column)] = values.reshape(bars, len(symbols))
    if not fields:
        raise DataFormatError("the frame has no numeric column beside timestamp and symbol")
    return cls(grid, symbols, fields, seconds)


def _stamps(frame: pd.DataFrame) -> Times:
    column = frame["timestamp"]
    read = read_instants(column)
    if read.unreadable.any():
        at = int(np.argmax(read.unreadable))
        unit = wrong_unit(column)
        raise DataDefectError(
            f"row {frame.index[at]}: {str(column.iloc[at])[:40]!r} is no time from 2009 on"
            + (f" ({unit})" if unit else ""),
            hint="times are dates, ISO 8601 texts, or epoch numbers in s, ms, us or ns",
        )
    return read.utc


def _rows(stamps: Times, times: Times, seconds: int, symbols: int) -> NDArray[np.int64]:
    step = seconds * 1_000_000_000
    offsets = np.asarray(stamps.astype(np.int64) - times[0].astype(np.int64), dtype=np.int64)
    off_grid = np.flatnonzero(offsets % step)
    if off_grid.size:
        raise DataDefectError(
            f"{off_grid.size} timestamps are off the {seconds} s grid, first {str(stamps[off_grid[0]])[:23]}",
            hint="run `midas data check` on the file, or give the bar length",
        )
    rows: NDArray[np.int64] = offsets // step
    bars = int(rows.max()) + 1
    if bars > MOST_HOLES * len(times) + 100_000 or bars * symbols > MOST_CELLS:
        raise DataDefectError(
            f"from {str(times[0])[:16]} to {str(times[-1])[:16]} there would be {bars:,} bars of {seconds} s, "
            f"and only {len(times):,} are there",
            hint="check the first and last times, or give the bar length",
        )
    return rows


def _numbers(column: pd.Series[Any]) -> Matrix | None:
    """The column as float64; None when it holds no figures."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        return None
    if not pd.api.types.is_numeric_dtype(column):
        if isinstance(column.dtype, pd.CategoricalDtype):
            return None
        texts = column.astype("object")
        numbers = pd.to_numeric(texts, errors="coerce")
        if numbers.isna().all() and texts.notna().any():
            return None
        column = numbers
    if pd.api.types.is_complex_dtype(column):
        return None
    values: Matrix = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _symbol_codes(frame: pd.DataFrame) -> tuple[NDArray[np.int64], list[str]]:
    import pandas as pd

    if "symbol" not in frame.columns:
        return np.zeros(len(frame), dtype=np.int64), ["ASSET"]
    try:
        codes, names = pd.factorize(frame["symbol"])
    except TypeError as error:
        raise DataDefectError("the symbols are no texts", hint="one name a row") from error
    if (codes < 0).any():
        raise DataDefectError(f"row {frame.index[int(np.argmax(codes < 0))]} has no symbol")
    return codes.astype(np.int64), [str(n) for n in names]


def _bar_seconds(times: Times, bar: str | int | None) -> int:
    import pandas as pd

    if isinstance(bar, int):
        seconds = bar
    elif isinstance(bar, str):
        try:
            seconds = int(pd.Timedelta(bar).total_seconds())
        except ValueError as error:
            raise DataFormatError(f"{bar!r} is no bar length", hint="such as '1h' or '5min', or seconds") from error
    else:
        if len(times) < 2:
            raise DataFormatError("one bar does not tell its length", hint="give bar=, e.g. '1h'")
        steps, counts = np.unique(np.diff(times) // np.timedelta64(1, "s"), return_counts=True)
        seconds = int(steps[np.argmax(counts)].astype(np.int64))
    if seconds <= 0:
        raise DataDefectError("bars are shorter than one second", hint="check the unit of the times, or give bar=")
    return seconds
