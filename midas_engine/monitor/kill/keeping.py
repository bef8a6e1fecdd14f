"""Getting a kill onto disk: the file first and at once, journal and archive in the background until they have it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError, MonitorError, TransitionError
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.monitor.worker import Worker, within

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_engine.clock import Clock
    from midas_engine.kb.kill_file import Kills
    from midas_engine.monitor.kill.records import KillRecord, KillRecords
    from midas_engine.monitor.protocols import Retirer

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
CLOSING_SECONDS = 2.0


class Keeping:
    """Writes kills where they belong, each place by a thread of its own, so that none waits for another.

    Args:
        records: The records of kills.
        promoter: Archives; None: there is no pipeline.
        clock: Times the retries.
        shout: Told of what fails, once for as long as it fails, and of its end.
        known: Every kill that holds now.
    """

    def __init__(
        self,
        records: KillRecords,
        promoter: Retirer | None,
        clock: Clock,
        shout: Callable[..., None],
        known: Callable[[], Sequence[KillRecord]],
    ) -> None:
        self._records, self._promoter, self._clock = records, promoter, clock
        self._shout, self._known = shout, known
        self._disk, self._journal, self._archive = (Worker(f"midas-{n}") for n in ("kills", "kills-journal", "archive"))
        self._unlatched: dict[str, KillRecord] = {}
        self._untold: dict[str, KillRecord] = {}
        self._dirty = False
        self._task: asyncio.Task[None] | None = None
        self._rested, self._wake = asyncio.Event(), asyncio.Event()
        self._failing: dict[str, str] = {}

    # -- at once ---------------------------------------------------------------------------------

    async def latch(self, record: KillRecord, file_seconds: float, journal_seconds: float) -> None:
        """Put a new kill on disk within the two times; what fails is shouted about and tried until it works."""
        self._dirty = True
        if self._records.file is not None:
            self._unlatched[record.feature] = record
            try:
                await within(self._disk.submit(lambda: self._records.latch(record)), file_seconds)
            except Exception as error:
                self._failed("file", f"the kill of {record.feature} could not be written to the kill file: {error}")
            else:
                self._unlatched.pop(record.feature, None)
                return
        if self._records.journal is not None:
            with contextlib.suppress(Exception):  # told by the background, which tries again
                await within(self._journal.submit(self._write_journal), journal_seconds)

    async def note_told(self, record: KillRecord, seconds: float) -> None:
        """Put on disk that the callback has returned."""
        self._dirty = True
        if self._records.file is None:
            return
        self._untold[record.feature] = record
        with contextlib.suppress(Exception):  # the background tries again and tells
            await within(self._disk.submit(lambda: self._records.note_told(record)), seconds)
            self._untold.pop(record.feature, None)

    async def let_live(self, record: KillRecord, actor: str) -> None:
        """End a kill in the kill file; MonitorError when that cannot be written, for then it holds."""
        self._dirty = True
        file = self._records.file
        if file is None:
            return

        def end() -> None:
            self._records.latch(record)  # so that there is something to end
            file.let_live(record.feature, reason="", actor=actor, at=self._clock.now(), via=record.via)

        try:
            await within(self._disk.submit(end), CLOSING_SECONDS)
        except (TimeoutError, MidasError) as error:
            raise MonitorError(f"{record.feature} stays killed: its redeploy could not be written: {error}") from error

    def heal(self, state: Kills) -> None:
        """Make the kill file anew, in the background."""
        self._dirty = True
        known = list(self._known())
        self._disk.submit(lambda: self._records.heal(state, known))

    # -- in the background -------------------------------------------------------------------------

    def go(self) -> None:
        """Something changed: bring journal and archive up to it, in the background."""
        self._dirty = True
        self._rested.clear()
        self._wake.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._keep(), name="kills")

    async def rest(self, seconds: float | None) -> None:
        """Wait until everything is on every record, or has failed once more; at most `seconds`."""
        if self._task is None or self._task.done():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._rested.wait(), seconds)

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            self._wake.clear()
            done = await asyncio.gather(self._file_up(), self._journal_up(), self._archive_up())
            if all(done) and not self._dirty:
                self._rested.set()
                return
            if not all(done):
                self._rested.set()
                await self._sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _sleep(self, seconds: float) -> None:
        """A pause that ends when something new is to be kept."""
        waits = [asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(self._wake.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _file_up(self) -> bool:
        for waiting, write in ((self._unlatched, self._records.latch), (self._untold, self._records.note_told)):
            for name, record in list(waiting.items()):
                try:
                    await self._disk.submit(lambda w=write, r=record: w(r))  # type: ignore[misc]
                except Exception as error:
                    return self._failed("file", f"kills could not be written to the kill file: {error}")
                waiting.pop(name, None)
        return self._works("file", "the kill file is written again")

    async def _journal_up(self) -> bool:
        if not self._dirty:
            return True
        self._dirty = False
        if self._records.journal is None:
            return True
        try:
            await self._journal.submit(self._write_journal)
        except Exception as error:
            self._dirty = True
            return self._failed("journal", f"kills could not be written to the journal: {error}")
        return self._works("journal", "the kills are in the journal now")

    def _write_journal(self) -> None:
        self._records.write_journal(self._known())

    async def _archive_up(self) -> bool:
        if self._promoter is None:
            return True
        for record in [r for r in self._known() if not r.archived]:
            try:
                moved = await self._archive.submit(lambda r=record: self._archived(r))  # type: ignore[misc]
            except TransitionError as error:
                moved = True  # nothing of it is live in the pipeline: trying again changes nothing
                self._shout(f"{record.feature} is stopped; the pipeline has nothing to archive: {error.message}")
            except Exception as error:
                return self._failed("archive", f"{record.feature} is stopped, but could not be archived: {error}")
            if not moved:
                why = "the base is in use by another process"
                return self._failed("archive", f"{record.feature} is stopped, but could not be archived: {why}")
            record.archived = self._dirty = True
        return self._works("archive", "what is killed is archived now")

    def _archived(self, record: KillRecord) -> bool:
        assert self._promoter is not None
        found: Any = self._promoter.kill(record.feature, record.reason)
        return not isinstance(found, FeatureRecord) or found.state is FeatureState.ARCHIVED

    def _failed(self, what: str, message: str) -> bool:
        if what not in self._failing:
            self._shout(f"{message}; it holds, and it is tried again")
        self._failing[what] = message
        return False

    def _works(self, what: str, message: str) -> bool:
        if self._failing.pop(what, None) is not None:
            self._shout(message, "info")
        return True

    async def close(self) -> None:
        """Give what is under way a moment, then leave it to the next start."""
        if self._task is not None and not self._task.done():
            await self.rest(CLOSING_SECONDS)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
