"""`OutageTeller`: that bars stopped coming is on disk before it is told: no kill doubles it, and none hides it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.errors import JournalError
from midas_engine.events import AlertRaised, AlertResolved
from midas_engine.models import AlertStatus
from midas_engine.monitor.alerts.episodes import alert_from_dict, alert_to_dict
from midas_engine.monitor.state.recovery import NOTE_SECONDS
from midas_engine.monitor.worker import Worker, within

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.events import Event
    from midas_engine.journal import Journal
    from midas_engine.models import Alert
    from midas_engine.monitor.protocols import StateStore

OUTAGE_KEY = "monitor/outage"


@dataclass(frozen=True, slots=True)
class KeptOutage:
    """The newest outage, as an earlier process left it.

    Attributes:
        alert: Its alert; resolved where bars came again.
        told: Whether that process got as far as telling it.
    """

    alert: Alert
    told: bool

    @property
    def runs(self) -> bool:
        """Whether it had not ended."""
        return self.alert.status is not AlertStatus.RESOLVED

    @property
    def event(self) -> Event:
        """What was to be told."""
        if self.runs:
            return AlertRaised(at=self.alert.raised_at, alert=self.alert)
        return AlertResolved(at=self.alert.resolved_at or self.alert.last_seen_at, alert=self.alert)


class OutageTeller:
    """Keeps an outage, tells it, and keeps that it was told, in this order.

    A process that ends before the first step told nothing: the next one finds the silence by itself. One that ends
    between the steps leaves an outage that was not told: the next one tells it with the id and time it had.

    Args:
        store: States of the feed that is watched; None keeps nothing.
        journal: Has what was told, once; None where nothing is recorded.
        publish: Tells.
        fault: Told (message, hint) of a disk that fails or hangs: it keeps no alarm back.
    """

    def __init__(
        self,
        store: StateStore | None,
        journal: Journal | None,
        *,
        publish: Callable[[Event], None],
        fault: Callable[[str, str], None],
    ) -> None:
        self._store, self._journal, self._publish, self._fault = store, journal, publish, fault
        self._turn, self._worker = asyncio.Lock(), Worker("midas-outage")

    def kept(self) -> KeptOutage | None:
        """The newest outage on disk; None where there was none, or what is there cannot be read (which is told)."""
        if self._store is None:
            return None
        try:
            blob = self._store.get_state(OUTAGE_KEY)
            if blob is None:
                return None
            found = json.loads(blob)
            return KeptOutage(alert_from_dict(found["alert"]), bool(found["told"]))
        except (JournalError, OSError, ValueError, KeyError, TypeError) as error:
            self._fault(f"the last outage of the feed cannot be read: {error}", "it may be told a second time")
            return None

    async def tell(self, alert: Alert) -> None:
        """Tell an outage, or its end, in the order of the calls."""
        async with self._turn:
            kept = KeptOutage(alert, told=False)
            await self._keep(kept)
            self._publish(kept.event)
            await self._record(kept)
            await self._keep(KeptOutage(alert, told=True))

    async def _keep(self, outage: KeptOutage) -> None:
        store = self._store
        if store is None:
            return
        blob = json.dumps({"alert": alert_to_dict(outage.alert), "told": outage.told}).encode()
        await self._written(lambda: store.put_state(OUTAGE_KEY, blob, durable=True))

    async def _record(self, outage: KeptOutage) -> None:
        journal, event = self._journal, outage.event
        if journal is None:
            return

        def once() -> None:
            said = journal.events(AlertRaised, AlertResolved, since=event.at)
            if not any(type(e) is type(event) and e.alert.id == outage.alert.id for e in said):  # type: ignore[attr-defined]
                journal.record_events([event])

        await self._written(once)

    async def _written(self, write: Callable[[], None]) -> None:
        try:
            await within(self._worker.submit(write), NOTE_SECONDS)
        except (JournalError, OSError) as error:
            self._fault(f"an outage of the feed cannot be written: {error}", "free some space; it is told all the same")
