"""Kill: latched, idempotent, on disk before anyone is told, told at least once, and never by a model."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MonitorError
from midas_engine.events import FaultReported, KillCallbackFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.monitor.protocols import Retirer, StateStore

KEY = "monitor/kills"
ACTORS = ("operator", "detector")
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0


@dataclass(slots=True)
class KillRecord:
    """One kill. `told` says that the callback returned; until then it is called again, after a restart too.

    `bar` is the newest bar that was known when it fell: a replay after a crash lets the feature live until there.
    """

    feature: str
    reason: str
    actor: str
    at: str
    told: bool = False
    attempts: int = 0
    bar: int = -1


class KillSwitch:
    """Latches kills and tells the world.

    The order is: latch in memory (no value of the feature trades from here on), write to the journal, archive
    through the promoter, call `on_kill` under supervision. A failure of a later step never undoes an earlier one;
    if the journal cannot be written the kill still stands and is shouted about.

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
        self._bus, self._clock, self._on_kill = bus, clock, on_kill
        self._journal, self._promoter, self._seconds = journal, promoter, seconds
        self.records: dict[str, KillRecord] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def load(self) -> None:
        """Read the kills of earlier runs."""
        blob = self._journal.get_state(KEY) if self._journal is not None else None
        if blob is None:
            return
        try:
            entries = json.loads(blob)
            self.records = {entry["feature"]: KillRecord(**entry) for entry in entries}
        except (ValueError, TypeError, KeyError) as error:
            raise MonitorError(
                f"the record of kills is damaged: {error}",
                hint="refusing to start: a killed feature could come up alive; restore the journal from a backup",
            ) from error

    def resume(self) -> None:
        """Call `on_kill` again for every kill it never confirmed."""
        for record in self.records.values():
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
        await self._persist(at)
        if self._promoter is not None:
            try:
                await asyncio.to_thread(self._promoter.kill, feature, reason)
            except Exception as error:
                self._shout(at, f"{feature} is stopped, but could not be archived: {error}")
        self._tell(record)
        return True

    async def _persist(self, at: datetime) -> None:
        if self._journal is None:
            return
        blob = json.dumps([asdict(record) for record in self.records.values()]).encode()
        try:
            await asyncio.to_thread(self._journal.put_state, KEY, blob)
        except Exception as error:
            self._shout(at, f"kills could not be written to the journal: {error}; they hold until this process ends")

    def _shout(self, at: datetime, message: str) -> None:
        self._bus.publish(FaultReported(at=at, where="kill", message=message, severity="critical"))

    def _tell(self, record: KillRecord) -> None:
        if self._on_kill is None:
            record.told = True
            return
        self._tasks[record.feature] = asyncio.get_running_loop().create_task(self._supervise(record))

    async def _supervise(self, record: KillRecord) -> None:
        pause = _FIRST_PAUSE
        while not record.told:
            record.attempts += 1
            try:
                await asyncio.wait_for(self._call(record.feature), self._seconds)
                record.told = True
            except Exception as error:
                text = "no answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
                now = self._clock.now()
                self._bus.publish(
                    KillCallbackFailed(at=now, feature=record.feature, error=text, attempt=record.attempts)
                )
            await self._persist(self._clock.now())
            if not record.told:
                await self._clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _call(self, feature: str) -> None:
        assert self._on_kill is not None
        if inspect.iscoroutinefunction(self._on_kill):
            await self._on_kill(feature)
            return
        outcome = await _in_daemon_thread(self._on_kill, feature)
        if inspect.isawaitable(outcome):
            await outcome

    async def settle(self) -> None:
        """Wait until every callback that is under way has answered or failed once more."""
        while any(not task.done() for task in self._tasks.values()):
            await asyncio.wait(self._tasks.values(), timeout=self._seconds, return_when=asyncio.ALL_COMPLETED)
            if all(task.done() or not self.records[name].told for name, task in self._tasks.items()):
                return

    async def close(self) -> None:
        """Stop calling; what was not confirmed is called again at the next start."""
        tasks = [task for task in self._tasks.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()


async def _in_daemon_thread(callback: Callable[[str], Any], feature: str) -> Any:
    """Run a blocking callback where a hang keeps neither the loop nor the exit of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work() -> None:
        try:
            result, error = callback(feature), None
        except Exception as caught:
            result, error = None, caught
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop closed while the callback hung

    threading.Thread(target=work, name=f"midas-kill-{feature}", daemon=True).start()
    return await future
