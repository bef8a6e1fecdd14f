"""What the screens show: the newest state, folded from the event stream. Knows no widget."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine import events as ev
from midas_engine.monitor.alerts.order import loudest_first
from midas_engine.sentence import Money, Sentence, Standing, sentence
from midas_tui.earned import Earned
from midas_tui.session_view import STREAM_LINES, SessionView, TrialRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from midas_engine.models import Alert, FeatureMetrics, FeatureRecord, PipelineSummary, SessionSummary
    from midas_tui.runtime_protocol import RuntimePort, WatchReport

# Five days of hours.
SPARK_POINTS = 120
Places = dict[str, tuple[str, bool]]
"""State of each feature, and whether it is paused."""
# The rule of the sequential test.
CALLS = "detector"
FAULTS = 500

__all__ = ["STREAM_LINES", "Past", "Places", "SessionView", "Store", "TrialRow"]


@dataclass(frozen=True, slots=True)
class Past:
    """A moment that is looked at: figures and alerts as they were."""

    at: datetime
    metrics: dict[str, FeatureMetrics]
    alerts: dict[str, Alert]


class Store:
    """The newest state of everything. `apply` folds one event in; `take_dirty` says which topics changed.

    Topics: metrics, alerts, pipeline, session, documents, replay, bar, phase, faults.
    """

    def __init__(self) -> None:
        self._metrics: dict[str, FeatureMetrics] = {}
        self.sparks: dict[str, deque[float]] = {}
        self._begun_sparks: set[str] = set()
        self._alerts: dict[str, Alert] = {}
        self.past: Past | None = None
        self.pipeline: PipelineSummary | None = None
        self.report: WatchReport | None = None
        self.troubles: tuple[ev.Trouble, ...] = ()
        self.unread = 0
        self.watch_moved = False
        self._records: dict[str, FeatureRecord] = {}
        self.sessions: dict[str, SessionView] = {}
        self.replay: ev.ReplayMoved | None = None
        self.bar: ev.BarProcessed | None = None
        self.phase = ("starting", "", float("nan"))
        self.faults: deque[ev.FaultReported] = deque(maxlen=FAULTS)
        self.changed_documents: dict[str, None] = {}
        self.earlier_awaited = "loading: the sessions of before"
        self.seen_events = 0
        self.answers = 0
        self.earned = Earned()
        self._dirty: set[str] = set()
        self._criticals: list[Alert] = []
        self._kills: list[ev.FeatureMoved] = []

    @property
    def metrics(self) -> dict[str, FeatureMetrics]:
        """Figures of every watched feature: the newest, or those of the moment that is looked at."""
        return self._metrics if self.past is None else self.past.metrics

    @property
    def alerts(self) -> dict[str, Alert]:
        """Alerts by id: as they are, or as they were known at the moment that is looked at."""
        return self._alerts if self.past is None else self.past.alerts

    def look_at(self, at: datetime | None, metrics: Mapping[str, FeatureMetrics]) -> None:
        """Show everything as it was at `at`; None: as it is. What comes in meanwhile is kept."""
        if at is None:
            self.past = None
        else:
            from midas_engine.runtime.timeline import alerts_at

            self.past = Past(at, dict(metrics), {a.id: a for a in alerts_at(self._alerts.values(), at)})
        self.mark("metrics", "alerts", "bar")

    def mark(self, *topics: str) -> None:
        """Say that topics changed."""
        self._dirty.update(topics)

    def take_dirty(self) -> set[str]:
        """Topics that changed since the last call."""
        dirty, self._dirty = self._dirty, set()
        return dirty

    def take_criticals(self) -> list[Alert]:
        """Critical episodes that began since the last call and still run; those of one incident are one."""
        new, self._criticals = self._criticals, []
        return self.as_incidents([a for a in new if self.alerts.get(a.id, a).status == "open"])

    def take_kills(self) -> list[ev.FeatureMoved]:
        """Kills since the last call that nobody at a keyboard gave."""
        new, self._kills = self._kills, []
        return new

    @property
    def awaited(self) -> str:
        """What to say where nothing is shown because the engine has told nothing yet; empty once it has."""
        phase, detail, _ = self.phase
        if phase in ("starting", "warming"):
            return f"loading: {detail}" if detail else "loading ..."
        if self.pipeline is not None:
            return ""
        return f"unknown: {detail or phase}" if phase in ("failed", "stopped", "degraded") else "loading ..."

    @property
    def open_alerts(self) -> list[Alert]:
        """Running episodes, loudest and newest first."""
        return loudest_first(self.alerts.values())

    @property
    def called(self) -> frozenset[str]:
        """Features whose sequential test called their death, and did not take it back; the test has begun anew."""
        return frozenset(a.feature for a in self.alerts.values() if a.active and a.rule == CALLS)

    @property
    def open_incidents(self) -> list[Alert]:
        """Running episodes as `open_alerts`, those of one incident as one."""
        return self.as_incidents(self.open_alerts)

    def as_incidents(self, alerts: list[Alert]) -> list[Alert]:
        """`alerts` with those of one incident as one, in the place of its first."""
        if not any(a.incident for a in alerts):
            return alerts
        from midas_engine.monitor.alerts.incidents import incidents  # the first frame does not wait for the engine

        return incidents(alerts, len(self.metrics))

    def alert(self, key: str | None) -> Alert | None:
        """The alert or the running incident of this id."""
        found = self.alerts.get(key or "")
        return found or next((a for a in self.open_incidents if key and a.id == key), None)

    def members(self, key: str) -> list[str]:
        """Ids of the running alerts of an incident; an alert is its own."""
        return [key] if key in self.alerts else [a.id for a in self.open_alerts if a.incident == key]

    @property
    def resolved_alerts(self) -> list[Alert]:
        """Ended episodes, newest first."""
        return sorted((a for a in self.alerts.values() if not a.active), key=lambda a: a.last_seen_at, reverse=True)

    def set_pipeline(self, summary: PipelineSummary) -> None:
        """Take the pipeline as it is now."""
        self.pipeline = summary
        every = (*summary.archived, *summary.candidates, *summary.shadow, *summary.deployed)
        self._records = {r.name: r for r in every}

    def set_report(self, report: WatchReport) -> None:
        """Take what is not watched, and what left the watch today."""
        self.report = report

    def spark(self, name: str, runtime: RuntimePort | None) -> Sequence[float]:
        """The 5-day IC over the last bars: what was told, behind what the engine keeps of the bars before."""
        # A service keeps its bars for itself: a question a row would be too many.
        if name not in self._begun_sparks and runtime is not None and not runtime.attached:
            self._begun_sparks.add(name)
            data = runtime.queries.chart(name)
            if data is not None:
                self.sparks[name] = deque(data.series["ic_5d"][-SPARK_POINTS:], maxlen=SPARK_POINTS)
        return self.sparks.get(name, ())

    @property
    def unwatched(self) -> int:
        """How many live features nobody watches here."""
        return len(self.report.unwatched) if self.report is not None else 0

    def record(self, name: str) -> FeatureRecord | None:
        """A feature as the pipeline holds it; None for one that is only watched."""
        return self._records.get(name)

    def places(self) -> Places:
        """Where each feature of the pipeline stands, and whether it is paused."""
        return {name: (record.state.value, record.paused) for name, record in self._records.items()}

    def is_shadow(self, name: str) -> bool:
        """Whether a feature runs in shadow."""
        record = self._records.get(name)
        return record is not None and record.state == "shadow"

    @property
    def counts(self) -> tuple[int, int]:
        """Running criticals and warnings, an incident being one, that are neither acknowledged nor snoozed."""
        loud = self.as_incidents([a for a in self.alerts.values() if a.status == "open"])
        return sum(a.severity == "critical" for a in loud), sum(a.severity == "warning" for a in loud)

    def sentence(
        self, proposals: Mapping[str, str], ended: datetime | None = None, money: Money | None = None
    ) -> Sentence:
        """The most important thing now; `ended` is when recorded data ended, `money` what the book earned."""
        phase, detail, _ = self.phase
        return sentence(
            Standing(
                phase=phase,
                detail=detail,
                metrics=tuple(self.metrics.values()),
                incidents=self.open_incidents,
                troubles=self.troubles,
                unwatched=self.unwatched,
                proposals=proposals if self.past is None else {},
                ended=ended if self.past is None else None,
                past=self.past.at if self.past is not None else None,
                money=money if self.past is None else None,
            )
        )

    @property
    def running_session(self) -> SessionView | None:
        """The session that runs, if one does; of several the one that began last."""
        return next((s for s in reversed(self.sessions.values()) if s.running), None)

    @property
    def running_words(self) -> str:
        """How far the session is that began last, and how many more run; empty when none does."""
        newest = self.running_session
        if newest is None:
            return ""
        more = sum(s.running for s in self.sessions.values()) - 1
        words = f"session {newest.iteration}/{newest.max_iterations} {newest.phase}".rstrip()
        return f"{words}, {more} more" if more else words

    def reset_live(self, alerts: list[Alert], metrics: dict[str, FeatureMetrics]) -> None:
        """Take the engine's own state whole: at start, and after replay went back in time."""
        self._alerts = {a.id: a for a in alerts}
        self._criticals = []
        self._metrics = dict(metrics)
        self.sparks, self._begun_sparks = {}, set()  # after a jump back they would hold what is to come
        self.watch_moved = False
        self.mark("alerts", "metrics")

    def apply(self, event: ev.Event) -> None:
        """Fold one event in."""
        self.seen_events += 1
        if isinstance(event, ev.FeatureTicked):
            metrics = event.metrics
            self._metrics[metrics.feature] = metrics
            self.sparks.setdefault(metrics.feature, deque(maxlen=SPARK_POINTS)).append(metrics.ic_5d.value)
            self.mark("metrics")
        elif isinstance(event, ev.WatchChanged):
            # Who left is gone now; figures and alerts of the rest are taken whole from the engine next.
            self._metrics = {name: m for name, m in self._metrics.items() if name in event.features}
            self.watch_moved = True
            self.mark("metrics", "alerts", "pipeline")
        elif isinstance(event, ev.BarProcessed):
            self.bar = event
            self.mark("bar")
        elif isinstance(event, ev.AlertRaised | ev.AlertUpdated | ev.AlertChanged | ev.AlertResolved):
            self._alerts[event.alert.id] = event.alert
            if isinstance(event, ev.AlertRaised) and event.alert.severity == "critical":
                self._criticals.append(event.alert)
            self.mark("alerts")
        elif isinstance(event, ev.SessionEvent):
            self._apply_session(event)
        elif isinstance(event, ev.TroubleChanged):
            self.troubles = event.troubles
            self.mark("faults", "pipeline", "documents")
        elif isinstance(event, ev.ReplayMoved):
            self.replay = event
            self.mark("replay")
        elif isinstance(event, ev.FeatureMoved | ev.KillProposed | ev.ShadowProposal):
            if isinstance(event, ev.FeatureMoved) and event.action == "kill" and event.actor == "detector":
                self._kills.append(event)
            self.mark("pipeline")
        elif isinstance(event, ev.DocumentChanged):
            self.changed_documents.update(dict.fromkeys(event.paths))
            self.mark("documents", "pipeline")
        elif isinstance(event, ev.LearningWritten | ev.ReportWritten):
            self.mark("documents")
        elif isinstance(event, ev.RuntimeChanged):
            self.phase = (event.phase, event.detail, event.progress)
            self.mark("phase")
        elif isinstance(event, ev.FaultReported):
            self.faults.append(event)
            self.unread += event.severity != "info"
            self.mark("faults")
        elif isinstance(event, ev.QueryAnswered):
            self.answers += 1
            self.mark("metrics", "pipeline")
        elif isinstance(event, ev.DiagnosisStarted | ev.DiagnosisFinished):
            self.mark("alerts", "documents")

    def _apply_session(self, event: ev.SessionEvent) -> None:
        if isinstance(event, ev.SessionStarted):  # begun, resumed or repeated: what was heard of it comes again
            self.sessions.pop(event.session_id, None)
        view = self.sessions.setdefault(event.session_id, SessionView(event.session_id))
        self.mark("session", *view.apply(event))

    def keep_earlier(self, summaries: Sequence[SessionSummary]) -> None:
        """Take the sessions of before, newest first as they come; one that was heard of is known better."""
        before = {
            s.session_id: SessionView(
                s.session_id, s.goal, s.researcher, s.status, accepted=s.accepted, reason=s.result, told=s.tried,
                earlier=True, at=s.started_at,
            )
            for s in reversed(summaries)
            if s.session_id not in self.sessions
        }  # fmt: skip
        self.sessions = before | self.sessions
        self.earlier_awaited = ""
        self.mark("session")

    def recall(self, view: SessionView, events: Sequence[ev.Event]) -> None:
        """Take the tree of an earlier session; one that was heard of meanwhile is known better."""
        if self.sessions.get(view.session_id) is not view:
            return
        found = SessionView(view.session_id, view.goal, view.researcher, told=view.told, earlier=True)
        for event in events:
            if isinstance(event, ev.SessionStarted):  # it went on once: everything came again
                found = SessionView(view.session_id, told=view.told, earlier=True)
            if isinstance(event, ev.SessionEvent):
                found.apply(event)
        found.at = found.at or view.at
        found.status, found.reason, found.accepted = view.status, view.reason, view.accepted
        self.sessions[view.session_id] = found
        self.mark("session")
