"""Saving the fleet: what fails is told once for as long as it fails, and a bar waits a second for it at most."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MonitorError
from midas_engine.monitor.shadow_record import record_lines
from midas_engine.monitor.state.recovery import NOTE_SECONDS, Recovery
from midas_engine.monitor.worker import Worker, within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from midas_engine.events import Event
    from midas_engine.journal import Journal
    from midas_engine.monitor.fleet import Fleet


class Saving:
    """Brings a fleet's bars, snapshots and shadow record to the journal, and never raises.

    Args:
        recovery: Bars and snapshots.
        fleet: What is saved.
        fault: Told (message, severity) of what fails.
    """

    def __init__(self, recovery: Recovery, fleet: Fleet, fault: Callable[[str, str], None]) -> None:
        self._recovery, self._fleet, self._fault = recovery, fleet, fault
        self._bars_down = self._snapshot_down = False
        self._worker = Worker("midas-shadow")
        self._after: asyncio.Task[None] | None = None
        self._lines: asyncio.Future[None] | None = None

    @property
    def failing(self) -> bool:
        """Whether bars or snapshots are kept in memory alone."""
        return self._bars_down or self._snapshot_down

    def come_back(self, wanted: list[str], remember: Callable[[Sequence[str]], None]) -> list[Event]:
        """Bring the fleet to where the last run ended; without what was saved, where that cannot be used.

        Args:
            wanted: What is to be watched.
            remember: Given the names of the symbols, where the last run knew them.

        Returns:
            What the last bar brought: its events carry the same ids as then.
        """
        events: list[Event] = []
        try:
            saved = self._recovery.load()
            if saved is not None:
                self._fleet.restore(*saved)
            for meta, arrays in self._recovery.bars_after():
                events = self._fleet.replay(meta, arrays)
            if self._fleet.built:
                remember(self._fleet.inputs.names)
        except (MonitorError, KeyError, ValueError, TypeError) as error:
            self._fleet.forget_all(wanted)
            self._fault(f"the saved state cannot be used, starting without it: {error}", "critical")
        return events

    async def write_ahead(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Write a bar before it is applied."""
        try:
            await self._recovery.note(meta, arrays)
            self._bars_down = False
        except Exception as error:
            if not self._bars_down:
                self._fault(f"state cannot be written, going on in memory: {error}", "critical")
            self._bars_down = True

    async def after_bar(self, turn: asyncio.Lock) -> None:
        """Where it is time, begin a snapshot once the bar is done: copying the state is not the bar's time either.

        Args:
            turn: Held while the fleet changes, by the caller too.
        """
        if self._recovery.urgent:
            await self.begin_snapshot()
        elif self._recovery.due and (self._after is None or self._after.done()):
            self._after = asyncio.get_running_loop().create_task(self._snapshot_in(turn), name="snapshot")

    async def _snapshot_in(self, turn: asyncio.Lock) -> None:
        async with turn:
            if self._recovery.due:
                await self.begin_snapshot()

    async def begin_snapshot(self) -> None:
        """A snapshot in the background; the next bar does not wait for it."""
        if not self._fleet.built:
            return
        if self._recovery.writing:
            self._recovery.soon()
            return
        if self._recovery.urgent:
            await self.snapshot(NOTE_SECONDS)
            return
        try:
            future = await self._recovery.begin_snapshot(*self._fleet.state())
        except Exception as error:
            self._snapshot_is(error)
        else:
            if future is not None:
                future.add_done_callback(lambda done: self._snapshot_is(done.exception()))

    async def end(self) -> None:
        """Begin no snapshot any more."""
        if self._after is not None:
            await asyncio.gather(self._after, return_exceptions=True)

    async def snapshot(self, seconds: float) -> None:
        """A snapshot, waited for."""
        if not self._fleet.built:
            return
        try:
            await self._recovery.snapshot(*self._fleet.state(), seconds)
        except Exception as error:
            self._snapshot_is(error)
        else:
            self._snapshot_is(None)

    def _snapshot_is(self, error: BaseException | None) -> None:
        if error is not None and not self._snapshot_down:
            self._fault(f"the monitor's snapshot could not be written: {error}", "critical")
        self._snapshot_down = error is not None

    async def record_shadows(self, journal: Journal | None) -> None:
        """The forward record of what runs in shadow goes to the pipeline's journal, bar by bar."""
        waiting = self._fleet.lines
        if journal is None or not waiting:
            return
        if self._lines is not None and not self._lines.done():
            return  # the journal hangs, which has been said; the lines wait
        lines = list(waiting)
        self._lines = self._worker.submit(lambda: record_lines(journal, lines))
        try:
            await within(self._lines, NOTE_SECONDS)
            waiting.clear()
        except Exception as error:  # a line that is written twice is written once
            self._fault(f"the record of what runs in shadow could not be written: {error}", "warning")
