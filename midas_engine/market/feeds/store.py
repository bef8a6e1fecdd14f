"""`StoreSource`: a part of the market store that somebody else adds to; its new bars are the new bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.errors import FeedError, MidasError
from midas_engine.market.feeds.base import HISTORY_HOURS, LEAST_HISTORY_BARS, MOST_HISTORY_BARS
from midas_engine.market.feeds.file import FileSource

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.market.panel import Panel

# Beside the history itself: settlements of funding are asked for from some days before it.
_BEFORE_HOURS = 24 * 4


class StoreSource(FileSource):
    """Bars of the market store, read again whenever its manifest changes.

    Args:
        address: ``store:NAME[:SYMBOLS][@BAR]``.
        folder: The store.
        grace_seconds: How long a symbol's late bar is waited for; None leaves it to the feed.
    """

    def __init__(self, address: str, folder: str | Path, *, grace_seconds: float | None = None) -> None:
        from midas_engine.market.store import MarketStore
        from midas_engine.market.store.manifest import MANIFEST

        self._store, self._address = MarketStore(folder), address
        super().__init__(self._store.path / MANIFEST, grace_seconds=grace_seconds)
        self.name = address

    def _panel_now(self) -> Panel:
        series = self._store.series(self._address)
        hours = HISTORY_HOURS + _BEFORE_HOURS
        before = _BEFORE_HOURS * 3600 // series.bar_seconds
        bars = min(MOST_HISTORY_BARS + before, max(hours * 3600 // series.bar_seconds, LEAST_HISTORY_BARS + before))
        return self._store.panel(self._address, last=max(1, bars))

    def _load(self) -> Panel:
        try:
            panel = self._panel_now()
        except MidasError as error:
            raise FeedError(error.message, hint=error.hint) from error
        if self._bar_seconds not in (0, panel.bar_seconds):
            raise FeedError(f"{self.name} has bars of another length now", hint="name the length: store:NAME@BAR")
        self._bar_seconds = panel.bar_seconds
        return panel
