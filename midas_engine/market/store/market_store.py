"""`MarketStore`: bars by venue, bar length and month in Parquet, under one manifest; for readers and writers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from midas_engine.clock import Clock, WallClock
from midas_engine.errors import DataDefectError, DataError
from midas_engine.market.store.address import StoreAddress, bar_length, bar_name, venue_name
from midas_engine.market.store.append import append_rows
from midas_engine.market.store.lock import writing
from midas_engine.market.store.lookup import find_series
from midas_engine.market.store.manifest import MANIFEST, Manifest, Series, read_manifest, write_manifest
from midas_engine.market.store.reading import open_panel
from midas_engine.market.store.rows import Rows, instant, rows_of_frames, rows_of_panel
from midas_engine.market.store.segment_file import read_segment
from midas_engine.market.store.transaction import Transaction, disk_refused, sweep_leftovers

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.market.panel import Panel
    from midas_engine.market.provenance import Provenance
    from midas_engine.market.store.report import AppendReport, Finding, Tidied

T = TypeVar("T")
_TRIES = 5


class MarketStore:
    """A folder of market data that grows.

    Any number of processes may read while one writes: a reader sees the store before a change or after it. Files are
    never changed, only replaced; what the manifest does not name is not in the store.

    Args:
        path: The folder; made by the first write.
        clock: Dates what is written.

    Example:
        >>> import tempfile
        >>> from datetime import UTC, datetime
        >>> from midas_engine.market.store import Provenance
        >>> store = MarketStore(tempfile.mkdtemp())
        >>> hours = np.datetime64("2026-01-01T00", "ns") + np.arange(3) * np.timedelta64(1, "h")
        >>> bars = {"BTCUSDT": {"timestamp": hours, "close": np.array([1.0, 2.0, np.nan])}}
        >>> given = Provenance("fetched", "binance", "candles", datetime(2026, 1, 2, tzinfo=UTC))
        >>> print(store.append("binance", "1h", bars, given))
        binance@1h: 2 bars added
        >>> store.panel("store:binance@1h")["close"].ravel().tolist()
        [1.0, 2.0]
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None) -> None:
        self.path = Path(path).expanduser()
        self.clock: Clock = clock or WallClock()
        self._swept = False

    # -- reading ---------------------------------------------------------------------------------------------------

    def manifest(self) -> Manifest:
        """What the store holds now.

        Raises:
            DataDefectError: The manifest is damaged.
        """
        return read_manifest(self.path)

    def series(self, address: str | StoreAddress) -> Series:
        """The series that `store:NAME[@BAR]` names, as the manifest describes it.

        Raises:
            DataFormatError: There is none, or which one is meant cannot be told.
        """
        return find_series(self.manifest(), _address(address), self.path)

    def panel(self, address: str | StoreAddress, *, last: int | None = None) -> Panel:
        """The panel that `store:NAME[:SYMBOLS][@BAR]` names; columns are opened when they are asked for.

        Args:
            address: Which part.
            last: Only so many bars at its end, decoded from the files of their months alone.

        Raises:
            DataFormatError: There is none, or which one is meant cannot be told.
            DataDefectError: A file is missing or damaged; says which.
            UnknownNameError: A symbol is not there.
        """
        asked = _address(address)
        return self._steadily(
            lambda known: open_panel(self.path, find_series(known, asked, self.path), asked.symbols, self.clock, last)
        )

    def newest(self, venue: str, bar: str | int, symbol: str, column: str = "close") -> np.datetime64 | None:
        """Open time of the newest bar of `symbol` with a figure in `column`; None when there is none.

        Raises:
            DataDefectError: A file is damaged.
        """
        return self._steadily(lambda known: self._end(known, venue, bar, symbol, column, newest=True))

    def oldest(self, venue: str, bar: str | int, symbol: str, column: str = "close") -> np.datetime64 | None:
        """Open time of the oldest bar of `symbol` with a figure in `column`; None when there is none.

        Raises:
            DataDefectError: A file is damaged.
        """
        return self._steadily(lambda known: self._end(known, venue, bar, symbol, column, newest=False))

    def known(self, venue: str, bar: str | int, symbol: str, column: str = "close") -> np.ndarray[Any, Any]:
        """Open times of all bars of `symbol` with a figure in `column`, ascending: what lies between is a gap.

        Returns:
            [N] datetime64[ns].

        Raises:
            DataDefectError: A file is damaged.
        """

        def read(manifest: Manifest) -> np.ndarray[Any, Any]:
            series = manifest.series.get(_key(venue, bar))
            times = [self._times(s, symbol, column) for s in (series.segments() if series else ())]
            return (
                np.sort(np.concatenate([*times, np.empty(0, np.int64)]))
                .astype("datetime64[s]")
                .astype("datetime64[ns]")
            )

        return self._steadily(read)

    def _end(
        self, known: Manifest, venue: str, bar: str | int, symbol: str, column: str, *, newest: bool
    ) -> np.datetime64 | None:
        series = known.series.get(_key(venue, bar))
        for month in sorted(series.months if series else (), reverse=newest):
            assert series is not None
            times = [self._times(segment, symbol, column) for segment in series.months[month]]
            found = [t[-1] if newest else t[0] for t in times if t.size]
            if found:
                end = max(found) if newest else min(found)
                return instant(end)
        return None

    def _times(self, segment: Any, symbol: str, column: str) -> np.ndarray[Any, Any]:
        if symbol not in segment.symbols or column not in segment.columns:
            return np.empty(0, np.int64)
        rows = read_segment(self.path, segment, [column])
        mine = rows.codes == rows.symbols.index(symbol)
        return np.asarray(rows.seconds[mine & ~np.isnan(rows.columns[column])])

    def _steadily(self, read: Callable[[Manifest], T]) -> T:
        """`read` of the manifest; again when a file was gone because another process changed the store meanwhile."""
        for _ in range(_TRIES):
            manifest = self.manifest()
            try:
                return read(manifest)
            except (FileNotFoundError, DataDefectError) as error:
                if self.manifest().number == manifest.number:
                    if isinstance(error, FileNotFoundError):
                        raise DataDefectError(
                            f"a file of the store is missing: {error.filename}",
                            hint="`midas data verify` names everything that is wrong",
                        ) from error
                    raise
        raise DataError(f"the store {self.path} changes faster than it can be read", hint="try again")

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(
        self,
        venue: str,
        bar: str | int,
        frames: Mapping[str, Any],
        provenance: Provenance | Mapping[str, Provenance],
        *,
        replace: bool = False,
    ) -> AppendReport:
        """Put bars of a venue into the store, all of them or, when anything goes wrong, none.

        A figure that is unknown (NaN) never takes the place of a known one. A figure that differs from the known one
        is a new revision: it is read from now on, the old one stays beside it, and the report says so.

        Args:
            venue: Whose bars; letters, digits, - and _.
            bar: Their length, such as "1h", or seconds.
            frames: Symbol -> DataFrame (or mapping of arrays) with `timestamp`, the bars' open times in UTC (of a
                DataFrame its DatetimeIndex serves too), and one column a figure.
            provenance: Who gave the figures; of all columns, or by column.
            replace: First drop everything the series has; its sealed boundary stays.

        Raises:
            DataFormatError: The venue, the length or a column cannot be used.
            DataDefectError: Times off the grid, a bar given twice with different figures, or a damaged file.
            DataError: Another process writes, or the disk refused; the store is as it was.
        """
        return self._append(venue, bar, rows_of_frames(frames), provenance, replace)

    def append_panel(
        self,
        venue: str,
        panel: Panel,
        provenance: Provenance | Mapping[str, Provenance],
        *,
        replace: bool = False,
    ) -> AppendReport:
        """`append` of a whole panel."""
        return self._append(venue, panel.bar_seconds, rows_of_panel(panel), provenance, replace)

    def _append(
        self,
        venue: str,
        bar: str | int,
        rows: Rows,
        provenance: Provenance | Mapping[str, Provenance],
        replace: bool,
    ) -> AppendReport:
        name, seconds = venue_name(venue), _seconds(bar)
        given = provenance if isinstance(provenance, Mapping) else dict.fromkeys(rows.columns, provenance)
        unsaid = [c for c in rows.columns if c not in given]
        if unsaid:
            raise DataDefectError(f"nobody says where column {unsaid[0]!r} comes from", hint="give its provenance")
        return self.change(lambda change: append_rows(change, name, seconds, rows, given, replace_all=replace))

    # -- keeping ---------------------------------------------------------------------------------------------------

    def verify(self, address: str | StoreAddress | None = None) -> list[Finding]:
        """Everything that is wrong in the store's folder, or in one series; nothing is changed."""
        from midas_engine.market.store.verify import verify

        return verify(self.path, () if address is None else (self.series(address).key,))

    def compact(self, address: str | StoreAddress | None = None) -> Tidied:
        """One file a month, in the whole store or in one series; the content stays as it is.

        Raises:
            DataError: Another process writes, the disk refused, or a file is damaged.
        """
        from midas_engine.market.store.tidy import compact

        return self.change(lambda change: compact(change, self._chosen(change, address)))

    def prune(self, address: str | StoreAddress | None = None, *, before: np.datetime64 | None = None) -> Tidied:
        """Give up bars that opened before a time, dead writers' leftovers and stale caches.

        Raises:
            DataFormatError: No bar of a series would stay.
            DataError: Another process writes, the disk refused, or a file is damaged.
        """
        from midas_engine.market.store.tidy import prune

        return self.change(lambda change: prune(change, self._chosen(change, address), before))

    def _chosen(self, change: Transaction, address: str | StoreAddress | None) -> list[Series]:
        known = change.manifest
        if address is not None:
            return [find_series(known, _address(address), self.path)]
        return [series for series in known.series.values() if series.months]

    def change(self, make: Callable[[Transaction], T]) -> T:
        """Let `make` change the store, as its only writer; whatever fails, the store is as it was."""
        with writing(self.path):
            transaction = Transaction(self.path)
            try:
                if not (self.path / MANIFEST).exists():
                    # Before any file of bars: files without a manifest have lost theirs, and are never swept away.
                    write_manifest(self.path, transaction.manifest)
            except OSError as error:
                raise disk_refused(self.path, error) from error
            if not self._swept:
                sweep_leftovers(self.path, transaction.manifest)
                self._swept = True
            try:
                return make(transaction)
            except OSError as error:
                transaction.give_up()
                raise disk_refused(self.path, error) from error
            except BaseException:
                transaction.give_up()
                raise


def _address(address: str | StoreAddress) -> StoreAddress:
    from midas_engine.market.store.address import store_address

    return store_address(address) if isinstance(address, str) else address


def _seconds(bar: str | int) -> int:
    seconds = bar if isinstance(bar, int) else bar_length(bar)
    bar_name(seconds)
    return seconds


def _key(venue: str, bar: str | int) -> str:
    return f"{venue_name(venue)}@{bar_name(_seconds(bar))}"
