"""How an alert looks as a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.events import AlertRaised, to_dict
from midas_tui.formats import clock_time, kind_words, number
from midas_tui.widgets.columns import Cell, Column, LazyRow, briefly

if TYPE_CHECKING:
    from midas_engine.models import Alert
    from midas_tui.theme import Glyphs

ALERT_COLUMNS = (
    Column("sign", "", 1),
    Column("at", "last seen", 11, 1, right=False),
    Column("type", "type", 18, 5, right=False),
    Column("feature", "feature", 18, right=False),
    Column("gate", "value / gate", 13, 1),
    Column("message", "what", 18, right=False, grow=True, whole=48, cut_end=True),
    Column("count", "bars", 5, 4),
    Column("state", "state", 8, 1, right=False),
)


def alert_row(alert: Alert, glyphs: Glyphs) -> LazyRow:
    """The row of one alert, for `ALERT_COLUMNS`."""
    return LazyRow(alert, lambda: alert_cells(alert, glyphs))


def alert_cells(alert: Alert, glyphs: Glyphs) -> dict[str, Cell]:
    """The cells of `ALERT_COLUMNS`."""
    from midas_engine.monitor.alerts.rules import in_short  # the first frame does not wait for the engine

    role = {"critical": "crit", "warning": "warn"}.get(alert.severity, "muted")
    sign = {"critical": glyphs.critical, "warning": glyphs.warning}.get(alert.severity, glyphs.ok)
    quiet = alert.status in ("acknowledged", "snoozed", "resolved")
    state = "acked" if alert.status == "acknowledged" else alert.status.value
    message = f"{alert.closed}: {alert.message}" if alert.closed else alert.message
    short = alert.message.partition(": ")[0] if alert.id == alert.incident else in_short(alert)
    if alert.snoozed_until is not None and alert.status == "snoozed":
        state = f"zz {clock_time(alert.snoozed_until, date=False)}"
    return {
        "sign": (sign, "muted" if quiet else role),
        "at": (clock_time(alert.last_seen_at), "muted"),
        "type": (kind_words(alert.alert_type), "muted" if quiet else role),
        "feature": (alert.feature, ""),
        "gate": (f"{_short(alert.value)} / {_short(alert.threshold)}", "muted" if quiet else role),
        "message": (message, "muted" if quiet else ""),
        briefly("message"): (_first(alert.closed, short) or message, "muted" if quiet else ""),
        "count": (f"x{alert.count}", "muted"),
        "state": (state, "muted" if quiet else ""),
    }


def _first(closed: str, short: str) -> str:
    return f"{closed}: {short}" if closed and short else closed or short


def _short(value: float) -> str:
    return number(value, 2 if abs(value) < 10 else 0, signed=False)


def copied_alert(alert: Alert | None) -> tuple[str, dict[str, Any] | None]:
    """An alert as text and as a record, for the clipboard."""
    if alert is None:
        return "", None
    record = to_dict(AlertRaised(at=alert.raised_at, alert=alert))["alert"]
    return f"{alert.feature} {alert.alert_type}: {alert.message}", record
