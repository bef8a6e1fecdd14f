"""What an attached terminal is given of the engine: the facts, the figures whole, and what it missed of the past."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from midas_engine import events as ev
from midas_engine.events.program import Trouble
from midas_engine.models import Alert, FeatureMetrics
from midas_engine.runtime.queries import Portfolio
from midas_engine.service.wire import packed

if TYPE_CHECKING:
    from midas_engine.bus import EventBus
    from midas_engine.runtime import Runtime

FAULTS_KEPT = 100
SESSION_EVENTS_KEPT = 5_000
SESSIONS_KEPT = 20


@dataclass(frozen=True, slots=True)
class Facts:
    """What holds now beside the figures.

    Attributes:
        base: Folder of the knowledge base, absolute.
        watched: Names that are watched.
        problems: Why a feature cannot be watched.
        newest: Open time of the newest bar; None before one came.
        blind: The feed is silent: no figure is about now.
    """

    mode: str
    source: str
    phase: str
    read_only: bool
    bar_seconds: int
    base: str
    providers: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)
    portfolio: Portfolio | None = None
    proposals: dict[str, str] = field(default_factory=dict)
    newest: datetime | None = None
    blind: bool = False
    troubles: tuple[Trouble, ...] = ()
    status: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Whole:
    """Every figure and every episode, as the engine has them."""

    metrics: tuple[FeatureMetrics, ...] = ()
    alerts: tuple[Alert, ...] = ()


def facts_of(runtime: Runtime) -> Facts:
    """The facts of a runtime."""
    watched = runtime.watched
    stage = watched.stage
    known = stage is not None and stage.fleet.built and stage.fleet.stream.last is not None
    return Facts(
        mode=runtime.mode,
        source=runtime.source,
        phase=runtime.phase,
        read_only=runtime.read_only,
        bar_seconds=runtime.bar_seconds,
        base=str(runtime.kb.path.absolute().resolve()),
        providers=tuple(runtime.sessions.providers()),
        watched=watched.names,
        problems=dict(watched.problems),
        portfolio=runtime.queries.portfolio(),
        proposals=dict(runtime.queries.kill_proposals()),
        newest=stage.fleet.last_bar if known and stage is not None else None,
        blind=watched.blind,
        troubles=tuple(runtime.troubles()),
        status={key: str(value) for key, value in runtime.status().items()},
    )


def whole_of(runtime: Runtime) -> Whole:
    """The figures of a runtime."""
    queries = runtime.queries
    return Whole(tuple(queries.metrics().values()), tuple(queries.alerts(include_resolved=True)))


class Past:
    """Events that a terminal needs though they came before it: the newest of each kind, faults, the last sessions.

    Of ended sessions but the newest the tree is kept and not the streamed text.

    Args:
        bus: Whose events.
    """

    def __init__(self, bus: EventBus) -> None:
        self._number = 0
        self._newest: dict[type[ev.Event], tuple[int, ev.Event]] = {}
        self._faults: deque[tuple[int, ev.Event]] = deque(maxlen=FAULTS_KEPT)
        self._sessions: dict[str, deque[tuple[int, ev.Event]]] = {}
        self._untap = bus.tap(self._take)

    def _take(self, event: ev.Event) -> None:
        self._number += 1
        if isinstance(event, ev.RuntimeChanged | ev.BarProcessed):
            self._newest[type(event)] = (self._number, event)
        elif isinstance(event, ev.FaultReported):
            self._faults.append((self._number, event))
        elif isinstance(event, ev.SessionEvent):
            if isinstance(event, ev.SessionStarted):
                self._begin(event.session_id)
            kept = self._sessions.setdefault(event.session_id, deque(maxlen=SESSION_EVENTS_KEPT))
            kept.append((self._number, event))

    def _begin(self, session_id: str) -> None:
        """Make room for a session that begins, or comes again."""
        self._sessions.pop(session_id, None)
        for name, kept in self._sessions.items():
            if kept and isinstance(kept[-1][1], ev.SessionEnded):
                told = [one for one in kept if not isinstance(one[1], ev.TokensStreamed)]
                self._sessions[name] = deque(told, maxlen=SESSION_EVENTS_KEPT)
        while len(self._sessions) >= SESSIONS_KEPT or self._held > SESSION_EVENTS_KEPT:
            del self._sessions[next(iter(self._sessions))]

    @property
    def _held(self) -> int:
        return sum(map(len, self._sessions.values()))

    def message(self) -> bytes:
        """All of it with their numbers, oldest first, as JSON."""
        told = [one for kept in self._sessions.values() for one in kept]
        found = sorted([*self._newest.values(), *self._faults, *told], key=lambda one: one[0])
        return b"[" + b",".join(b"[%d,%s]" % (number, packed(event)) for number, event in found) + b"]"

    def close(self) -> None:
        """Leave the bus."""
        self._untap()
