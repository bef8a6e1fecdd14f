"""The filter line of the alerts: words, and the fields feature, severity, type, state and since."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from midas_engine.models import Alert

_SINCE = re.compile(r"(\d{1,4})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class AlertFilter:
    """Which alerts a filter line lets through; every word of it must hold.

    Args:
        text: Such as `severity:critical since:2d slippage`.
        now: What `since` counts back from; None lets every time through.

    Example:
        >>> AlertFilter("feature:carry since:2x").fields
        {'feature': 'carry'}
    """

    def __init__(self, text: str, now: datetime | None) -> None:
        self.words: list[str] = []
        self.fields: dict[str, str] = {}
        self.after: datetime | None = None
        for word in text.lower().split():
            name, colon, value = word.partition(":")
            span = _SINCE.fullmatch(value)
            if colon and name == "since":
                if span is not None and now is not None:
                    self.after = now - int(span[1]) * _UNITS[span[2]]
            elif colon and name in ("feature", "severity", "type", "state"):
                self.fields[name] = value
            else:
                self.words.append(word)

    def passes(self, alert: Alert) -> bool:
        """Whether all of it holds."""
        told = {
            "feature": alert.feature,
            "severity": alert.severity.value,
            "type": f"{alert.alert_type} {alert.rule}",
            "state": alert.status.value,
        }
        if self.after is not None and alert.last_seen_at < self.after:
            return False
        if any(value not in told[name].lower() for name, value in self.fields.items()):
            return False
        text = " ".join((*told.values(), alert.message)).lower()
        return all(word in text for word in self.words)
