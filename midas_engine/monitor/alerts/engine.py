"""AlertEngine: rules and detectors in, episodes out."""

from __future__ import annotations

import dataclasses
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.events import AlertChanged, AlertRaised, AlertResolved, AlertUpdated
from midas_engine.models import Alert, AlertStatus, Severity
from midas_engine.monitor.alerts.episodes import Episode, alert_from_dict, alert_id, alert_to_dict
from midas_engine.monitor.alerts.incidents import IncidentClock
from midas_engine.monitor.alerts.rules import DETECTOR, FLEET_RULES, Rule, all_rules, grades
from midas_engine.monitor.alerts.thresholds import AlertThresholds, merge_thresholds
from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from midas_engine.events import Event

    Floats = NDArray[np.float64]

KEPT_RESOLVED = 2000
FLEET = "*"
LEFT, KILLED = "left the watch", "killed"
FLEET_KEY = (FLEET, FLEET)


class AlertEngine:
    """Turns conditions that hold into episodes: one alert each, with a count, a life and an end.

    An episode opens when its condition held for `enter_bars` bars and is resolved after `leave_bars` clear ones.
    A second alarm of the same feature and rule joins the running episode. When more than `max_open` episodes run,
    further warnings are folded into one fleet alert; critical ones never are.

    Args:
        thresholds: Partial overrides of the defaults.
    """

    def __init__(self, thresholds: Mapping[str, Any] | None = None) -> None:
        self.thresholds: AlertThresholds = merge_thresholds(thresholds)
        self.episodes: dict[tuple[str, str], Episode] = {}
        self.resolved: deque[Alert] = deque(maxlen=KEPT_RESOLVED)
        self._streaks: dict[str, NDArray[np.int64]] = {}
        self._clock = IncidentClock()

    def replace_thresholds(self, thresholds: Mapping[str, Any]) -> None:
        """Take new overrides whole; a wrong set raises SettingsError and the old one stays."""
        self.thresholds = merge_thresholds(thresholds)

    # -- one bar ---------------------------------------------------------------------------------

    def update(
        self,
        at: datetime,
        names: Sequence[str],
        columns: Mapping[str, Floats],
        *,
        decayed: Iterable[str] = (),
        recovered: Iterable[str] = (),
        level: float = float("nan"),
        active: NDArray[np.bool_] | None = None,
        fleet: Mapping[str, float] | None = None,
    ) -> list[Event]:
        """Judge one bar.

        Args:
            at: Open time of the bar.
            names: Features, in the order of the columns.
            columns: `MonitorEngine.columns()`.
            decayed: Features whose sequential test fired on this bar.
            recovered: Features whose rolling score is back at what was promised.
            level: The sequential tests' threshold, to be shown.
            active: Features that are neither paused nor killed, [F]; the others keep quiet.
            fleet: Figures of all features at once, for `FLEET_RULES`.

        Returns:
            AlertRaised, AlertUpdated and AlertResolved events, in the order of rules and features.
        """
        events: list[Event] = [AlertUpdated(at=at, alert=e.alert) for e in self.episodes.values() if e.wake(at)]
        self._clock.bar += 1
        table = grades(columns, self.thresholds)
        if active is not None:
            table[:, ~active] = 0
        for row, rule in enumerate(all_rules()):
            events.extend(self._apply(at, rule, names, table[row], columns[rule.figure]))
        figures = {key: np.array([value]) for key, value in (fleet or {}).items()}
        for rule in FLEET_RULES if figures else ():
            events.extend(self._apply(at, rule, [FLEET], rule.grade(figures, self.thresholds), figures[rule.figure]))
        for name in decayed:
            events.extend(self._hold(at, DETECTOR, name, 2, level, threshold=level))
        back = set(recovered)
        for key, episode in list(self.episodes.items()):
            if key[1] == DETECTOR.name and episode.alert.last_seen_at != at and key[0] in back:
                events.extend(self._clear(at, key))
        if FLEET_KEY in self.episodes and len(self.episodes) <= self.thresholds.max_open // 2:
            events.extend(self._clear(at, FLEET_KEY))
        return events

    def select(self, rows: Sequence[int]) -> None:
        """The features changed: keep the streaks of `rows`, in that order; -1 is a new one."""
        whole = {rule.name for rule in FLEET_RULES}
        self._streaks = {
            rule: streak if rule in whole else select_rows(streak, rows) for rule, streak in self._streaks.items()
        }

    def _apply(
        self, at: datetime, rule: Rule, names: Sequence[str], level: NDArray[np.int8], figure: Floats
    ) -> list[Event]:
        streak = self._streaks.get(rule.name)
        if streak is None or len(streak) != len(names):
            streak = np.zeros(len(names), np.int64)
        streak = np.where(level > 0, streak + 1, 0)
        self._streaks[rule.name] = streak
        enter = rule.enter_bars if rule.enter_bars is not None else self.thresholds.enter_bars
        events: list[Event] = []
        for place in np.flatnonzero(streak >= enter).tolist():
            events.extend(self._hold(at, rule, names[place], int(level[place]), float(figure[place])))
        running = [name for (name, owner) in self.episodes if owner == rule.name]
        if running:
            places = {name: place for place, name in enumerate(names)}
            held = {names[place] for place in np.flatnonzero(level > 0).tolist()}
            for name in running:
                if name not in held:
                    value = float(figure[places[name]]) if name in places else float("nan")
                    if self.episodes[name, rule.name].ease(at, value):
                        events.append(AlertUpdated(at=at, alert=self.episodes[name, rule.name].alert))
                    events.extend(self._clear(at, (name, rule.name)))
        return events

    def _hold(
        self, at: datetime, rule: Rule, name: str, level: int, value: float, *, threshold: float | None = None
    ) -> list[Event]:
        gate = rule.threshold(self.thresholds, level) if threshold is None else threshold
        severity = rule.severity(level)
        message = rule.text.format(value=value, threshold=gate, feature=name)
        episode = self.episodes.get((name, rule.name))
        if episode is not None:
            risen = episode.seen(at, value, severity, gate, message)
            return [AlertRaised(at=at, alert=episode.alert) if risen else AlertUpdated(at=at, alert=episode.alert)]
        if severity is not Severity.CRITICAL and len(self.episodes) >= self.thresholds.max_open:
            return self._fold(at, rule.alert_type)
        alert = Alert(
            id=alert_id(name, rule.name, at),
            feature=name,
            alert_type=rule.alert_type,
            severity=severity,
            message=message,
            raised_at=at,
            last_seen_at=at,
            value=value,
            threshold=gate,
            unit=rule.unit,
            rule=rule.name,
            worst=severity,
            incident="" if name == FLEET else self._clock.of(rule.name, at),
        )
        self.episodes[name, rule.name] = Episode(alert)
        return [AlertRaised(at=at, alert=alert)]

    def _fold(self, at: datetime, alert_type: str) -> list[Event]:
        episode = self.episodes.get(FLEET_KEY)
        if episode is not None:
            if episode.alert.last_seen_at == at:
                return []
            episode.seen(
                at, float(len(self.episodes)), Severity.WARNING, episode.alert.threshold, episode.alert.message
            )
            return [AlertUpdated(at=at, alert=episode.alert)]
        limit = self.thresholds.max_open
        alert = Alert(
            id=alert_id(FLEET, FLEET, at),
            feature=FLEET,
            alert_type=alert_type,  # of the first that was folded
            severity=Severity.WARNING,
            message=f"more than {limit} episodes run at once: further warnings are folded into this one; "
            "look at the feed first",
            raised_at=at,
            last_seen_at=at,
            value=float(len(self.episodes)),
            threshold=float(limit),
            unit="episodes",
            rule=FLEET,
            worst=Severity.WARNING,
        )
        self.episodes[FLEET_KEY] = Episode(alert)
        return [AlertRaised(at=at, alert=alert)]

    def _clear(self, at: datetime, key: tuple[str, str]) -> list[Event]:
        episode = self.episodes[key]
        episode.clear += 1
        if episode.clear < self.thresholds.leave_bars:
            return []
        del self.episodes[key]
        alert = episode.resolve(at)
        self.resolved.append(alert)
        return [AlertResolved(at=at, alert=alert)]

    # -- the operator ----------------------------------------------------------------------------

    def alerts(self, *, include_resolved: bool = False) -> list[Alert]:
        """Running episodes, newest first; with the resolved ones still kept, if asked."""
        found = [e.alert for e in self.episodes.values()] + (list(self.resolved) if include_resolved else [])
        return sorted(found, key=lambda alert: (alert.last_seen_at, alert.raised_at, alert.id), reverse=True)

    def acknowledge(self, alert_id_: str, at: datetime, actor: str = "operator") -> list[Event]:
        """Mark an episode as seen by `actor`; MonitorError when it does not run."""
        return self._change(alert_id_, at, "acknowledge", status=AlertStatus.ACKNOWLEDGED, acknowledged_by=actor)

    def snooze(self, alert_id_: str, hours: float, at: datetime) -> list[Event]:
        """Silence an episode for `hours`; MonitorError when it does not run."""
        if not 0 < hours <= 24 * 365:
            raise MonitorError(f"an alert cannot be snoozed for {hours} hours", hint="use 0 to 8760")
        until = at + timedelta(hours=hours)
        return self._change(alert_id_, at, "snooze", status=AlertStatus.SNOOZED, snoozed_until=until)

    def reopen(self, alert_id_: str, at: datetime) -> list[Event]:
        """Take an acknowledgement or a snooze back; MonitorError when the episode does not run."""
        changes = {"status": AlertStatus.OPEN, "acknowledged_by": "", "snoozed_until": None}
        return self._change(alert_id_, at, "reopen", **changes)

    def _change(self, wanted: str, at: datetime, action: str, **changes: Any) -> list[Event]:
        for episode in self.episodes.values():
            if episode.alert.id == wanted:
                episode.alert = dataclasses.replace(episode.alert, **changes)
                return [AlertChanged(at=at, alert=episode.alert, action=action)]
        raise MonitorError(f"alert {wanted!r} is not open", hint="it may be resolved already")

    def take_answers(self, alerts: Iterable[Alert]) -> None:
        """Carry over what was answered: episodes that run here as they ran there stay acknowledged or snoozed."""
        answered = {a.id: a for a in alerts if a.status in (AlertStatus.ACKNOWLEDGED, AlertStatus.SNOOZED)}
        for episode in self.episodes.values():
            known = answered.get(episode.alert.id)
            if known is not None and known.severity is episode.alert.severity:
                episode.alert = dataclasses.replace(
                    episode.alert,
                    status=known.status,
                    acknowledged_by=known.acknowledged_by,
                    snoozed_until=known.snoozed_until,
                )

    def attach_diagnosis(self, wanted: str, text: str, at: datetime) -> list[Event]:
        """Note the diagnosis of an episode, whether it still runs or not; what a screen should hear of it."""
        for episode in self.episodes.values():
            if episode.alert.id == wanted:
                episode.alert = dataclasses.replace(episode.alert, diagnosis=text)
                return [AlertUpdated(at=at, alert=episode.alert)]
        for place, alert in enumerate(self.resolved):
            if alert.id == wanted:
                self.resolved[place] = dataclasses.replace(alert, diagnosis=text)
                return [AlertUpdated(at=at, alert=self.resolved[place])]
        return []

    def forget(self, name: str, at: datetime, why: str = LEFT) -> list[Event]:
        """Resolve every episode of a feature that is monitored no longer, or was killed."""
        gone = [key for key in self.episodes if key[0] == name]
        resolved = [self.episodes.pop(key).resolve(at, why) for key in gone]
        self.resolved.extend(resolved)
        return [AlertResolved(at=at, alert=alert) for alert in resolved]

    def stopped(self, names: Collection[str], at: datetime) -> list[Event]:
        """Resolve every episode of features that were killed: nothing of them changes any more."""
        gone = sorted({owner for owner, _ in self.episodes}.intersection(names))
        return [event for name in gone for event in self.forget(name, at, KILLED)]

    # -- restart ---------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """JSON-ready: episodes, streaks and what was resolved lately."""
        return {
            "episodes": [{"alert": alert_to_dict(e.alert), "clear": e.clear} for e in self.episodes.values()],
            "streaks": {rule: streak.tolist() for rule, streak in self._streaks.items()},
            "resolved": [alert_to_dict(alert) for alert in self.resolved],
            "incidents": self._clock.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.episodes = {}
        for entry in state["episodes"]:
            alert = alert_from_dict(entry["alert"])
            self.episodes[alert.feature, alert.rule] = Episode(alert, int(entry["clear"]))
        self._streaks = {rule: np.array(streak, np.int64) for rule, streak in state["streaks"].items()}
        self._clock.restore(state.get("incidents", {}))
        self.resolved = deque((alert_from_dict(a) for a in state["resolved"]), maxlen=KEPT_RESOLVED)
