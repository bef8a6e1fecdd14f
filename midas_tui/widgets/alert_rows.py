"""How an alert looks as a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_tui.formats import clock_time
from midas_tui.widgets.line_table import Cell, Column

if TYPE_CHECKING:
    from midas_engine.models import Alert
    from midas_tui.theme import Glyphs

ALERT_COLUMNS = (
    Column("sign", "", 1),
    Column("at", "last seen", 11, 2, right=False),
    Column("type", "type", 18, 1, right=False),
    Column("feature", "feature", 18, right=False),
    Column("message", "what", 20, right=False, grow=True),
    Column("count", "bars", 5, 3),
    Column("state", "state", 12, 1, right=False),
)


def alert_cells(alert: Alert, glyphs: Glyphs) -> dict[str, Cell]:
    """The cells of `ALERT_COLUMNS`."""
    role = {"critical": "crit", "warning": "warn"}.get(alert.severity, "muted")
    sign = {"critical": glyphs.critical, "warning": glyphs.warning}.get(alert.severity, glyphs.ok)
    quiet = alert.status in ("acknowledged", "snoozed", "resolved")
    state = alert.status.value
    if alert.snoozed_until is not None and alert.status == "snoozed":
        state = f"zz {clock_time(alert.snoozed_until, date=False)}"
    return {
        "sign": (sign, "muted" if quiet else role),
        "at": (clock_time(alert.last_seen_at), "muted"),
        "type": (alert.alert_type, "muted" if quiet else role),
        "feature": (alert.feature, ""),
        "message": (alert.message, "muted" if quiet else ""),
        "count": (f"x{alert.count}", "muted"),
        "state": (state, "muted" if quiet else ""),
    }
