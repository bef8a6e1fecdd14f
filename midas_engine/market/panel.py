"""`Panel`: named fields x time x symbol, the one shape all market data takes inside Midas."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataDefectError, UnknownNameError
from midas_engine.market.lazy_columns import LazyColumns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from midas_engine.market.origin import Origin
    from midas_engine.market.provenance import Provenance

    Matrix = NDArray[np.float64]
    Times = NDArray[np.datetime64]

SECONDS_PER_YEAR = 365 * 86_400
# Columns that are computed when the inputs are stored and the column itself is not.
DERIVED: Mapping[str, tuple[str, ...]] = MappingProxyType({"vwap": ("quote_volume", "volume"), "returns": ("close",)})


class Panel:
    """Market data on a regular UTC grid; immutable.

    Args:
        timestamps: [T] datetime64[ns], bar OPEN times, strictly ascending on a grid of `bar_seconds`.
        symbols: S names.
        fields: float64 [T, S] each; NaN where a symbol did not trade.
        bar_seconds: Length of a bar.
        provenance: Who gave a column; a column that is not in it is unproven, whatever its name.

    Attributes:
        origin: The store it was opened from, which goes on growing; None of a panel that is what it is.

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
        self,
        timestamps: Times,
        symbols: Sequence[str],
        fields: Mapping[str, Matrix],
        bar_seconds: int,
        *,
        provenance: Mapping[str, Sequence[Provenance]] | None = None,
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
        checked: dict[str, Matrix] = {}
        for name, values in fields.items():
            array = np.ascontiguousarray(values, dtype=np.float64)
            if array.shape != shape:
                raise DataDefectError(f"field {name!r} has shape {array.shape}, the panel {shape}")
            if array is values or array.base is not None:
                array = array.copy()
            array.flags.writeable = False
            checked[name] = array
        self._adopt(times, symbols, checked, bar_seconds)
        self.provenance = MappingProxyType({n: tuple(p) for n, p in (provenance or {}).items() if n in checked})

    def _adopt(self, times: Times, symbols: Sequence[str], fields: Mapping[str, Matrix], bar_seconds: int) -> None:
        times.flags.writeable = False
        self.timestamps = times
        self.symbols = tuple(symbols)
        self.bar_seconds = int(bar_seconds)
        self.origin: Origin | None = None
        self._fields: Mapping[str, Matrix] = fields
        self._derived: dict[str, Matrix] = {}
        self._ready: Mapping[str, Matrix] = {}
        self._snapshot: str | None = None

    @classmethod
    def over(
        cls,
        timestamps: Times,
        symbols: Sequence[str],
        fields: Mapping[str, Matrix],
        bar_seconds: int,
        *,
        snapshot: str,
        origin: Origin | None = None,
        provenance: Mapping[str, Sequence[Provenance]] | None = None,
        derived: Mapping[str, Matrix] | None = None,
    ) -> Panel:
        """A panel over arrays that lie elsewhere (mapped from a file, opened when asked for): nothing is copied.

        Args:
            timestamps: As of a panel, and on its grid already.
            symbols: As of a panel.
            fields: Read-only float64 [T, S] each; a mapping that opens a column when it is asked for will do.
            bar_seconds: As of a panel.
            snapshot: Stands for the whole content.
            origin: The store.
            provenance: As of a panel.
            derived: Derived columns that lie elsewhere too; those that do not are derived when they are asked for.
        """
        panel = cls.__new__(cls)
        panel._adopt(timestamps, symbols, fields, bar_seconds)
        panel._snapshot, panel.origin, panel._ready = snapshot, origin, derived or {}
        panel.provenance = MappingProxyType({n: tuple(p) for n, p in (provenance or {}).items()})
        return panel

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
    def closes(self) -> Times:
        """When each bar ends, and is known [T]."""
        return np.asarray(self.timestamps + np.timedelta64(self.bar_seconds, "s"), dtype="datetime64[ns]")

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
        for there in (self._fields, self._ready):
            if column in there:
                return there[column]
        if column not in self._derived:
            if column not in self.columns:
                raise UnknownNameError(
                    f"no column {column!r} in this data", hint="there are: " + ", ".join(self.columns)
                )
            array = self._derive(column)
            array.flags.writeable = False
            self._derived[column] = array
        return self._derived[column]

    def rows(self, column: str, start: int, stop: int) -> Matrix:
        """Rows start..stop of a column; of a derived one these alone are computed, and nothing is kept.

        For a walk over a history that is larger than memory: `let_go` after each step.
        """
        if any(column in d for d in (self._fields, self._ready, self._derived)) or column not in self.columns:
            return self.values(column)[start:stop]
        return self._derive(column, start, stop)

    def _derive(self, column: str, start: int = 0, stop: int | None = None) -> Matrix:
        stop = self.T if stop is None else stop
        with np.errstate(all="ignore"):
            if column == "vwap":
                ratio: Matrix = self._fields["quote_volume"][start:stop] / self._fields["volume"][start:stop]
            else:
                close = self._fields["close"]
                ratio = np.full((stop - start, self.S), np.nan)
                first = max(start, 1)
                ratio[first - start :] = close[first:stop] / close[first - 1 : stop - 1] - 1.0
        ratio[~np.isfinite(ratio)] = np.nan
        return ratio

    def let_go(self) -> None:
        """Give back the memory of columns that are mapped from a file: what is read again is read from it again."""
        for columns in (self._fields, self._ready):
            if isinstance(columns, LazyColumns):
                columns.let_go()

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

    @property
    def identity(self) -> str:
        """What a trial's key calls this data: of a store venue, bar, universe and seal; else the content."""
        return self.snapshot_id if self.origin is None else self.origin.identity

    # -- parts ---------------------------------------------------------------------------------

    def slice(self, start: int | None, stop: int | None) -> Panel:
        """Bars start..stop (row positions, as Python slices)."""
        rows = slice(start, stop)
        fields = {n: v[rows] for n, v in self._fields.items()}
        return Panel(self.timestamps[rows], self.symbols, fields, self.bar_seconds, provenance=self.provenance)

    def head(self, stop: int) -> Panel:
        """The first `stop` bars over the same memory: nothing is copied, and a derived column is derived once."""
        panel = Panel.__new__(Panel)
        fields = LazyColumns(self._fields, lambda name: self.values(name)[:stop])
        panel._adopt(self.timestamps[:stop], self.symbols, fields, self.bar_seconds)
        panel.provenance = self.provenance
        derived = [n for n in self.columns if n not in self._fields]
        panel._ready = LazyColumns(derived, lambda name: self.values(name)[:stop])
        return panel

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
            provenance=self.provenance,
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

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, bar: str | int | None = None) -> Panel:
        """A panel from long rows: `timestamp`, optional `symbol`, and numeric fields.

        Args:
            frame: One row per bar and symbol, in any order; timestamps are dates, ISO 8601 texts or epoch numbers in
                s, ms, us or ns, in UTC (those without a zone are taken as UTC).
            bar: Bar length in seconds or as a pandas offset ("1h"); None takes the most common spacing.

        Raises:
            DataFormatError: No timestamp column, no numeric field, or nothing in it.
            DataDefectError: Duplicate rows, times off the grid, or text where numbers belong.
        """
        from midas_engine.market.long_form import panel_of

        return panel_of(cls, frame, bar)

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
        """Write one Parquet file, durably, whole or not at all. The grid travels in its metadata.

        Raises:
            OSError: The disk refused; what was there before is there still.
        """
        from midas_engine.market.panel_file import write_panel

        return write_panel(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Panel:
        """Read what `save` wrote, to the bit, or any long Parquet file.

        Raises:
            DataFormatError: The file is missing or not Parquet.
            DataDefectError: Its rows make no panel.
        """
        from midas_engine.market.panel_file import read_panel

        return read_panel(cls, Path(path))


def _instant(when: Any) -> np.datetime64:
    import pandas as pd

    stamp = pd.Timestamp(when)
    stamp = stamp.tz_convert("UTC").tz_localize(None) if stamp.tzinfo else stamp
    return np.datetime64(stamp.value, "ns")
