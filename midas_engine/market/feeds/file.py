"""`FileSource`: a file, or a folder of files, that your own collector keeps writing to; new rows are the new bars."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import FeedError, MidasError
from midas_engine.market.feeds.base import Candle, Settlement
from midas_engine.market.feeds.faults import as_feed_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.market.panel import Panel

PAGE = 5000
_PACKED = frozenset((".parquet", ".feather", ".zip", ".gz", ".zst", ".bz2", ".xz"))
"""Their last byte says nothing of whether they are whole."""
Stamp = tuple[tuple[Path, int, int, int, int], ...]
"""Of every file that is read: when it was written and changed, its size, which it is."""


class FileSource:
    """Bars of a Parquet or CSV file, or of a folder, read again as a whole whenever anything in it changes.

    A folder is one that `midas data import` made, or one of files as a collector keeps them: one a symbol, one a day.

    Args:
        path: The file or folder. The writer should replace it in one step (write beside it, then rename); a file
            caught while it is written is read again a moment later.
        grace_seconds: How long a symbol's late bar is waited for; None leaves it to the feed.
    """

    def __init__(self, path: Path | str, *, grace_seconds: float | None = None) -> None:
        self._path = Path(path)
        self._seen: Stamp | None = None
        self._torn: Stamp | None = None
        self._panel: Panel | None = None
        self._bar_seconds = 0
        self._lock = asyncio.Lock()
        self.grace_seconds = grace_seconds
        self.name = str(path)

    @property
    def bar_seconds(self) -> int:
        """Length of a bar, from the file."""
        if not self._bar_seconds:
            stamp = self._stamp() if self._path.exists() else None
            self._panel, self._seen = self._load(), stamp
        return self._bar_seconds

    async def symbols(self) -> Sequence[str]:
        """The symbols the file has at the start; ones that appear later are left out until the next start."""
        return (await self._fresh()).symbols

    async def candles(self, symbol: str, since_ms: int) -> Sequence[Candle]:
        """See `BarSource.candles`."""
        panel = await self._fresh()
        if symbol not in panel.symbols:
            return ()
        column = panel.symbols.index(symbol)
        times = panel.timestamps.astype("datetime64[ms]").astype(np.int64)
        first = int(np.searchsorted(times, since_ms))
        rows = slice(first, min(first + PAGE, panel.T))
        fields = {n: v[rows, column] for n, v in panel.fields.items() if n not in ("funding_rate", "funding_paid")}
        return [
            Candle(int(t), {name: float(values[i]) for name, values in fields.items()})
            for i, t in enumerate(times[rows])
            if any(np.isfinite(values[i]) for values in fields.values())
        ]

    async def settlements(self, symbol: str, since_ms: int) -> Sequence[Settlement]:
        """Settlements are where `funding_paid` is not zero: at the close of their bar."""
        panel = await self._fresh()
        if symbol not in panel.symbols or "funding_paid" not in panel.fields:
            return ()
        paid = panel.fields["funding_paid"][:, panel.symbols.index(symbol)]
        closes = panel.timestamps.astype("datetime64[ms]").astype(np.int64) + panel.bar_seconds * 1000
        chosen = np.flatnonzero(np.isfinite(paid) & (paid != 0.0) & (closes >= since_ms))
        return [Settlement(int(closes[i]), float(paid[i])) for i in chosen]

    async def close(self) -> None:
        """Nothing to let go of."""

    async def _fresh(self) -> Panel:
        async with self._lock:
            return await asyncio.to_thread(self._read)

    def _read(self) -> Panel:
        stamp = self._stamp()
        if self._panel is None or stamp != self._seen:
            self._whole(stamp)
            self._panel, self._seen = self._load(), stamp
        return self._panel

    def _stamp(self) -> Stamp:
        found = []
        for file in self._files():
            try:
                status = file.stat()
            except OSError as error:
                raise FeedError(f"{file} cannot be read: {error.strerror}", hint="is the collector running?") from error
            if not stat.S_ISREG(status.st_mode):
                raise FeedError(f"{file} cannot be read: it is no file", hint="is the collector running?")
            found.append((file, status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino))
        return tuple(found)

    def _files(self) -> list[Path]:
        if not self._path.is_dir():
            return [self._path]
        if (whole := self._path / "panel.parquet").is_file():
            return [whole]
        from midas_engine.market.importers.files import find_files

        try:
            return find_files(self._path)
        except MidasError as error:
            raise FeedError(error.message, hint=f"{error.hint}; is the collector running?") from error

    def _whole(self, stamp: Stamp) -> None:
        """Refuse a text whose last line is not ended, unless it has stayed so: its last number may be half there."""
        if stamp == self._torn:
            return
        known = frozenset(self._seen or ())
        for one in stamp:
            file, size = one[0], one[3]
            if one in known or file.suffix.lower() in _PACKED:
                continue
            with as_feed_error(self.name, "its bars"), file.open("rb") as opened:
                opened.seek(max(0, size - 1))
                if opened.read(1) not in (b"\n", b"\r"):
                    self._torn = stamp
                    raise FeedError(f"{file} is being written", hint="it is read again in a moment")

    def _load(self) -> Panel:
        from midas_engine.market.sources import load_panel

        try:
            panel = load_panel(self._path)
        except MidasError as error:
            raise FeedError(error.message, hint=error.hint) from error
        except Exception as error:
            raise FeedError(
                f"{self._path} cannot be read: {type(error).__name__}: {error}", hint="it is read again in a moment"
            ) from error
        if self._bar_seconds and panel.bar_seconds != self._bar_seconds:
            raise FeedError(
                f"{self._path} has bars of {panel.bar_seconds} s now; it had {self._bar_seconds} s",
                hint="start again if the collector was changed",
            )
        self._bar_seconds = panel.bar_seconds
        return panel
