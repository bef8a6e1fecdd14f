"""From the store's files to a panel: only the columns that are asked for, mapped from the cache where it can be."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import DataDefectError, DataFormatError
from midas_engine.market.lazy_columns import LazyColumns
from midas_engine.market.panel import Panel
from midas_engine.market.store.address import bar_name
from midas_engine.market.store.append import joint_origins
from midas_engine.market.store.column_cache import CACHE, cache_name, map_column, write_column
from midas_engine.market.store.lookup import chosen_symbols, snapshot_of
from midas_engine.market.store.manifest import read_manifest
from midas_engine.market.store.seal import StoreOrigin
from midas_engine.market.store.segment_file import read_segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from midas_engine.clock import Clock
    from midas_engine.market.store.manifest import Series

    Matrix = NDArray[np.float64]

_MOST_CELLS = 500_000_000
_TRIES = 5


def open_panel(
    folder: Path, series: Series, symbols: Sequence[str], clock: Clock, last_bars: int | None = None
) -> Panel:
    """The panel of a series, or of some of its symbols. Columns are decoded when they are asked for.

    Raises:
        DataDefectError: A file is missing or is not what was written; says which.
        UnknownNameError: A symbol is not there.
    """
    for segment in series.segments():
        path = folder / segment.file
        try:
            size = path.stat().st_size
        except OSError:
            size = -1
        if size != segment.size:
            what = "is missing" if size < 0 else f"has {size:,} bytes, and {segment.size:,} were written"
            raise DataDefectError(
                f"{segment.file} of the store {folder} {what}",
                hint="`midas data verify` names everything that is wrong; import or fetch that month again",
            )
    names = chosen_symbols(series, symbols)
    part = set(names)
    spans = [span for segment in series.segments() for n, span in segment.symbols.items() if n in part]
    first, last = min(s.first for s in spans), max(s.last for s in spans)
    if last_bars is not None:
        first = max(first, last - (last_bars - 1) * series.bar_seconds)
        since = str(np.datetime64(first, "s").astype("datetime64[M]"))
        series = replace(series, months={m: f for m, f in series.months.items() if m >= since})
    bars = (last - first) // series.bar_seconds + 1
    if bars * len(names) > _MOST_CELLS:
        raise DataFormatError(
            f"{series.key} has {bars:,} bars of {len(names):,} symbols, more than {_MOST_CELLS:,} cells",
            hint=f"name fewer symbols: store:{series.venue}:BTCUSDT,ETHUSDT@{bar_name(series.bar_seconds)}",
        )
    grid = Grid(folder, series, names, cached=last_bars is None)
    rows = slice((first - grid.first) // series.bar_seconds, (last - grid.first) // series.bar_seconds + 1)
    places = [grid.symbols.index(n) for n in names]
    whole = tuple(names) == grid.symbols and rows == slice(0, grid.bars)

    def opened(column: str) -> Matrix:
        values = _column(grid, column)
        if not whole:
            values = np.ascontiguousarray(values[rows][:, places])
            values.flags.writeable = False
        return values

    origin = StoreOrigin(folder, series.venue, series.bar_seconds, tuple(symbols and names), clock)
    return Panel.over(
        (first + np.arange(bars) * series.bar_seconds).astype("datetime64[s]").astype("datetime64[ns]"),
        names,
        LazyColumns(series.columns, opened),
        series.bar_seconds,
        snapshot=snapshot_of(series, names) + ("" if last_bars is None else f"-{bars}"),
        origin=origin if last_bars is None else None,
        provenance=joint_origins(series.segments()),
    )


def _column(grid: Grid, column: str) -> Matrix:
    """A column of the series as it was opened, also where files were folded or bars appended since."""
    for _ in range(_TRIES):
        try:
            return grid.column(column)
        except (FileNotFoundError, DataDefectError):
            newer = grid.newer()
            if newer is None:
                raise
            grid = newer
    raise DataDefectError(f"{grid.name} of the store changes faster than it can be read", hint="try again")


class Grid:
    """All bars x all symbols of a series, column by column.

    Args:
        folder: The store.
        series: Which.
        symbols: Without the cache: which symbols are decoded; None: all.
        cached: Map decoded columns from the cache, and put them there.
    """

    def __init__(
        self, folder: Path, series: Series, symbols: Sequence[str] | None = None, *, cached: bool = True
    ) -> None:
        self._folder, self._series, self._cached = folder, series, cached
        # without the cache there is no reason to decode what nobody asked for
        self.symbols = series.symbols if cached or symbols is None else tuple(symbols)
        self.first = series.first
        self.bars = (series.last - self.first) // series.bar_seconds + 1

    @property
    def name(self) -> str:
        """`binance@1h`."""
        return self._series.key

    def newer(self) -> Grid | None:
        """The same bars and symbols in the store's newer files; None when there are no newer ones.

        Raises:
            DataDefectError: Figures of these bars were restated or dropped since they were opened.
        """
        series = read_manifest(self._folder).series.get(self._series.key)
        if series == self._series:
            return None
        same = series is not None and series.restated == self._series.restated
        if series is None or not same or series.first > self.first or not set(self.symbols) <= set(series.symbols):
            raise DataDefectError(
                f"{self.name} of the store was restated, replaced or pruned while it was in use",
                hint="open it again: run the command once more",
            )
        grid = Grid(self._folder, series, cached=self._cached)
        grid.symbols, grid.first, grid.bars = self.symbols, self.first, self.bars
        return grid

    @property
    def cache(self) -> Path:
        """Where decoded columns lie."""
        return self._folder / CACHE / self._series.venue / bar_name(self._series.bar_seconds)

    def column(self, name: str) -> Matrix:
        """A column [T, S], read-only; decoded first when the cache does not have it as it is now.

        Raises:
            DataDefectError: A file is damaged.
            FileNotFoundError: A file is gone: another process rewrote the month.
        """
        if not self._cached:
            return self._decoded(name)
        shape = (self.bars, len(self.symbols))
        path = self.cache / cache_name(name, self.mark)
        mapped = map_column(path, shape)
        if mapped is None:
            try:
                write_column(path, self._blocks(name))
                mapped = map_column(path, shape)
            except FileNotFoundError:
                raise
            except OSError:
                mapped = None  # a store that cannot be written is read all the same
        return self._decoded(name) if mapped is None else mapped

    def _decoded(self, name: str) -> Matrix:
        values: Matrix = np.vstack(list(self._blocks(name)))
        values.flags.writeable = False
        return values

    @property
    def mark(self) -> str:
        """What the cached columns are of: the content, and the part of it."""
        said = json.dumps([self._series.mark, self.symbols, self.first, self.bars])
        return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()

    def _blocks(self, column: str) -> Iterator[Matrix]:
        """The column a month at a time, so that a large one is never whole in memory."""
        step, at = self._series.bar_seconds, 0
        place = {name: i for i, name in enumerate(self.symbols)}
        for month in sorted(self._series.months):
            if at >= self.bars:
                break
            after = (np.datetime64(month, "M") + 1).astype("datetime64[s]").astype(np.int64)
            stop = max(at, min(self.bars, int(-((self.first - after) // step))))
            begin = self.first + at * step
            if stop == at:
                continue
            block = np.full((stop - at, len(self.symbols)), np.nan)
            for segment in self._series.months[month]:
                if column in segment.columns:
                    rows = read_segment(self._folder, segment, [column])
                    across = np.array([place.get(n, -1) for n in rows.symbols])[rows.codes]
                    down = (rows.seconds - begin) // step
                    mine = (across >= 0) & (down >= 0) & (down < len(block))
                    block[down[mine], across[mine]] = rows.columns[column][mine]
            yield block
            at = stop
