"""`Mirror`: the state of an engine elsewhere, folded from what it tells; for attached terminals and recorded runs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from midas_engine import events as ev
from midas_engine.runtime.queries import STALE_AFTER_BARS
from midas_engine.service.picture import Facts, Whole
from midas_engine.service.wire import WireError, decoded, event_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from midas_engine.models import Alert, FeatureMetrics

_SAID = ("killed", "paused")  # the operator's word, whatever the feed does
RESOLVED_KEPT = 500


class Mirror:
    """Figures, alerts and facts as they were told last.

    Args:
        now: Time that tells whether they are about now.

    Attributes:
        facts: As told last.
        bars: Bars told so far: what was asked before the newest is asked again.
        lost: Why nothing is told now; empty while something is.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.facts = Facts("LIVE", "", "starting", True, 3600, "")
        self._metrics: dict[str, FeatureMetrics] = {}
        self._alerts: dict[str, Alert] = {}
        self.bars = 0
        self.lost = ""

    def take_facts(self, record: Any) -> None:
        """Facts as they came; WireError when they are none."""
        self.facts = decoded(Facts, record)

    def take_whole(self, record: Any) -> None:
        """All figures and alerts as they came; WireError when they are none."""
        self.put(decoded(Whole, record))

    def whole(self) -> Whole:
        """All figures and alerts as they were told."""
        return Whole(tuple(self._metrics.values()), tuple(self._alerts.values()))

    def put(self, whole: Whole) -> None:
        """Take all figures and alerts in place of what was known."""
        self._metrics = {m.feature: m for m in whole.metrics}
        self._alerts = {a.id: a for a in whole.alerts}
        self.bars += 1

    def apply(self, event: ev.Event) -> None:
        """Fold one event in."""
        if isinstance(event, ev.FeatureTicked):
            self._metrics[event.metrics.feature] = event.metrics
        elif isinstance(event, ev.AlertRaised | ev.AlertUpdated | ev.AlertChanged | ev.AlertResolved):
            self._alerts.pop(event.alert.id, None)
            self._alerts[event.alert.id] = event.alert
            self._forget()
        elif isinstance(event, ev.BarProcessed):
            self.bars += 1
        elif isinstance(event, ev.RuntimeChanged):
            self.facts = dataclasses.replace(self.facts, phase=event.phase)
        elif isinstance(event, ev.TroubleChanged):
            self.facts = dataclasses.replace(self.facts, troubles=event.troubles)
        elif isinstance(event, ev.WatchChanged):
            self._metrics = {name: m for name, m in self._metrics.items() if name in event.features}
            self.facts = dataclasses.replace(self.facts, watched=event.features)
            self.bars += 1

    def _forget(self) -> None:
        ended = [key for key, alert in self._alerts.items() if not alert.active]
        for key in ended[:-RESOLVED_KEPT]:
            del self._alerts[key]

    def metrics(self) -> dict[str, FeatureMetrics]:
        """Figures of what is watched; none is healthy while nothing is told."""
        if not self.stale and not self.facts.blind:
            return dict(self._metrics)
        return {
            name: m if m.status in _SAID else dataclasses.replace(m, status="stale")
            for name, m in self._metrics.items()
        }

    def alerts(self, *, include_resolved: bool) -> list[Alert]:
        """Episodes, newest first."""
        found = [a for a in self._alerts.values() if include_resolved or a.active]
        return sorted(found, key=lambda a: a.last_seen_at, reverse=True)

    @property
    def stale(self) -> bool:
        """No bar of the last two intervals is known of here, or nothing is told."""
        if self.lost:
            return True
        newest = self.facts.newest
        if newest is None:
            return False
        return (self._now() - newest).total_seconds() > STALE_AFTER_BARS * self.facts.bar_seconds

    def read(self, message: dict[str, Any], publish: Callable[[ev.Event], None]) -> None:
        """Take the parts of a message in their order and publish its events.

        Raises:
            WireError: It cannot be read.
        """
        for part in message.get("events", ()):
            if not isinstance(part, dict):
                raise WireError("it is no event")
            if "facts" in part:
                self.take_facts(part["facts"])
            elif "whole" in part:
                self.take_whole(part["whole"])
            elif (event := event_of(part)) is not None:
                self.apply(event)
                publish(event)
