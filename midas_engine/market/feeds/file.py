"""`FileSource`: a panel file that your own collector keeps writing to; its new rows are the new bars."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import FeedError, MidasError
from midas_engine.market.feeds.base import Candle, Settlement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.market.panel import Panel

PAGE = 5000


class FileSource:
    """Bars of a Parquet or CSV file, or of a folder made by `midas data import`, read again whenever it changes.

    Args:
        path: The file or folder. The writer should replace it in one step (write beside it, then rename).
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._seen: tuple[int, int] | None = None
        self._panel: Panel | None = None
        self._lock = asyncio.Lock()
        self.name = str(path)

    @property
    def bar_seconds(self) -> int:
        """Length of a bar, from the file."""
        if self._panel is None:
            self._panel, self._seen = self._load(), self._stamp()
        return self._panel.bar_seconds

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
            stamp = await asyncio.to_thread(self._stamp)
            if self._panel is None or stamp != self._seen:
                self._panel = await asyncio.to_thread(self._load)
                self._seen = stamp
            return self._panel

    def _stamp(self) -> tuple[int, int]:
        path = self._path / "panel.parquet" if self._path.is_dir() else self._path
        try:
            status = path.stat()
        except OSError as error:
            raise FeedError(
                f"{self._path} cannot be read: {error.strerror}", hint="is the collector running?"
            ) from error
        return status.st_mtime_ns, status.st_size

    def _load(self) -> Panel:
        from midas_engine.market.sources import load_panel

        try:
            return load_panel(self._path)
        except MidasError as error:
            raise FeedError(error.message, hint=error.hint) from error
        except (OSError, ValueError) as error:
            raise FeedError(f"{self._path} cannot be read: {error}", hint="it is read again at the next bar") from error
