"""Episodes: a condition that holds becomes one alert with a count, not an alert a bar."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from midas_engine.models import Alert, AlertStatus, Severity


def alert_id(feature: str, rule: str, raised_at: datetime) -> str:
    """Id of an episode: the same feature, rule and bar give the same id in every run.

    Example:
        >>> from datetime import UTC
        >>> alert_id("carry", "slippage", datetime(2025, 1, 1, tzinfo=UTC))
        'a-336134d4'
    """
    text = f"{feature}\x1f{rule}\x1f{raised_at.isoformat()}"
    return "a-" + hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(slots=True)
class Episode:
    """A running episode: its alert and how many clear bars it has seen in a row."""

    alert: Alert
    clear: int = 0
    latched: bool = False

    def seen(self, at: datetime, value: float, severity: Severity, threshold: float, message: str) -> bool:
        """The condition held again; True when it is critical for the first time, which is news."""
        self.clear = 0
        alert = self.alert
        risen = severity is Severity.CRITICAL and alert.worst is not Severity.CRITICAL
        fallen = alert.worst is Severity.CRITICAL and severity is not Severity.CRITICAL
        self.alert = dataclasses.replace(
            alert,
            last_seen_at=at,
            count=alert.count + 1,
            value=value,
            severity=severity,
            threshold=threshold,
            message=f"{message}; it was critical" if fallen else message,
            worst=severity if risen else alert.worst,
            status=AlertStatus.OPEN if risen and alert.status is AlertStatus.ACKNOWLEDGED else alert.status,
        )
        return risen

    def ease(self, at: datetime, value: float) -> bool:
        """The condition does not hold: a critical one is critical no more, though it runs on; True when it was."""
        if self.alert.severity is not Severity.CRITICAL:
            return False
        words = f"clear since {at:%m-%d %H:%M}; it was critical: {self.alert.message}"
        self.alert = dataclasses.replace(self.alert, severity=Severity.WARNING, value=value, message=words)
        return True

    def wake(self, at: datetime) -> bool:
        """End a snooze whose time has come; True when it did."""
        alert = self.alert
        if alert.status is not AlertStatus.SNOOZED or alert.snoozed_until is None or at < alert.snoozed_until:
            return False
        self.alert = dataclasses.replace(alert, status=AlertStatus.OPEN, snoozed_until=None)
        return True

    def resolve(self, at: datetime, why: str = "") -> Alert:
        """Close the episode; `why` where its condition did not end."""
        self.alert = dataclasses.replace(
            self.alert, status=AlertStatus.RESOLVED, resolved_at=at, snoozed_until=None, closed=why
        )
        return self.alert


def alert_to_dict(alert: Alert) -> dict[str, Any]:
    """JSON-ready form of an alert; NaN becomes null."""
    plain = dataclasses.asdict(alert)
    for key, value in plain.items():
        if isinstance(value, datetime):
            plain[key] = value.isoformat()
        elif isinstance(value, float) and value != value:
            plain[key] = None
    return plain


def alert_from_dict(plain: dict[str, Any]) -> Alert:
    """The alert that `alert_to_dict` wrote."""
    fields = dict(plain)
    for key in ("raised_at", "last_seen_at", "snoozed_until", "resolved_at"):
        if fields.get(key):
            fields[key] = datetime.fromisoformat(fields[key])
    for key in ("value", "threshold"):
        fields[key] = float("nan") if fields.get(key) is None else float(fields[key])
    fields["severity"] = Severity(fields["severity"])
    fields["status"] = AlertStatus(fields["status"])
    # of a base that was written before alerts had it
    fields["worst"] = Severity(fields.get("worst") or fields["severity"])
    return Alert(**fields)
