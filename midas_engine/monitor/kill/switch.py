"""Kill: latched, on disk before anyone is told, told at least once, and never by a model.

Whoever gives a kill (the e-detector, an operator in the terminal, `midas kill`, `promoter.kill` in Python), the kill
switch of the monitor that watches the base owns it: it alone calls `on_kill`. The others write the base's kill file,
which needs neither the journal nor the base's lock; the switch follows that file.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MonitorError
from midas_engine.events import FaultReported, KillCallbackFailed
from midas_engine.monitor.kill.callbacks import Callback
from midas_engine.monitor.kill.keeping import Keeping
from midas_engine.monitor.kill.records import KEY, KillRecord, KillRecords, record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.monitor.protocols import Retirer, StateStore

__all__ = ["ACTORS", "KEY", "KillRecord", "KillSwitch"]

ACTORS = ("operator", "detector")
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0
# What a kill waits for at most before `on_kill` is called: the file, then, where that failed, the journal.
FILE_SECONDS, JOURNAL_SECONDS = 1.0, 0.5
# How long an operator's kill waits for the archive before it is confirmed without it.
ARCHIVE_SECONDS = 1.0


class KillSwitch:
    """Latches kills and tells the world.

    The order is: latch in memory (no value of the feature trades from here on), write to the kill file, call
    `on_kill` under supervision; the journal and the archive follow in the background, and are tried until they
    work. A failure of a later step never undoes an earlier one, and a cancelled caller stops none of them. `on_kill`
    is called within two seconds, whatever keeps the disk.

    Args:
        on_kill: Called with the feature's name, in a thread of its own or awaited; exceptions and hangs are retried.
            None: a kill stays untold, and the next monitor of the base that has one calls it.
        journal: The states of the journal.
        promoter: Archives what is killed.
        seconds: How long one call may take.
        records: Where kills are kept; by default in `journal` alone.
        remember: Take over the kills of earlier runs; False for a run over bars of the past.
    """

    def __init__(
        self,
        *,
        bus: EventBus,
        clock: Clock,
        on_kill: Callable[[str], Any] | None = None,
        journal: StateStore | None = None,
        promoter: Retirer | None = None,
        seconds: float = 10.0,
        records: KillRecords | None = None,
        remember: bool = True,
    ) -> None:
        self._bus, self._clock = bus, clock
        self._callback = None if on_kill is None else Callback(on_kill, self._answered)
        self._seconds, self._remember = seconds, remember
        self.records: dict[str, KillRecord] = {}
        self._kept = records or KillRecords(journal)
        self._keeping = Keeping(self._kept, promoter, clock, self._shout, lambda: list(self.records.values()))
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._carrying: set[asyncio.Task[None]] = set()
        self._ignored: frozenset[str] = frozenset()

    def load(self) -> None:
        """Read the kills of earlier runs, from the journal, the kill file and the feature files together.

        Raises:
            MonitorError: Their records are damaged: a killed feature could come up alive.
        """
        if not self._remember:
            state = self._kept.changed()
            self._ignored = frozenset(k.id for k in state.kills.values()) if state is not None else frozenset()
            return
        self.records, faults = self._kept.load()
        for fault in faults:
            self._shout(fault)

    def resume(self) -> None:
        """Finish what an earlier run left: archive what is not, call `on_kill` for every kill it never confirmed."""
        for record in self.records.values():
            self._tell(record)
        if self._remember:
            self._keeping.go()

    @property
    def killed(self) -> frozenset[str]:
        """Names that are killed."""
        return frozenset(self.records)

    def killed_before(self, bar: int) -> frozenset[str]:
        """Names that were killed when bar number `bar` came."""
        return frozenset(name for name, record in self.records.items() if record.bar < bar)

    async def kill(
        self,
        feature: str,
        *,
        reason: str,
        actor: str,
        at: datetime,
        bar: int = -1,
        via: str = "",
        wait: float = ARCHIVE_SECONDS,
    ) -> bool:
        """Kill `feature`; False when it was killed before (then nothing happens again).

        Args:
            feature: Its name.
            reason: Why, for the record.
            actor: "operator" or "detector"; anything else is refused, a model above all.
            at: Engine time.
            bar: Number of the newest bar.
            via: Where it is given, such as "terminal"; for the record.
            wait: Seconds to wait for journal and archive once everybody is told; they go on after that.
        """
        if actor.split(":", 1)[0] not in ACTORS:
            raise MonitorError(f"{actor!r} may not kill a feature", hint="only the operator or the e-detector may")
        if feature in self.records:
            return False
        record = KillRecord(feature, reason, actor, at.isoformat(), bar=bar, id=secrets.token_hex(8), via=via)
        self.records[feature] = record
        await asyncio.shield(self._carry(self._carry_out(record)))
        if wait > 0:
            await self._keeping.rest(wait)
        return True

    async def rearm(self, feature: str, *, actor: str) -> bool:
        """Let a killed feature live again, by an operator's named decision; False when it was not killed."""
        if actor.split(":", 1)[0] != "operator":
            raise MonitorError(f"{actor!r} may not let a killed feature live again", hint="only the operator may")
        record = self.records.get(feature)
        if record is None:
            return False
        await self._keeping.let_live(record, actor)
        self._forget(feature)
        self._keeping.go()
        await self._keeping.rest(JOURNAL_SECONDS)
        return True

    def _forget(self, feature: str) -> None:
        self.records.pop(feature, None)
        task = self._tasks.pop(feature, None)
        if task is not None:
            task.cancel()

    def follow(self, bar: int = -1) -> tuple[list[KillRecord], list[str]]:
        """Obey what other processes wrote into the kill file: kills that are new, and names that live again.

        Costs one `stat` when nothing changed. A file that is damaged, replaced or gone is made anew from what is
        known here, loudly; it never un-kills.

        Args:
            bar: Number of the newest bar.
        """
        state = self._kept.changed()
        if state is None:
            return [], []
        fresh: list[KillRecord] = []
        alive: list[str] = []
        why = self._kept.replaced(state)
        if not why:
            for name, record in list(self.records.items()):
                if record.id in state.ended:
                    self._forget(name)
                    if name not in state.kills:
                        alive.append(name)
        for kill in state.kills.values():
            if kill.feature not in self.records and kill.id not in self._ignored:
                record = record_of(kill)
                record.bar = max(record.bar, bar)
                self.records[kill.feature] = record
                fresh.append(record)
                self._tell(record)
        if why:
            self._shout(f"{why}: it is made anew, and every kill holds")
            self._keeping.heal(state)
        if fresh or alive:
            self._keeping.go()
        return fresh, alive

    def _carry(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run to the end whatever becomes of the caller."""
        task = asyncio.get_running_loop().create_task(work, name="kill")
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
        return task

    async def _carry_out(self, record: KillRecord) -> None:
        await self._keeping.latch(record, FILE_SECONDS, JOURNAL_SECONDS)
        self._tell(record)
        self._keeping.go()

    def _shout(self, message: str, severity: str = "critical") -> None:
        self._bus.publish(FaultReported(at=self._clock.now(), where="kill", message=message, severity=severity))

    # -- telling ---------------------------------------------------------------------------------

    def _tell(self, record: KillRecord) -> None:
        if self._callback is not None and not record.told and record.feature not in self._tasks:
            self._tasks[record.feature] = asyncio.get_running_loop().create_task(self._supervise(record))

    def _answered(self, feature: str) -> None:
        """A call that nobody waited for any more came back: it did what it should."""
        record = self.records.get(feature)
        if record is not None:
            record.told = True

    async def _supervise(self, record: KillRecord) -> None:
        assert self._callback is not None
        pause = _FIRST_PAUSE
        while not record.told:
            record.attempts += 1
            text = ""
            try:
                await asyncio.wait_for(self._callback(record.feature), self._seconds)
                record.told = True
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                text = "it was cancelled"  # by the callback itself, which is a failure like another
            except Exception as error:
                text = "no answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
            if text:
                self._bus.publish(
                    KillCallbackFailed(
                        at=self._clock.now(), feature=record.feature, error=text, attempt=record.attempts
                    )
                )
            if not record.told:
                self._keeping.go()
                await self._clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        await self._keeping.note_told(record, FILE_SECONDS)
        self._keeping.go()

    async def settle(self) -> None:
        """Wait until every callback under way, and what is written of it, is done or has failed once more."""
        if self._carrying:
            await asyncio.gather(*self._carrying, return_exceptions=True)
        while any(not task.done() for task in self._tasks.values()):
            await asyncio.wait(self._tasks.values(), timeout=self._seconds, return_when=asyncio.ALL_COMPLETED)
            open_ = {name for name, task in self._tasks.items() if not task.done()}
            if all(name in self.records and not self.records[name].told for name in open_):
                break
        await self._keeping.rest(None)

    async def close(self) -> None:
        """Stop calling; what was not confirmed is called again at the next start. A kill under way is finished."""
        if self._carrying:
            await asyncio.gather(*self._carrying, return_exceptions=True)
        tasks = [task for task in self._tasks.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        await self._keeping.close()
