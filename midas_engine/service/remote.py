"""`RemoteRuntime`: what a terminal holds when the engine runs in a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.bus import EventBus
from midas_engine.clock import WallClock
from midas_engine.events import FaultReported, RuntimeChanged, WatchChanged
from midas_engine.service.attached import Connection, opener
from midas_engine.service.mirror import Mirror
from midas_engine.service.remote_parts import (
    RemoteBook,
    RemoteDiagnosing,
    RemoteDocuments,
    RemotePipeline,
    RemoteQueries,
    RemoteSessions,
    RemoteSinceLeft,
)
from midas_engine.service.wire import WireError, event_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from midas_engine.clock import Clock
    from midas_engine.events import Trouble


def _starting(socket: Path) -> str:
    """Who holds the base of a socket and does not listen yet, in words; empty when nobody does."""
    from midas_engine.service.standing import holder_of

    holder = holder_of(socket.parent.parent)
    return f"{holder} holds the base and does not listen yet: a service that starts does so later" if holder else ""


class RemoteRuntime:
    """The engine of a service, by the parts that a terminal uses. Closing it changes nothing there.

    Args:
        address: The service's socket, or ws://127.0.0.1:PORT.
        token: Gives the WebSocket's token.
        read_only: Look only.
        clock: Wall time.

    Attributes:
        attached: The address.
        replay: None: a service follows a feed.
        data_ends: None for the same reason.
    """

    replay: None = None
    data_ends: datetime | None = None

    def __init__(
        self, address: str, *, token: Callable[[], str] = str, read_only: bool = False, clock: Clock | None = None
    ) -> None:
        self.attached = address
        self.bus = EventBus()
        self._clock: Clock = clock or WallClock()
        self._asked_read_only = read_only
        self.mirror = Mirror(self._clock.now)
        self._connection = Connection(
            opener(address, token, _starting), self._clock, read_only=read_only, take=self._take, lost=self._lost
        )
        ask = self._connection.call
        self.queries = RemoteQueries(self.mirror, self.bus, self._clock, ask)
        self.pipeline = RemotePipeline(ask)
        self.sessions = RemoteSessions(self.mirror, ask)
        self.documents = RemoteDocuments(self.mirror, ask)
        self.diagnosing = RemoteDiagnosing(ask)
        self.book = RemoteBook(ask)
        self.since_left = RemoteSinceLeft(ask, self._clock)

    async def start(self) -> None:
        """Attach; returns when the first state can be shown.

        Raises:
            MidasError: No service is there, or it refuses.
        """
        self.bus.publish(RuntimeChanged(at=self.now(), phase="starting", detail=f"attaching to {self.attached}"))
        await self._connection.open()

    async def stop(self) -> None:
        """Leave; the service goes on."""
        await self.queries.close()
        await self._connection.close()

    # -- what comes ------------------------------------------------------------------------------

    def _take(self, message: dict[str, Any]) -> None:
        """One message of the stream: a welcome, events, or everything anew."""
        self.since_left.heard()
        if "facts" in message:
            self.mirror.take_facts(message["facts"])
        if "whole" in message:
            self._anew(message)
        self.mirror.read(message, self.bus.publish)
        if "events" in message:
            self._connection.number = int(message["seq"])

    def _anew(self, message: dict[str, Any]) -> None:
        """All of the state; of the past only what was not told here."""
        self.mirror.take_whole(message["whole"])
        known = self._connection.number if message.get("run", self._connection.run) == self._connection.run else 0
        for row in message.get("past", ()):
            if not isinstance(row, list) or len(row) != 2 or not isinstance(row[0], int):
                raise WireError("it is no past")
            event = event_of(row[1])
            if event is not None and row[0] > known:
                self.bus.publish(event)
        self._connection.number = int(message["seq"])
        # Who shows figures takes them whole from here now.
        self.bus.publish(WatchChanged(at=self.now(), features=self.mirror.facts.watched))

    def _lost(self, why: str) -> None:
        if bool(why) != bool(self.mirror.lost):
            hint = "it goes on, or not; it is tried again all the time" if why else ""
            words = f"not attached: {why}" if why else "attached again; nothing was missed"
            severity = "critical" if why else "info"
            fault = FaultReported(at=self.now(), where="service", message=words, hint=hint, severity=severity)
            self.bus.publish(fault)
        self.mirror.lost = why
        self.since_left.lost(bool(why))
        phase, detail = ("degraded", f"not attached: {why}") if why else (self.mirror.facts.phase, "")
        self.bus.publish(RuntimeChanged(at=self.now(), phase=phase, detail=detail))

    # -- what it is ------------------------------------------------------------------------------

    @property
    def mode(self) -> str:
        """LIVE."""
        return self.mirror.facts.mode

    @property
    def read_only(self) -> bool:
        """Whether nothing may be changed from here."""
        return self._asked_read_only or self.mirror.facts.read_only

    @property
    def source(self) -> str:
        """Where the service's bars come from."""
        return self.mirror.facts.source

    @property
    def bar_seconds(self) -> int:
        """Length of one bar."""
        return self.mirror.facts.bar_seconds

    @property
    def phase(self) -> str:
        """The service's phase; degraded while it is not reached."""
        return "degraded" if self.mirror.lost else self.mirror.facts.phase

    def now(self) -> datetime:
        """The wall's time."""
        return self._clock.now()

    def troubles(self) -> Sequence[Trouble]:
        """What is wrong now, the worst first."""
        from midas_engine.events import Trouble

        found = list(self.mirror.facts.troubles)
        if self.mirror.lost:
            found.insert(0, Trouble("NOT ATTACHED", self.mirror.lost, "what is shown is of before; it is tried again"))
        return found

    def status(self) -> Mapping[str, Any]:
        """Of the service, as told last, and of this connection."""
        own = {"attached": self.mirror.lost or self.attached, "events taken": self._connection.number}
        return {**own, **self.mirror.facts.status}
