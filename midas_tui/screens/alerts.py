"""Alerts: the whole history, and everything about the chosen one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from midas_tui.formats import clock_time, number
from midas_tui.sanitise import clean
from midas_tui.screens.base import ModeScreen
from midas_tui.widgets.alert_rows import ALERT_COLUMNS, alert_cells
from midas_tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

    from midas_engine.models import Alert


class AlertsScreen(ModeScreen):
    """Every episode: rule, value against gate, count, state, diagnosis."""

    mode_name: ClassVar[str] = "alerts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "acknowledge", "ack", id="history.ack"),
        Binding("A", "acknowledge_all", "ack all", show=False, id="history.ack_all"),
        Binding("w", "snooze", "snooze", id="history.snooze"),
        Binding("D", "diagnose", "diagnose", id="history.diagnose"),
        Binding("o", "open_only", "open only", id="history.open_only"),
    ]
    CSS = """
    AlertsScreen .pane { border: round $frame; border-title-color: $muted; }
    AlertsScreen .pane:focus { border: round $accent; border-title-color: $accent; }
    AlertsScreen #alert-detail { height: 10; padding: 0 1; }
    AlertsScreen.-short .pane { border: none; }
    AlertsScreen.-short #alert-detail { height: 7; background: $surface; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.open_only = False

    def compose_body(self) -> ComposeResult:
        """History above, detail below."""
        glyphs = self.midas.glyphs
        yield LineTable(ALERT_COLUMNS, empty="no alert was raised", glyphs=glyphs, id="history", classes="pane")
        with VerticalScroll(id="alert-detail", classes="pane", can_focus=False):
            yield Static("", id="alert-text", markup=False)

    def first_focus(self) -> Widget:
        """The history."""
        return self.query_one("#history", LineTable)

    def flush(self, topics: set[str]) -> None:
        """Redraw what changed."""
        if topics & {"all", "alerts"}:
            table = self.query_one("#history", LineTable)
            rows = sorted(self.store.alerts.values(), key=lambda a: (not a.active, -a.last_seen_at.timestamp(), a.id))
            rows = [a for a in rows if (a.active or not self.open_only) and self._matches(a)]
            table.set_rows([(a.id, alert_cells(a, self.midas.glyphs)) for a in rows])
            table.border_title = self.chip(f"alerts {len(rows)}/{len(self.store.alerts)}")
            self._flush_detail()

    def _matches(self, alert: Alert) -> bool:
        return self.needle in f"{alert.feature} {alert.alert_type} {alert.message} {alert.status}".lower()

    @property
    def chosen(self) -> Alert | None:
        """The alert under the cursor."""
        return self.store.alerts.get(self.query_one("#history", LineTable).cursor_key or "")

    def on_line_table_highlighted(self) -> None:
        """Another alert."""
        self._flush_detail()

    def on_line_table_opened(self) -> None:
        """Enter opens the diagnosis, or the feature's card."""
        alert = self.chosen
        if alert is not None:
            if alert.diagnosis.endswith(".md"):
                self.midas.open_document(alert.diagnosis)
            else:
                self.midas.open_card(alert.feature)

    def _flush_detail(self) -> None:
        alert = self.chosen
        detail = self.query_one("#alert-text", Static)
        if alert is None:
            detail.update("")
            return
        gate = number(alert.threshold, 2, signed=False)
        lines = (
            ("rule", f"{alert.rule or alert.alert_type} ({alert.severity})"),
            ("value against gate", f"{number(alert.value, 3)} against {gate} {alert.unit}"),
            (
                "raised, last seen",
                f"{clock_time(alert.raised_at)}, {clock_time(alert.last_seen_at)}, {alert.count} bars",
            ),
            ("state", f"{alert.status} {('by ' + alert.acknowledged_by) if alert.acknowledged_by else ''}"),
            ("diagnosis", alert.diagnosis or "none yet: D asks for one"),
        )
        parts: list[tuple[str, str] | str] = [(f"{alert.feature}: ", "$accent"), f"{clean(alert.message)}\n"]
        for label, value in lines:
            parts += [(f"{label:<20}", "$muted"), f"{clean(value, newlines=False)}\n"]
        detail.update(Content.assemble(*parts))

    async def action_acknowledge(self) -> None:
        """Acknowledge the chosen alert."""
        await self.midas.acknowledge([self.chosen.id] if self.chosen else [])

    async def action_acknowledge_all(self) -> None:
        """Acknowledge every alert shown."""
        table = self.query_one("#history", LineTable)
        await self.midas.acknowledge([k for k in table.keys if self.store.alerts[k].status == "open"])

    def action_snooze(self) -> None:
        """Snooze the chosen alert."""
        self.midas.snooze(self.chosen.id if self.chosen else None)

    async def action_diagnose(self) -> None:
        """Ask for a diagnosis of the alert's feature."""
        await self.midas.diagnose(self.chosen.feature if self.chosen else None)

    def action_open_only(self) -> None:
        """Hide or show resolved episodes."""
        self.open_only = not self.open_only
        self.flush({"all"})
