"""Incidents: what many features say at once by one rule has one cause, and is one line."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import statistics
from typing import TYPE_CHECKING

from midas_engine.models import AlertStatus, Severity
from midas_engine.monitor.alerts.rules import in_short

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from midas_engine.models import Alert

# So many features make an incident; raised so close to one another, in bars, over so many bars in all.
FEATURES, TOGETHER, LONGEST = 3, 3, 6
_LOUDNESS = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


class IncidentClock:
    """Gives the episodes of one rule that begin together one incident."""

    def __init__(self) -> None:
        self.bar = 0
        self._latest: dict[str, tuple[str, int, int]] = {}

    def of(self, rule: str, at: datetime) -> str:
        """Incident of an episode of `rule` that begins now; see `TOGETHER`."""
        name, first, last = self._latest.get(rule, ("", 0, 0))
        if not name or self.bar - last > TOGETHER or self.bar - first > LONGEST:
            name, first = "i-" + hashlib.sha256(f"{rule}\x1f{at.isoformat()}".encode()).hexdigest()[:8], self.bar
        self._latest[rule] = (name, first, self.bar)
        return name

    def state(self) -> dict[str, object]:
        """JSON-ready."""
        return {"bar": self.bar, "latest": {rule: list(entry) for rule, entry in self._latest.items()}}

    def restore(self, state: dict[str, object]) -> None:
        """Go on from `state`; an empty one, of an older base, begins anew."""
        bar, latest = state.get("bar", 0), state.get("latest", {})
        self.bar = bar if isinstance(bar, int) else 0
        self._latest = {r: (n, f, x) for r, (n, f, x) in latest.items()} if isinstance(latest, dict) else {}


def incidents(alerts: Iterable[Alert], watched: int = 0) -> list[Alert]:
    """`alerts` with those of one incident as one, in the place of its first.

    Such a one has the incident's id, the loudest severity, the middle value and as its feature "6 features".

    Args:
        alerts: Alerts of any features.
        watched: How many features there are, to tell when it is most of them.
    """
    alerts = list(alerts)
    members: dict[str, list[Alert]] = {}
    for alert in alerts:
        if alert.incident:
            members.setdefault(alert.incident, []).append(alert)
    shown: list[Alert] = []
    for alert in alerts:
        group = members.get(alert.incident, [])
        if len(group) < FEATURES:
            shown.append(alert)
        elif alert is group[0]:
            shown.append(_folded(group, watched))
    return shown


def _folded(group: Sequence[Alert], watched: int) -> Alert:
    worst = max(group, key=lambda alert: _LOUDNESS.index(alert.severity))
    known = [alert.value for alert in group if math.isfinite(alert.value)]
    value = statistics.median(known) if known else math.nan
    words = in_short(dataclasses.replace(worst, value=value)) or worst.message
    wide = ", market-wide" if watched and 2 * len(group) > watched else ""
    loud = [alert for alert in group if alert.status is AlertStatus.OPEN]
    return dataclasses.replace(
        worst,
        id=worst.incident,
        feature=f"{len(group)} features",
        message=f"{words}{wide}: {', '.join(sorted(alert.feature for alert in group))}",
        value=value,
        raised_at=min(alert.raised_at for alert in group),
        last_seen_at=max(alert.last_seen_at for alert in group),
        count=max(alert.count for alert in group),
        status=(loud or group)[0].status,
        diagnosis=next((alert.diagnosis for alert in group if alert.diagnosis), ""),
    )
