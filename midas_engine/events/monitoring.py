"""Events of the online loop: bars, alerts, diagnoses, kills, reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from midas_engine.events.base import Event
from midas_engine.models import Alert, DiagnoseResult, FeatureMetrics


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
class WatchChanged(Event):
    """The watched set is exactly `features` now, and their figures and alerts were taken anew.

    Who shows them takes them whole from the engine: what was raised while it caught up was told to nobody.
    """

    features: tuple[str, ...]

    @property
    def replace_key(self) -> object | None:
        """Only the newest set matters."""
        return "watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRefused(Event):
    """A bar was refused by the checks (malformed, duplicate, disorder, from the future).

    `bar_at` is None when the bar's time could not be read. `count` is how many were refused by now.
    """

    bar_at: datetime | None
    reason: str
    count: int = 0


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
class ShadowProposal(Event):
    """The evidence of a feature in shadow crossed a line; an operator decides.

    `action` is "promote" (sealed and forward evidence together crossed the lifetime's line) or "reject" (the forward
    scores deny what it promised).
    """

    feature: str
    action: str
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
