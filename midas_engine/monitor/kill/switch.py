"""Kill: latched, idempotent, on disk before anyone is told, told at least once, and never by a model."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MonitorError, TransitionError
from midas_engine.events import FaultReported, KillCallbackFailed
from midas_engine.monitor.kill.callbacks import Callback

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.monitor.protocols import Retirer, StateStore

KEY = "monitor/kills"
ACTORS = ("operator", "detector")
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0


@dataclass(slots=True)
class KillRecord:
    """One kill.

    Attributes:
        told: The callback returned; until then it is called again, after a restart too.
        bar: The newest bar that was known when it fell: a replay after a crash lets the feature live until there.
        archived: The pipeline has it; until then that is tried again at every start.
    """

    feature: str
    reason: str
    actor: str
    at: str
    told: bool = False
    attempts: int = 0
    bar: int = -1
    archived: bool = False


class KillSwitch:
    """Latches kills and tells the world.

    The order is: latch in memory (no value of the feature trades from here on), write to the journal, archive
    through the promoter, call `on_kill` under supervision. A failure of a later step never undoes an earlier one,
    and a cancelled caller stops none of them; if the journal cannot be written the kill still stands, is shouted
    about, and the writing is tried until it works.

    Args:
        on_kill: Called with the feature's name, in a thread of its own or awaited; exceptions and hangs are retried.
        seconds: How long one call may take.
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
    ) -> None:
        self._bus, self._clock = bus, clock
        self._callback = None if on_kill is None else Callback(on_kill, self._answered)
        self._journal, self._promoter, self._seconds = journal, promoter, seconds
        self.records: dict[str, KillRecord] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._carrying: set[asyncio.Task[None]] = set()
        self._writing: asyncio.Task[None] | None = None

    def load(self) -> None:
        """Read the kills of earlier runs.

        Raises:
            MonitorError: Their record is damaged: a killed feature could come up alive.
        """
        if self._journal is None:
            return
        blob = self._journal.get_state(KEY)
        if blob is None:
            # a journal gives nothing for a damaged state, and says so beside it
            damage = next((n for n in getattr(self._journal, "notices", ()) if KEY in n), "")
            if damage:
                raise self._damaged(damage)
            return
        try:
            entries = json.loads(blob)
            self.records = {entry["feature"]: KillRecord(**entry) for entry in entries}
        except (ValueError, TypeError, KeyError) as error:
            raise self._damaged(str(error)) from error

    @staticmethod
    def _damaged(why: str) -> MonitorError:
        return MonitorError(
            f"the record of kills is damaged: {why}",
            hint="refusing to start: a killed feature could come up alive; restore the journal from a backup",
        )

    def resume(self) -> None:
        """Finish what an earlier run left: archive what is not, call `on_kill` for every kill it never confirmed."""
        for record in self.records.values():
            if not record.archived and self._promoter is not None:
                self._carry(self._archive(record, self._clock.now()))
            if not record.told:
                self._tell(record)

    @property
    def killed(self) -> frozenset[str]:
        """Names that are killed."""
        return frozenset(self.records)

    def killed_before(self, bar: int) -> frozenset[str]:
        """Names that were killed when bar number `bar` came."""
        return frozenset(name for name, record in self.records.items() if record.bar < bar)

    async def kill(self, feature: str, *, reason: str, actor: str, at: datetime, bar: int = -1) -> bool:
        """Kill `feature`; False when it was killed before (then nothing happens again).

        Args:
            feature: Its name.
            reason: Why, for the record.
            actor: "operator" or "detector"; anything else is refused, a model above all.
            at: Engine time.
            bar: Number of the newest bar.
        """
        if actor.split(":", 1)[0] not in ACTORS:
            raise MonitorError(f"{actor!r} may not kill a feature", hint="only the operator or the e-detector may")
        if feature in self.records:
            return False
        record = KillRecord(feature, reason, actor, at.isoformat(), bar=bar)
        self.records[feature] = record
        await asyncio.shield(self._carry(self._carry_out(record, at)))
        return True

    async def rearm(self, feature: str, *, actor: str) -> bool:
        """Let a killed feature live again, by an operator's named decision; False when it was not killed."""
        if actor.split(":", 1)[0] != "operator":
            raise MonitorError(f"{actor!r} may not let a killed feature live again", hint="only the operator may")
        if self.records.pop(feature, None) is None:
            return False
        task = self._tasks.pop(feature, None)
        if task is not None:
            task.cancel()
        await self._persist(self._clock.now())
        return True

    def _carry(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run to the end whatever becomes of the caller."""
        task = asyncio.get_running_loop().create_task(work, name="kill")
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
        return task

    async def _carry_out(self, record: KillRecord, at: datetime) -> None:
        await self._persist(at)
        await self._archive(record, at)
        self._tell(record)

    async def _archive(self, record: KillRecord, at: datetime) -> None:
        if self._promoter is None:
            return
        try:
            await asyncio.to_thread(self._promoter.kill, record.feature, record.reason)
            record.archived = True
        except TransitionError as error:
            record.archived = True  # nothing of it is live in the pipeline: trying again changes nothing
            self._shout(at, f"{record.feature} is stopped; the pipeline has nothing to archive: {error.message}")
        except Exception as error:
            self._shout(at, f"{record.feature} is stopped, but could not be archived: {error}")
        await self._persist(at)

    # -- the record ------------------------------------------------------------------------------

    async def _persist(self, at: datetime) -> None:
        if self._journal is None:
            return
        try:
            await self._write()
        except Exception as error:
            self._shout(at, f"kills could not be written to the journal: {error}; they hold, and it is tried again")
            if self._writing is None or self._writing.done():
                self._writing = asyncio.get_running_loop().create_task(self._write_until_done(), name="kills")

    async def _write(self) -> None:
        assert self._journal is not None
        blob = json.dumps([asdict(record) for record in self.records.values()]).encode()
        # through a power cut: the callback must not have been told of a kill that nobody remembers
        await asyncio.to_thread(self._journal.put_state, KEY, blob, durable=True)

    async def _write_until_done(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            await self._clock.sleep(pause)
            try:
                await self._write()
            except Exception:
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return

    def _shout(self, at: datetime, message: str) -> None:
        self._bus.publish(FaultReported(at=at, where="kill", message=message, severity="critical"))

    # -- telling ---------------------------------------------------------------------------------

    def _tell(self, record: KillRecord) -> None:
        if self._callback is None:
            record.told = True
            return
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
            await self._persist(self._clock.now())
            if not record.told:
                await self._clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        await self._persist(self._clock.now())

    async def settle(self) -> None:
        """Wait until every callback that is under way has answered or failed once more."""
        while any(not task.done() for task in self._tasks.values()):
            await asyncio.wait(self._tasks.values(), timeout=self._seconds, return_when=asyncio.ALL_COMPLETED)
            if all(task.done() or not self.records[name].told for name, task in self._tasks.items()):
                return

    async def close(self) -> None:
        """Stop calling; what was not confirmed is called again at the next start. A kill under way is finished."""
        if self._carrying:
            await asyncio.gather(*self._carrying, return_exceptions=True)
        tasks = [task for task in (*self._tasks.values(), self._writing) if task is not None and not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
