"""`BarRecorder`: the bars of a live feed into the market store, beside the feed and never in its way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import DataError
from midas_engine.market.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.clock import Clock
    from midas_engine.market import Panel
    from midas_engine.market.store import AppendReport, MarketStore

_FUNDING = ("funding_rate", "funding_paid")


class BarRecorder:
    """Appends what the live panel has and the store was not given yet; what fails is tried again with the next bar.

    Nothing is queued: the live panel itself holds the bars that wait, so that a store that is locked, slow or full
    costs no memory and no bar of the live path.

    Args:
        store: Where the bars go.
        venue: Under which name.
        clock: Dates them.
        tell: Told in words (message, hint) that bars could not be written, or were restated.

    Attributes:
        trouble: Why the newest bars are not in the store; empty when they are.
    """

    def __init__(self, store: MarketStore, venue: str, clock: Clock, tell: Callable[[str, str], None]) -> None:
        self._store, self._venue, self._clock, self._tell = store, venue, clock, tell
        self._panel: Panel | None = None
        self._written: np.datetime64 | None = None
        self._came = asyncio.Event()
        self.trouble = ""

    def note(self, panel: Panel) -> None:
        """The market as it is known now, its last bar the newest."""
        self._panel = panel
        self._came.set()

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            await self._came.wait()
            self._came.clear()
            await self.write()

    async def write(self) -> None:
        """Write what waits; a store that refuses is told once and tried again at the next bar."""
        panel = self._panel
        if panel is None or not panel.T or panel.timestamps[-1] == self._written:
            return
        try:
            report = await asyncio.to_thread(self._append, panel)
        except DataError as error:
            if not self.trouble:
                self._tell(f"live bars are not in the market store: {error.message}", error.hint)
            self.trouble = error.message
            return
        if self.trouble:
            self._tell("live bars are in the market store again, with those that were missing", "")
        self.trouble, self._written = "", panel.timestamps[-1]
        if report.restated:
            example = f", such as {report.examples[0]}" if report.examples else ""
            self._tell(f"the venue restated {report.restated:,} bars of {report.key}{example}", "both figures are kept")

    def _append(self, panel: Panel) -> AppendReport:
        how, now = ("fetched" if self._written is None else "recorded"), self._clock.now()
        if self._written is not None:
            panel = panel.slice(int(np.searchsorted(panel.timestamps, self._written, side="right")), None)
        given = {c: Provenance(how, self._venue, "funding" if c in _FUNDING else "candles", now) for c in panel.fields}
        return self._store.append_panel(self._venue, panel, given)
