"""Alerts: the whole history, and everything about the chosen one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from midas_tui.alert_filter import AlertFilter
from midas_tui.formats import clock_time, days, kind_words, number
from midas_tui.screens.base import ModeScreen
from midas_tui.screens.card import CardWriter
from midas_tui.widgets.alert_rows import ALERT_COLUMNS, alert_row, copied_alert
from midas_tui.widgets.line_table import LineTable
from midas_tui.widgets.scrolling import SCROLL_BINDINGS, ScrollKeys
from midas_tui.widgets.titles import entitle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.widget import Widget

    from midas_engine.models import Alert


EMPTY = "no alert was raised: one begins when a feature that is watched crosses one of its gates"


# Units that are no word of the field's, as they are said.
UNITS = {"ln S": "evidence of its test (ln S)", "ratio": "as a ratio", "score": "causal score"}


class DetailScroll(ScrollKeys, VerticalScroll):
    """The chosen alert, with the usual movement keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*SCROLL_BINDINGS]


class AlertsScreen(ModeScreen):
    """Every episode: rule, value against gate, count, state, diagnosis."""

    mode_name: ClassVar[str] = "alerts"
    KEPT: ClassVar[Mapping[str, int]] = {"open_only": 2, "apart": 2}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "acknowledge", "ack", id="history.ack"),
        Binding("A", "acknowledge_all", "ack all", show=False, id="history.ack_all"),
        Binding("w", "snooze", "snooze", id="history.snooze"),
        Binding("D", "diagnose", "diagnose", id="history.diagnose"),
        Binding("i", "apart", "incidents or alerts", id="history.apart"),
        Binding("o", "open_only", "open only", id="history.open_only"),
    ]
    CSS = """
    AlertsScreen #alert-detail { height: auto; min-height: 6; max-height: 14; padding: 0 1; }
    AlertsScreen.-short #alert-detail { max-height: 40%; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.open_only = False
        self.apart = False
        self._shown: dict[str, Alert] = {}

    def compose_body(self) -> ComposeResult:
        """History above, detail below."""
        glyphs = self.shell.glyphs
        yield LineTable(ALERT_COLUMNS, empty="loading ...", glyphs=glyphs, id="history", classes="pane")
        with DetailScroll(id="alert-detail", classes="pane"):
            yield Static("", id="alert-text", markup=False)

    def first_focus(self) -> Widget:
        """The history."""
        return self.query_one("#history", LineTable)

    def flush(self, topics: set[str]) -> None:
        """Redraw what changed."""
        if topics & {"all", "alerts", "phase"}:
            table = self.query_one("#history", LineTable)
            rows = [*self.store.open_alerts, *self.store.resolved_alerts]  # what is loud first, as Live has it
            wanted = AlertFilter(self.needle, self._now())
            rows = [a for a in rows if (a.active or not self.open_only) and wanted.passes(a)]
            rows = rows if self.apart else self.store.as_incidents(rows)
            self._shown = {a.id: a for a in rows}
            none = f"no alert matches {self.needle}: esc clears the filter" if self.needle else EMPTY
            table.say_when_empty(self.store.awaited or none)
            table.set_rows([(a.id, alert_row(a, self.shell.glyphs)) for a in rows])
            what = "running" if self.open_only else "alerts"
            count = "--" if self.store.awaited and not rows else f"{len(rows)}/{len(self.store.alerts)}"
            entitle(table, self.chip(f"{what} {count}"))
            self._flush_detail()

    @property
    def chosen(self) -> Alert | None:
        """The alert or the incident under the cursor."""
        return self._shown.get(self.query_one("#history", LineTable).cursor_key or "")

    def _members(self, shown: Alert) -> list[Alert]:
        """The alerts of an incident; an alert is its own."""
        if shown.id in self.store.alerts:
            return [shown]
        return [a for a in self.store.alerts.values() if a.incident == shown.id]

    def on_line_table_highlighted(self, event: LineTable.Highlighted) -> None:
        """Another alert."""
        self._flush_detail()

    def on_line_table_opened(self) -> None:
        """Enter opens the diagnosis, or the feature's card."""
        alert = self.chosen
        if alert is not None:
            if alert.diagnosis.endswith(".md"):
                self.shell.navigator.open_document(alert.diagnosis.rpartition(" ")[2])
            else:
                name = self._members(alert)[0].feature
                if self.store.record(name) is not None:
                    self.shell.navigator.open_card(name)
                else:
                    self.shell.messages.refuse(
                        f"the pipeline has no card of {name}: it is watched in this recording only"
                    )

    def why_not(self, action: str, parameters: tuple[object, ...]) -> str:
        """Alerts are answered while they run."""
        if action in ("acknowledge", "snooze"):
            return "" if self.chosen is not None and self.chosen.active else "no running alert here"
        if action == "diagnose":
            return "" if self.chosen is not None else "no alert here"
        return ""

    def under_cursor(self) -> tuple[str, dict[str, Any] | None]:
        """The alert."""
        return copied_alert(self.chosen)

    def _flush_detail(self) -> None:
        alert = self.chosen
        detail = self.query_one("#alert-text", Static)
        if alert is None:
            entitle(self.query_one("#alert-detail"), "")
            detail.update("")
            return
        entitle(self.query_one("#alert-detail"), alert.feature)
        digits = 3 if abs(alert.value) < 1.0 else 2 if abs(alert.value) < 10.0 else 1
        gate = f"{number(alert.value, digits)} against {number(alert.threshold, digits, signed=False)}"
        gate += f", {UNITS.get(alert.unit, alert.unit)}" if alert.unit else ""
        state = alert.status.value + (f" by {alert.acknowledged_by}" if alert.acknowledged_by else "")
        if alert.snoozed_until is not None and alert.status == "snoozed":
            state += f" until {clock_time(alert.snoozed_until)}"
        ended = f", ended {clock_time(alert.resolved_at)}" if alert.resolved_at is not None else ""
        ended += f": {alert.closed}" if alert.closed else ""
        card = CardWriter(max(24, self.size.width - 6))
        role = {"critical": "crit", "warning": "warn"}.get(alert.severity, "muted")
        card.row("what", alert.message, role)
        was = f" now, was {alert.worst}" if alert.worst not in (None, alert.severity) else ""
        card.row("rule", f"{kind_words(alert.rule or alert.alert_type)}, {alert.severity}{was}")
        card.row("value", gate if math.isfinite(alert.value) else "no figure: a condition")
        lasted = f"{alert.count} bar{'s' * (alert.count != 1)}"
        span = f"{clock_time(alert.raised_at)} to {clock_time(alert.last_seen_at)}"
        card.row("episode", f"{lasted}, {span}{ended}")
        members = self._members(alert)
        if len(members) > 1:
            told = ", ".join(f"{a.feature} {number(a.value, 2, signed=False)}" for a in members)
            card.row("incident", f"{len(members)} features since {clock_time(alert.raised_at)}: {told}")
            card.row("", "one acknowledgement, one diagnosis; i shows them apart", "muted")
        card.row("state", state)
        cause, told, where = alert.diagnosis.partition(" (")  # the cause's identifier, what it rests on, its report
        said = cause.replace("_", " ") + told + where if told else cause
        card.row("diagnosis", said or "none yet: D asks for one", "" if said else "muted")
        live = self.store.metrics.get(alert.feature)
        if live is not None and live.expected_score is not None:
            notice = f"a drop in {days(live.days_to_detect_drop)}, a flip in {days(live.days_to_detect_flip)}"
            card.row(
                "would notice", f"{notice}, {number(live.false_alarms_per_year, 1, signed=False)} false alarms a year"
            )
        detail.update(card.content())

    async def action_acknowledge(self) -> None:
        """Acknowledge the chosen alert."""
        await self.shell.alerts.acknowledge(self._open_ids(self.chosen))

    async def action_acknowledge_all(self) -> None:
        """Acknowledge every alert shown."""
        table = self.query_one("#history", LineTable)
        await self.shell.alerts.acknowledge([i for key in table.keys for i in self._open_ids(self._shown.get(key))])

    def _open_ids(self, shown: Alert | None) -> list[str]:
        """What of it is still open: all of an incident at once."""
        return [a.id for a in (self._members(shown) if shown is not None else ()) if a.status == "open"]

    def action_snooze(self) -> None:
        """Snooze the chosen alert."""
        running = [a.id for a in (self._members(self.chosen) if self.chosen is not None else ()) if a.active]
        self.shell.alerts.snooze(running)

    async def action_diagnose(self) -> None:
        """Ask for a diagnosis of the alert's feature; an incident has one cause, and one diagnosis: its loudest's."""
        found = self._members(self.chosen) if self.chosen is not None else []
        found.sort(key=lambda a: (not a.active, a.severity != "critical", -abs(a.value) if a.value == a.value else 0.0))
        await self.shell.alerts.diagnose(found[0].feature if found else None)

    def action_apart(self) -> None:
        """Incidents as one line each, or every alert by itself."""
        self.apart = not self.apart
        self.remember()
        self.flush({"all"})

    def action_open_only(self) -> None:
        """Hide or show resolved episodes."""
        self.open_only = not self.open_only
        self.remember()
        self.flush({"all"})
