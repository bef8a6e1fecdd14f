"""Typed, versioned, past-tense events: the one stream that terminal, journal, recorder and tests read.

An event whose `replace_key` is not None is latest-wins: a slow subscriber sees only the newest of
its key. All others are never lost. `to_dict` / `from_dict` round-trip through JSON.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar

if typing.TYPE_CHECKING:
    from midas_engine.models import Alert, DiagnoseResult, FeatureMetrics

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events. `at` is engine time (replay time in replay), UTC."""

    at: datetime
    version: ClassVar[int] = SCHEMA_VERSION

    @property
    def replace_key(self) -> object | None:
        """Events of one type and key replace one another while they wait; None: never replaced."""
        return None


# -- discovery ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEvent(Event):
    """An event of a discovery session."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(SessionEvent):
    """A discovery session began."""

    goal: str
    researcher: str
    model: str = ""
    regime: str = ""
    max_iterations: int = 0
    candidates_per_iter: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted(SessionEvent):
    """A phase began: plan, write, assess, refine or learn."""

    iteration: int
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensStreamed(SessionEvent):
    """The researcher produced text. Untrusted: show it as data."""

    iteration: int
    phase: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMade(SessionEvent):
    """The plan of one iteration was read."""

    iteration: int
    hypothesis: str
    approach: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionProposed(SessionEvent):
    """An expression was proposed and passed validation."""

    iteration: int
    name: str
    expression: str
    rationale: str = ""
    refined_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionRefused(SessionEvent):
    """A proposed expression was refused before scoring."""

    iteration: int
    expression: str
    reason: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """One agent's verdict, flat, for the scorecard."""

    agent: str
    passed: bool
    score: float
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateScored(SessionEvent):
    """The six agents judged an expression on the research part."""

    iteration: int
    name: str
    expression: str
    accepted: bool
    composite: float
    rank_ic: float
    score_t: float
    line_t: float
    trials: int
    agents: tuple[AgentRow, ...] = ()
    suggestions: tuple[str, ...] = ()
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateAccepted(SessionEvent):
    """A candidate passed every part and was saved."""

    name: str
    expression: str
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCalled(SessionEvent):
    """A model call ended and was charged."""

    provider: str
    model: str
    tokens_in: int
    tokens_out: int
    cost_usd: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(SessionEvent):
    """A discovery session ended: success, failed, cancelled or error."""

    result: str
    accepted: tuple[str, ...] = ()
    tried: int = 0
    reason: str = ""
    learning_path: str = ""


# -- knowledge base and pipeline ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningWritten(Event):
    """A learning document reached the disk."""

    path: str
    title: str
    loop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentChanged(Event):
    """Files of the knowledge base changed on disk (relative paths)."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureMoved(Event):
    """A feature changed state, by an action that is already on disk."""

    feature: str
    action: str
    before: str
    after: str
    reason: str = ""
    actor: str = ""


# -- monitoring --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BarProcessed(Event):
    """The monitor finished a bar. `bar_at` is the bar's open time."""

    bar_at: datetime
    regime: str
    features: int
    warnings: int = 0
    criticals: int = 0
    seconds: float = 0.0
    symbols: int = 0

    @property
    def replace_key(self) -> object | None:
        """Only the newest bar matters to a slow screen."""
        return "bar"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTicked(Event):
    """A feature's metrics after a bar."""

    metrics: FeatureMetrics

    @property
    def replace_key(self) -> object | None:
        """One waiting tick per feature."""
        return self.metrics.feature


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRefused(Event):
    """A bar was refused by the checks (duplicate, disorder, absurd, from the future)."""

    bar_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedGapped(Event):
    """Bars are missing between two that came."""

    first_missing: datetime
    missing_bars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRaised(Event):
    """An episode began."""

    alert: Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertUpdated(Event):
    """A running episode was seen again, or its severity changed."""

    alert: Alert

    @property
    def replace_key(self) -> object | None:
        """One waiting update per episode."""
        return self.alert.id


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChanged(Event):
    """An operator acknowledged or snoozed an episode."""

    alert: Alert
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertResolved(Event):
    """An episode ended."""

    alert: Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisStarted(Event):
    """A diagnosis began in the background."""

    feature: str
    alert_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisFinished(Event):
    """A diagnosis was written; `error` says why when it was not."""

    feature: str
    alert_id: str
    result: DiagnoseResult | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KillProposed(Event):
    """The e-detector or a diagnosis proposes a kill; policy or operator decides."""

    feature: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KillCallbackFailed(Event):
    """`on_kill` raised or hung; the kill itself stands and the callback is tried again."""

    feature: str
    error: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportWritten(Event):
    """A daily report reached the disk."""

    path: str
    day: date


# -- program -----------------------------------------------------------------------------------


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


def event_types() -> dict[str, type[Event]]:
    """Every concrete event class by name."""
    found: dict[str, type[Event]] = {}
    pending: list[type[Event]] = [Event]
    while pending:
        for sub in pending.pop().__subclasses__():
            pending.append(sub)
            found[sub.__name__] = sub
    return found


def to_dict(event: Event) -> dict[str, Any]:
    """A JSON-ready dictionary: type, version and fields."""
    return {"type": type(event).__name__, "version": event.version, **_plain_fields(event)}


def _plain_fields(thing: Any) -> dict[str, Any]:
    return {f.name: _plain(getattr(thing, f.name)) for f in dataclasses.fields(thing)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return _plain_fields(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, float) and value != value:
        return None
    return value


def from_dict(record: dict[str, Any]) -> Event:
    """The event that `to_dict` wrote; ValueError for an unknown type or a newer version."""
    kind = event_types().get(str(record.get("type")))
    if kind is None:
        raise ValueError(f"unknown event type {record.get('type')!r}")
    if int(record.get("version", 0)) > SCHEMA_VERSION:
        raise ValueError(f"event version {record['version']} is newer than {SCHEMA_VERSION}")
    fields = {k: v for k, v in record.items() if k not in ("type", "version")}
    event = _build(kind, fields)
    if not isinstance(event, Event):
        raise ValueError(f"{kind} is not an event")
    return event


_HINTS: dict[type, dict[str, Any]] = {}


def _build(kind: type, fields: dict[str, Any]) -> Any:
    hints = _HINTS.get(kind)
    if hints is None:
        hints = _HINTS[kind] = typing.get_type_hints(kind)
    return kind(**{name: _typed(value, hints[name]) for name, value in fields.items() if name in hints})


def _typed(value: Any, hint: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [a for a in typing.get_args(hint) if a is not type(None)]
        if value is None:
            return None
        return _typed(value, options[0])
    if hint is float:
        return float("nan") if value is None else float(value)
    if origin is tuple:
        item = typing.get_args(hint)[0]
        return tuple(_typed(v, item) for v in value)
    if isinstance(hint, type):
        if hint is datetime:
            return datetime.fromisoformat(value)
        if hint is date:
            return date.fromisoformat(value)
        if issubclass(hint, StrEnum):
            return hint(value)
        if dataclasses.is_dataclass(hint):
            return _build(hint, value)
    return value
