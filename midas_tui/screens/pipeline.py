"""Pipeline: candidates, shadow and deployed, archived; cards, and the actions that move features."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from midas_tui.formats import clock_time, days, number
from midas_tui.sanitise import clean
from midas_tui.screens.base import ModeScreen
from midas_tui.widgets.line_table import Cell, Column, LineTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.widget import Widget

    from midas_engine.models import FeatureRecord

COLUMNS = ("candidates", "deployed", "archived")
CARD_COLUMNS = (
    Column("sign", "", 1),
    Column("name", "feature", 18, right=False, grow=True),
    Column("t", "t", 6, 2),
    Column("ic", "ic", 6, 1),
    Column("when", "since", 11, 3, right=False),
)
# key: (action, states it applies to)
ACTIONS: Mapping[str, tuple[str, ...]] = {
    "promote": ("candidate", "shadow"),
    "shadow": ("candidate",),
    "demote": ("deployed",),
    "reject": ("candidate", "shadow"),
    "kill": ("deployed", "shadow"),
    "pause": ("deployed",),
    "resume": ("deployed",),
    "redeploy": ("candidate", "shadow"),
    "rollback": ("deployed",),
}


class PipelineScreen(ModeScreen):
    """Columns of features by state; one column at a time when narrow."""

    mode_name: ClassVar[str] = "pipeline"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h,left", "column(-1)", "column left", show=False, id="pipeline.left"),
        Binding("l,right", "column(1)", "column right", show=False, id="pipeline.right"),
        Binding("p", "act('promote')", "promote", id="pipeline.promote"),
        Binding("d", "act('demote')", "demote", id="pipeline.demote"),
        Binding("x", "act('reject')", "reject", id="pipeline.reject"),
        Binding("K", "act('kill')", "kill", id="pipeline.kill"),
        Binding("b", "act('shadow')", "shadow", show=False, id="pipeline.shadow"),
        Binding("z", "act('pause')", "pause", show=False, id="pipeline.pause"),
        Binding("Z", "act('resume')", "resume", show=False, id="pipeline.resume"),
        Binding("R", "act('redeploy')", "redeploy version", show=False, id="pipeline.redeploy"),
        Binding("B", "act('rollback')", "roll back", show=False, id="pipeline.rollback"),
        Binding("m", "mark", "mark", show=False, id="pipeline.mark"),
        Binding("s", "sort", "sort", show=False, id="pipeline.sort"),
    ]
    CSS = """
    PipelineScreen #tabs { height: 1; display: none; background: $surface; }
    PipelineScreen LineTable { width: 1fr; border: round $frame; border-title-color: $muted; }
    PipelineScreen LineTable:focus { border: round $accent; border-title-color: $accent; }
    PipelineScreen #card { width: 1fr; min-width: 40; border: round $frame; border-title-color: $muted; padding: 0 1; }
    PipelineScreen #card:focus { border: round $accent; }
    PipelineScreen.-narrow #tabs, PipelineScreen.-tiny #tabs { display: block; }
    PipelineScreen.-narrow LineTable, PipelineScreen.-tiny LineTable { display: none; border: none; }
    PipelineScreen.-narrow LineTable.current, PipelineScreen.-tiny LineTable.current { display: block; }
    PipelineScreen.-narrow #card, PipelineScreen.-tiny #card { display: none; }
    PipelineScreen.-normal #archived { display: none; }
    PipelineScreen.-normal #archived.current { display: block; }
    PipelineScreen.-normal #candidates.aside { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.marked: set[str] = set()
        self.by_name = False
        self._current = "candidates"
        self._wanted = ""

    def compose_body(self) -> ComposeResult:
        """A tab strip for narrow terminals, three columns, the card."""
        glyphs = self.midas.glyphs
        yield Static("", id="tabs", markup=False)
        with Horizontal():
            for name in COLUMNS:
                empty = {
                    "candidates": "no candidate: 3 then r discovers some",
                    "deployed": "nothing deployed: p promotes a candidate",
                    "archived": "nothing archived",
                }[name]
                yield LineTable(
                    CARD_COLUMNS, empty=empty, glyphs=glyphs, id=name, classes="current" if name == "candidates" else ""
                )
            with VerticalScroll(id="card"):
                yield Static("", id="card-text", markup=False)

    def first_focus(self) -> Widget:
        """The current column."""
        return self.query_one(f"#{self._current}", LineTable)

    # -- data ------------------------------------------------------------------------------------

    def records(self) -> dict[str, list[FeatureRecord]]:
        """Features of each column."""
        summary = self.store.pipeline
        if summary is None:
            return {name: [] for name in COLUMNS}
        return {
            "candidates": [*summary.candidates, *summary.shadow],
            "deployed": list(summary.deployed),
            "archived": list(summary.archived),
        }

    def flush(self, topics: set[str]) -> None:
        """Redraw what changed."""
        if topics & {"all", "pipeline", "metrics"}:
            for name, records in self.records().items():
                shown = [r for r in records if self.needle in f"{r.name} {r.expression}".lower()]
                if self.by_name:
                    shown.sort(key=lambda r: r.name)
                table = self.query_one(f"#{name}", LineTable)
                table.set_rows([(r.name, self._cells(r)) for r in shown])
                table.border_title = self.chip(f"{name} {len(shown)}")
            self._flush_tabs()
            if self._wanted:
                self.show_feature(self._wanted)
            self._flush_card()

    def _flush_tabs(self) -> None:
        parts: list[tuple[str, str] | str] = []
        for name, records in self.records().items():
            style = "$accent bold" if name == self._current else "$muted"
            parts += [(f" {name} {len(records)} ", style), ("│", "$frame")]
        self.query_one("#tabs", Static).update(Content.assemble(*parts[:-1]))

    def _cells(self, r: FeatureRecord) -> dict[str, Cell]:
        glyphs = self.midas.glyphs
        live = self.store.metrics.get(r.name)
        sign = glyphs.mark if r.name in self.marked else glyphs.ok
        role = "accent" if r.name in self.marked else "muted"
        if r.name not in self.marked:
            if r.damaged or r.killed:
                sign, role = glyphs.killed, "crit"
            elif r.paused:
                sign, role = glyphs.paused, "muted"
            elif live is not None:
                sign = glyphs.status(live.status)
                role = {"critical": "crit", "warning": "warn", "healthy": "ok"}.get(live.status, "muted")
        suffix = " (shadow)" if r.state == "shadow" else ""
        return {
            "sign": (sign, role),
            "name": (r.name + suffix, "crit" if r.damaged else ""),
            "t": (number(_figure(r, "score_t"), 1), "muted"),
            "ic": (number(_figure(r, "rank_ic"), 3), "muted"),
            "when": (clock_time(r.changed_at or r.created_at), "muted"),
        }

    @property
    def table(self) -> LineTable:
        """The column that has the focus, or had it last."""
        return self.query_one(f"#{self._current}", LineTable)

    @property
    def chosen(self) -> FeatureRecord | None:
        """The feature under the cursor."""
        key = self.table.cursor_key
        return next((r for r in self.records()[self._current] if r.name == key), None)

    def show_feature(self, name: str) -> None:
        """Put the cursor on a feature, whatever its column; remembered until it is there."""
        self._wanted = name
        for column, records in self.records().items():
            if any(r.name == name for r in records):
                self._wanted = ""
                self._choose(column)
                self.table.move_to(name)
                self.table.focus()

    # -- moving ----------------------------------------------------------------------------------

    def _choose(self, column: str) -> None:
        self._current = column
        for name in COLUMNS:
            self.query_one(f"#{name}").set_class(name == column, "current")
        self.query_one("#candidates").set_class(column == "archived", "aside")
        self._flush_tabs()
        self._flush_card()

    def action_column(self, by: int) -> None:
        """Focus the next column."""
        self._choose(COLUMNS[(COLUMNS.index(self._current) + by) % len(COLUMNS)])
        self.table.focus()
        self.refresh_bindings()

    def on_descendant_focus(self) -> None:
        """A column that gets the focus becomes the current one."""
        if self.focused is not None and self.focused.id in COLUMNS and self.focused.id != self._current:
            self._choose(self.focused.id)
        super().on_descendant_focus()

    def on_line_table_highlighted(self) -> None:
        """Another card."""
        self._flush_card()
        self.refresh_bindings()

    def on_line_table_opened(self) -> None:
        """Enter shows the card in full."""
        record = self.chosen
        if record is not None:
            self.midas.show_text(record.name, card_content(record, self.store.metrics.get(record.name)))

    def _flush_card(self) -> None:
        record = self.chosen
        card = self.query_one("#card")
        card.border_title = record.name if record is not None else "card"
        live = self.store.metrics.get(record.name) if record is not None else None
        text = card_content(record, live) if record is not None else Content.styled("no feature chosen", "$muted")
        self.query_one("#card-text", Static).update(text)

    # -- actions ---------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Grey what the chosen feature's state does not allow."""
        if action == "act" and parameters:
            record = self.chosen
            if record is None or record.state.value not in ACTIONS[str(parameters[0])] or record.damaged:
                return None
            if parameters[0] == "pause":
                return True if not record.paused else None
            if parameters[0] == "resume":
                return True if record.paused else None
        return True

    def action_act(self, action: str) -> None:
        """Ask, then act."""
        record = self.chosen
        if record is None:
            self.notify("choose a feature first", severity="warning", markup=False)
            return
        self.midas.act(action, record.name)

    def action_mark(self) -> None:
        """Mark or unmark the chosen feature."""
        record = self.chosen
        if record is not None:
            self.marked ^= {record.name}
            self.flush({"all"})

    def action_sort(self) -> None:
        """By name, or as the engine orders them."""
        self.by_name = not self.by_name
        self.flush({"all"})


def _figure(record: FeatureRecord, key: str) -> float:
    value: Any = record.metrics.get(key, math.nan)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def card_content(r: FeatureRecord, live: Any = None) -> Content:
    """Everything about one feature."""
    parts: list[tuple[str, str] | str] = []

    def row(label: str, value: str, role: str = "") -> None:
        parts.extend([(f"{label:<18}", "$muted"), (f"{clean(value)}\n", f"${role}" if role else "")])

    if r.damaged:
        row("damaged", r.damaged, "crit")
    parts.append((f"{clean(r.expression)}\n", "$accent"))
    if r.hypothesis:
        parts.append(f"{clean(r.hypothesis)}\n")
    parts.append("\n")
    state = r.state.value + (" (paused)" if r.paused else "") + (" (killed, final)" if r.killed else "")
    row("state", f"{state} since {clock_time(r.changed_at)}")
    if r.reason:
        row("reason", r.reason)
    if r.gate:
        row("event gate", f"{r.gate}, held {r.hold_bars} bars")
    row("expected score", "uncalibrated" if r.expected_score is None else f"{r.expected_score:+.5f}")
    if r.breadth:
        row("effective breadth", f"{r.breadth:.1f}")
    if r.lineage:
        row("lineage", " > ".join(r.lineage))
    for key, value in list(r.metrics.items())[:40]:
        if isinstance(value, bool | str):
            row(key, str(value))
        elif isinstance(value, int | float):
            row(key, f"{value:.5g}")
    if live is not None:
        parts.append("\n")
        row("live status", live.status)
        row("days to notice", f"death {days(live.days_to_detect_drop)}, flip {days(live.days_to_detect_flip)}")
    if r.history:
        parts.append(("\nhistory\n", "$accent"))
        parts.extend(f"{clean(' '.join(map(str, entry.values())), newlines=False)}\n" for entry in r.history[-12:])
    return Content.assemble(*parts)
