"""Events of the program itself: replay, phases, faults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from midas_engine.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayMoved(Event):
    """The replay's position, speed or state changed."""

    position: int
    total: int
    speed: float
    playing: bool
    bar_at: datetime

    @property
    def replace_key(self) -> object | None:
        """Only the newest position matters."""
        return "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeChanged(Event):
    """The runtime went to a new phase: starting, warming, running, degraded, stopping. `detail` says why."""

    phase: str
    detail: str = ""
    progress: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultReported(Event):
    """Something failed and was survived. `where` names the part; `hint` what to do."""

    where: str
    message: str
    hint: str = ""
    severity: str = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAnswered(Event):
    """What was asked of a service about a feature has come: who looked for it before may look again."""

    feature: str

    @property
    def replace_key(self) -> object | None:
        """One is enough."""
        return self.feature


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong now: a badge of a few words, what it is, and what to do."""

    badge: str
    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubleChanged(Event):
    """What is wrong now is exactly `troubles`, the worst first; empty: nothing is."""

    troubles: tuple[Trouble, ...]

    @property
    def replace_key(self) -> object | None:
        """Only what is wrong now matters."""
        return "trouble"
