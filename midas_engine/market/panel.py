"""`Panel`: named fields x time x symbol, the one shape all market data takes inside Midas."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataDefectError, DataFormatError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]
    Times = NDArray[np.datetime64]

SECONDS_PER_YEAR = 365 * 86_400
# Columns that are computed when the inputs are stored and the column itself is not.
DERIVED: Mapping[str, tuple[str, ...]] = MappingProxyType({"vwap": ("quote_volume", "volume"), "returns": ("close",)})


class Panel:
    """Market data on a regular UTC grid; immutable.

    Args:
        timestamps: datetime64[ns] [T], bar OPEN times, strictly ascending on a grid of `bar_seconds`.
        symbols: S names.
        fields: float64 [T, S] each; NaN where a symbol did not trade.
        bar_seconds: Length of a bar.

    Raises:
        DataDefectError: Shapes disagree, times are not on the grid or names repeat.

    Example:
        >>> import numpy as np
        >>> t = np.datetime64("2026-01-01", "ns") + np.arange(3) * np.timedelta64(3600, "s")
        >>> p = Panel(t, ("BTCUSDT",), {"close": np.array([[1.0], [2.0], [4.0]])}, 3600)
        >>> p.values("returns").ravel().tolist()
        [nan, 1.0, 1.0]
    """

    def __init__(
        self, timestamps: Times, symbols: Sequence[str], fields: Mapping[str, Matrix], bar_seconds: int
    ) -> None:
        times = np.ascontiguousarray(timestamps, dtype="datetime64[ns]")
        shape = (len(times), len(symbols))
        if bar_seconds <= 0:
            raise DataDefectError(f"bar length must be positive, not {bar_seconds} s")
        if len(set(symbols)) != len(symbols):
            raise DataDefectError("a symbol appears twice in the panel")
        steps = np.diff(times)
        if steps.size and not np.all(steps == np.timedelta64(bar_seconds, "s")):
            raise DataDefectError(
                f"times are not on a regular grid of {bar_seconds} s", hint="build the panel with Panel.from_frame"
            )
        self._fields: dict[str, Matrix] = {}
        for name, values in fields.items():
            array = np.ascontiguousarray(values, dtype=np.float64)
            if array.shape != shape:
                raise DataDefectError(f"field {name!r} has shape {array.shape}, the panel {shape}")
            if array is values or array.base is not None:
                array = array.copy()
            array.flags.writeable = False
            self._fields[name] = array
        times.flags.writeable = False
        self.timestamps = times
        self.symbols = tuple(symbols)
        self.bar_seconds = int(bar_seconds)
        self._derived: dict[str, Matrix] = {}
        self._snapshot: str | None = None

    # -- shape and units -----------------------------------------------------------------------

    @property
    def T(self) -> int:
        """Number of bars."""
        return len(self.timestamps)

    @property
    def S(self) -> int:
        """Number of symbols."""
        return len(self.symbols)

    @property
    def shape(self) -> tuple[int, int]:
        """(T, S)."""
        return self.T, self.S

    @property
    def fields(self) -> Mapping[str, Matrix]:
        """The stored fields, read-only."""
        return MappingProxyType(self._fields)

    @property
    def columns(self) -> tuple[str, ...]:
        """Stored and derivable columns."""
        derived = (n for n, needs in DERIVED.items() if n not in self._fields and all(i in self._fields for i in needs))
        return (*self._fields, *derived)

    @property
    def hours_per_bar(self) -> float:
        """Length of a bar in hours."""
        return self.bar_seconds / 3600

    @property
    def bars_per_year(self) -> float:
        """Bars in 365 days; perpetuals trade around the clock."""
        return SECONDS_PER_YEAR / self.bar_seconds

    def bars(self, hours: float) -> int:
        """How many bars make `hours`, at least one."""
        return max(1, round(hours * 3600 / self.bar_seconds))

    def __repr__(self) -> str:
        if not self.T:
            return "Panel(empty)"
        first, last = (str(t)[:16] for t in (self.timestamps[0], self.timestamps[-1]))
        shape = f"{self.T} bars of {self.bar_seconds} s x {self.S} symbols"
        return f"Panel({shape}, {first} to {last} UTC, {', '.join(self.columns)})"

    # -- values --------------------------------------------------------------------------------

    def values(self, column: str) -> Matrix:
        """A column [T, S], stored or derived (`vwap`, `returns`); read-only.

        Raises:
            UnknownNameError: The panel has no such column; the message lists what is there.
        """
        if column in self._fields:
            return self._fields[column]
        if column not in self._derived:
            if column not in self.columns:
                raise UnknownNameError(
                    f"no column {column!r} in this data", hint="there are: " + ", ".join(self.columns)
                )
            array = self._derive(column)
            array.flags.writeable = False
            self._derived[column] = array
        return self._derived[column]

    def _derive(self, column: str) -> Matrix:
        with np.errstate(all="ignore"):
            if column == "vwap":
                ratio: Matrix = self._fields["quote_volume"] / self._fields["volume"]
            else:
                close = self._fields["close"]
                ratio = np.full(self.shape, np.nan)
                ratio[1:] = close[1:] / close[:-1] - 1.0
        ratio[~np.isfinite(ratio)] = np.nan
        return ratio

    def __getitem__(self, column: str) -> Matrix:
        return self.values(column)

    @property
    def snapshot_id(self) -> str:
        """Hash of everything in the panel: times, names, values. The same data gives the same id."""
        if self._snapshot is None:
            digest = hashlib.blake2b(digest_size=8)
            digest.update(f"{self.bar_seconds}|{','.join(self.symbols)}".encode())
            digest.update(self.timestamps.tobytes())
            for name in sorted(self._fields):
                digest.update(name.encode())
                digest.update(np.nan_to_num(self._fields[name], nan=-7.25e-300).tobytes())
            self._snapshot = digest.hexdigest()
        return self._snapshot

    # -- parts ---------------------------------------------------------------------------------

    def slice(self, start: int | None, stop: int | None) -> Panel:
        """Bars start..stop (row positions, as Python slices)."""
        rows = slice(start, stop)
        return Panel(
            self.timestamps[rows], self.symbols, {n: v[rows] for n, v in self._fields.items()}, self.bar_seconds
        )

    def select(
        self,
        symbols: Iterable[str] | None = None,
        start: Any = None,
        end: Any = None,
        fields: Iterable[str] | None = None,
    ) -> Panel:
        """A part by names and by time; `end` is exclusive. Times are UTC strings, datetimes or datetime64."""
        names = tuple(symbols) if symbols is not None else self.symbols
        missing = [n for n in names if n not in self.symbols]
        if missing:
            raise UnknownNameError(
                f"no symbol {missing[0]!r} in this data", hint="there are: " + ", ".join(self.symbols)
            )
        kept = tuple(fields) if fields is not None else tuple(self._fields)
        for name in kept:
            if name not in self._fields:
                raise UnknownNameError(f"no field {name!r} in this data", hint="there are: " + ", ".join(self._fields))
        first = 0 if start is None else int(np.searchsorted(self.timestamps, _instant(start)))
        last = self.T if end is None else int(np.searchsorted(self.timestamps, _instant(end)))
        columns = [self.symbols.index(n) for n in names]
        return Panel(
            self.timestamps[first:last],
            names,
            {n: self._fields[n][first:last][:, columns] for n in kept},
            self.bar_seconds,
        )

    # -- pandas --------------------------------------------------------------------------------

    @property
    def index(self) -> pd.Index[Any]:
        """(timestamp, symbol) MultiIndex, time-major; a DatetimeIndex for one symbol. UTC."""
        import pandas as pd

        times = pd.DatetimeIndex(self.timestamps, name="timestamp").tz_localize("UTC")
        if self.S == 1:
            return times
        return pd.MultiIndex.from_product([times, list(self.symbols)], names=["timestamp", "symbol"])

    def to_series(self, values: Matrix, name: str | None = None) -> pd.Series[float]:
        """Values [T, S] as a Series on `index`."""
        import pandas as pd

        return pd.Series(np.asarray(values, dtype=np.float64).reshape(-1), index=self.index, name=name)

    def from_series(self, series: pd.Series[Any]) -> Matrix:
        """The inverse of `to_series`: aligned on labels; missing labels give NaN."""
        import pandas as pd

        if isinstance(series.index, pd.MultiIndex):
            wide = series.unstack(level=1).reindex(index=self.index.levels[0] if self.S > 1 else self.index)
            wide = wide.reindex(columns=list(self.symbols))
            return np.ascontiguousarray(wide.to_numpy(dtype=np.float64))
        if self.S != 1:
            raise DataFormatError("a series without a symbol level cannot fill a panel of many symbols")
        return np.ascontiguousarray(series.reindex(self.index).to_numpy(dtype=np.float64).reshape(-1, 1))

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, bar: str | int | None = None) -> Panel:
        """A panel from long rows: `timestamp`, optional `symbol`, and numeric fields.

        Args:
            frame: One row per bar and symbol; timestamps are UTC (naive ones are taken as UTC).
            bar: Bar length in seconds or as a pandas offset ("1h"); None takes the most common spacing.

        Raises:
            DataFormatError: No timestamp column, no numeric field, or nothing in it.
            DataDefectError: Duplicate rows, times off the grid, or text where numbers belong.
        """
        import pandas as pd

        if "timestamp" not in frame.columns:
            raise DataFormatError(
                "the frame has no `timestamp` column", hint="there are: " + ", ".join(map(str, frame.columns))
            )
        if frame.empty:
            raise DataFormatError("the frame has no rows")
        stamps = pd.to_datetime(frame["timestamp"], utc=True).dt.tz_localize(None).astype("datetime64[ns]")
        cols, symbols = _symbol_codes(frame)
        times = np.unique(stamps.to_numpy())
        seconds = _bar_seconds(times, bar)
        start = times[0]
        offsets = (stamps.to_numpy() - start) / np.timedelta64(seconds, "s")
        rows = np.rint(offsets).astype(np.int64)
        off_grid = np.flatnonzero(np.abs(offsets - rows) > 1e-9)
        if off_grid.size:
            raise DataDefectError(
                f"{off_grid.size} timestamps are off the {seconds} s grid, first {stamps.iloc[off_grid[0]]}",
                hint="run `midas data check` on the file, or give the bar length",
            )
        bars = int(rows.max()) + 1
        flat = rows * len(symbols) + cols
        if np.bincount(flat).max() > 1:
            first = frame.index[pd.Series(flat).duplicated().to_numpy()][0]
            raise DataDefectError(
                f"two rows for one bar and symbol, first at row {first}", hint="run `midas data check`"
            )
        grid = start + np.arange(bars) * np.timedelta64(seconds, "s")
        fields: dict[str, Matrix] = {}
        for column in frame.columns:
            if column in ("timestamp", "symbol"):
                continue
            numbers = pd.to_numeric(frame[column], errors="coerce") if frame[column].dtype == object else frame[column]
            if not pd.api.types.is_numeric_dtype(numbers):
                continue
            values = np.full(bars * len(symbols), np.nan)
            values[flat] = numbers.to_numpy(dtype=np.float64)
            values[~np.isfinite(values)] = np.nan
            fields[str(column)] = values.reshape(bars, len(symbols))
        if not fields:
            raise DataFormatError("the frame has no numeric column beside timestamp and symbol")
        return cls(grid, symbols, fields, seconds)

    def to_frame(self) -> pd.DataFrame:
        """Long rows, without those where every field is NaN."""
        import pandas as pd

        rows = np.repeat(self.timestamps, self.S)
        data: dict[str, Any] = {
            "timestamp": pd.DatetimeIndex(rows).tz_localize("UTC"),
            "symbol": np.tile(np.array(self.symbols, dtype=object), self.T),
        }
        data.update({n: v.reshape(-1) for n, v in self._fields.items()})
        frame = pd.DataFrame(data)
        return frame.dropna(how="all", subset=list(self._fields)).reset_index(drop=True)

    # -- disk ----------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write one Parquet file, whole or not at all; the bar length travels in its metadata."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pandas(self.to_frame(), preserve_index=False)
        meta = {b"midas.bar_seconds": str(self.bar_seconds).encode(), b"midas.symbols": ",".join(self.symbols).encode()}
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **meta})
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            pq.write_table(table, temporary, compression="zstd")
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return target

    @classmethod
    def load(cls, path: str | Path) -> Panel:
        """Read what `save` wrote, or any long Parquet file.

        Raises:
            DataFormatError: The file is missing or not Parquet.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        source = Path(path)
        if not source.is_file():
            raise DataFormatError(f"no file {source}", hint="`midas data import` makes one from exchange dumps")
        try:
            table = pq.read_table(source)
        except (pa.ArrowException, OSError) as error:
            raise DataFormatError(f"{source} is not a Parquet file Midas can read: {error}") from error
        meta = table.schema.metadata or {}
        bar = int(meta[b"midas.bar_seconds"]) if b"midas.bar_seconds" in meta else None
        panel = cls.from_frame(table.to_pandas(), bar)
        names = meta.get(b"midas.symbols", b"").decode().split(",")
        return panel.select(names) if set(names) == set(panel.symbols) else panel


def _symbol_codes(frame: pd.DataFrame) -> tuple[NDArray[np.int64], list[str]]:
    import pandas as pd

    if "symbol" not in frame.columns:
        return np.zeros(len(frame), dtype=np.int64), ["ASSET"]
    codes, names = pd.factorize(frame["symbol"])
    if (codes < 0).any():
        raise DataDefectError(f"row {frame.index[int(np.argmax(codes < 0))]} has no symbol")
    return codes.astype(np.int64), [str(n) for n in names]


def _instant(when: Any) -> np.datetime64:
    import pandas as pd

    stamp = pd.Timestamp(when)
    stamp = stamp.tz_convert("UTC").tz_localize(None) if stamp.tzinfo else stamp
    return np.datetime64(stamp.value, "ns")


def _bar_seconds(times: Times, bar: str | int | None) -> int:
    import pandas as pd

    if isinstance(bar, int):
        return bar
    if isinstance(bar, str):
        return int(pd.Timedelta(bar).total_seconds())
    if len(times) < 2:
        raise DataFormatError("one bar does not tell its length", hint="give bar=, e.g. '1h'")
    steps, counts = np.unique(np.diff(times) // np.timedelta64(1, "s"), return_counts=True)
    seconds = int(steps[np.argmax(counts)].astype(np.int64))
    if seconds <= 0:
        raise DataDefectError("timestamps are closer than one second", hint="check their unit (s, ms, us, ns)")
    return seconds
