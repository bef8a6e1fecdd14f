"""Pipeline: candidates, shadow and deployed, archived; cards, and the actions that move features."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from midas_engine.promoter.rules import ACTIONS, MOVES
from midas_tui.formats import clock_time, number
from midas_tui.screens.base import ModeScreen
from midas_tui.screens.card import card_content, figure
from midas_tui.theme import role_of
from midas_tui.widgets.line_table import Cell, Column, LineTable
from midas_tui.widgets.scrolling import SCROLL_BINDINGS, ScrollKeys
from midas_tui.widgets.tab_strip import TabStrip
from midas_tui.widgets.titles import entitle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.widget import Widget

    from midas_engine.models import FeatureRecord
    from midas_tui.widgets.pressable import Pressable

_SIGN, _NAME = Column("sign", "", 1), Column("name", "feature", 18, right=False, grow=True, most=32, whole=32)
_SINCE = Column("since", "since", 11, 3, right=False)
_FORMULA = Column("expression", "expression", 24, 5, right=False, grow=True)
COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "candidates": (_SIGN, _NAME, Column("t", "t", 5, 1), Column("ic", "ic", 6, 2), _SINCE, _FORMULA),
    "deployed": (
        _SIGN,
        _NAME,
        Column("status", "status", 12, 1, right=False),
        Column("score", "score", 7, 2),
        Column("promised", "promise", 7, 3),
        _SINCE,
        _FORMULA,
    ),
    "archived": (
        _SIGN,
        _NAME,
        Column("why", "why", 12, 1, right=False, grow=True, whole=36, cut_end=True),
        _SINCE,
    ),
}
EMPTY = {
    "candidates": "none: 3 then r discovers some",
    "deployed": "none: p promotes a candidate",
    "archived": "none",
}
# Cells of a pane's frame.
FRAME = 2
# What may be done from where; the engine has the last word and says why not.
TAKES: Mapping[str, tuple[str, ...]] = {verb: tuple(s.value for s in ACTIONS[verb].after) for verb in MOVES}


class CardScroll(ScrollKeys, VerticalScroll):
    """The card, with the usual movement keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*SCROLL_BINDINGS]


class PipelineScreen(ModeScreen):
    """Columns of features by state; one column at a time when narrow."""

    mode_name: ClassVar[str] = "pipeline"
    KEPT: ClassVar[Mapping[str, int]] = {"by_name": 2}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h,left", "column(-1)", "column left", show=False, id="pipeline.left"),
        Binding("l,right", "column(1)", "column right", show=False, id="pipeline.right"),
        Binding("p", "act('promote')", "promote", id="pipeline.promote"),
        Binding("P", "act('book')", "to the book", show=False, id="pipeline.book"),
        Binding("d", "act('demote')", "demote", id="pipeline.demote"),
        Binding("x", "act('reject')", "reject", id="pipeline.reject"),
        Binding("b", "act('shadow')", "shadow", id="pipeline.shadow"),
        Binding("z", "act('pause')", "pause", id="pipeline.pause"),
        Binding("Z", "act('resume')", "resume", id="pipeline.resume"),
        Binding("R", "act('redeploy')", "redeploy", id="pipeline.redeploy"),
        Binding("B", "act('rollback')", "roll back", id="pipeline.rollback"),
        Binding("K", "act('kill')", "kill", id="pipeline.kill"),
        Binding("m", "mark", "mark", show=False, id="pipeline.mark"),
        Binding("s", "sort", "sort", show=False, id="pipeline.sort"),
    ]
    CSS = """
    PipelineScreen #tabs { display: none; }
    PipelineScreen LineTable { width: 1fr; }
    PipelineScreen #card { width: 1fr; min-width: 44; padding: 0 1; scrollbar-gutter: stable; }
    PipelineScreen.-wide #card { width: 46fr; min-width: 46; }
    PipelineScreen.-vast #card { width: 60fr; }
    PipelineScreen.-narrow #tabs { display: block; }
    PipelineScreen.-narrow LineTable { display: none; border: none; }
    PipelineScreen.-narrow LineTable:focus { border: none; }
    PipelineScreen.-narrow LineTable.current { display: block; }
    PipelineScreen.-narrow #card { display: none; }
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
        glyphs = self.shell.glyphs
        yield TabStrip(id="tabs")
        with Horizontal():
            for name in COLUMNS:
                classes = "pane current" if name == "candidates" else "pane"
                yield LineTable(COLUMNS[name], empty="loading ...", glyphs=glyphs, id=name, classes=classes)
            with CardScroll(id="card", classes="pane"):
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
        if topics & {"all", "pipeline", "metrics", "phase"}:
            known = self.store.pipeline is not None
            for name, records in self.records().items():
                shown = [r for r in records if self.needle in f"{r.name} {r.expression}".lower()]
                if self.by_name:
                    shown.sort(key=lambda r: r.name)
                table = self.query_one(f"#{name}", LineTable)
                table.set_rows([(r.name, self._cells(r)) for r in shown])
                none = f"none matches {self.needle}: esc clears the filter" if records else EMPTY[name]
                table.say_when_empty(none if known else self.store.awaited)
                marked = len(self.marked & {r.name for r in records})
                count = f"{name} {len(shown) if known else '--'}"
                entitle(table, self.chip(count, f", {marked} marked" if marked else ""))
            self.marked &= {r.name for records in self.records().values() for r in records}
            self._share()
            self._flush_tabs()
            if self._wanted:
                self.show_feature(self._wanted)
            self._flush_card()

    def _share(self) -> None:
        """Each column as wide as its names ask for, in proportion: an empty one gives its cells to the others."""
        for name in COLUMNS:
            table = self.query_one(f"#{name}", LineTable)
            needed = table.needs(1) + FRAME
            if table.styles.width is None or table.styles.width.value != needed:
                table.styles.width = f"{needed}fr"

    def _flush_tabs(self) -> None:
        known = self.store.pipeline is not None
        counts = {name: str(len(records)) if known else "--" for name, records in self.records().items()}
        self.query_one("#tabs", TabStrip).update_tabs(counts, self._current, "│")

    async def on_pressable_pressed(self, event: Pressable.Pressed) -> None:
        """A tab shows its column."""
        kind, _, name = event.name.partition(" ")
        if kind == "tab":
            self._choose(name)
            self.set_focus(self.table)

    def _cells(self, r: FeatureRecord) -> dict[str, Cell]:
        glyphs = self.shell.glyphs
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
                role = role_of(live.status)
        shown_state = "paused" if r.paused else live.status if live is not None else "not watched"
        promised = r.expected_score if r.expected_score is not None else math.nan
        return {
            "sign": (sign, role),
            "name": (r.name + _beside(r), "crit" if r.damaged else ""),
            "t": (number(figure(r, "score_t"), 1), "muted"),
            "ic": (number(figure(r, "rank_ic"), 3), "muted"),
            "since": (clock_time(r.changed_at or r.created_at), "muted"),
            "status": (shown_state, role),
            "score": (number(live.score if live is not None else math.nan, 4), ""),
            "promised": (number(promised, 4), "muted"),
            "why": (r.damaged or r.reason or "--", "crit" if r.killed or r.damaged else "muted"),
            "expression": (r.expression, "muted"),
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

    def follow_feature(self, name: str) -> None:
        """The focus goes where the feature went."""
        self.flush({"pipeline"})
        self.show_feature(name)

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
        names = list(COLUMNS)
        self._choose(names[(names.index(self._current) + by) % len(names)])
        self.table.focus()

    def on_descendant_focus(self) -> None:
        """A column that gets the focus becomes the current one."""
        name = self.focused.id if self.focused is not None else None
        if name in COLUMNS and name != self._current:
            self._choose(str(name))
        super().on_descendant_focus()

    def on_line_table_highlighted(self, event: LineTable.Highlighted) -> None:
        """Another card."""
        if event.table is self.table:
            self._flush_card()

    def on_line_table_opened(self) -> None:
        """Enter shows the card in full."""
        record = self.chosen
        if record is not None:
            self.shell.overlays.show_text(record.name, self._card(record, min(66, self.size.width - 8), whole=True))

    def _card(self, record: FeatureRecord, width: int, *, whole: bool = False) -> Content:
        forward = self.runtime.queries.forward(record.name) if self.runtime is not None else None
        return card_content(record, self.store.metrics.get(record.name), forward, width=width, whole=whole)

    def _flush_card(self) -> None:
        record = self.chosen
        card = self.query_one("#card", CardScroll)
        entitle(card, record.name if record is not None else "card")
        if not card.display:
            return
        text = Content.styled(self.store.awaited if self.store.pipeline is None else "no feature here", "$muted")
        if record is not None:
            text = self._card(record, max(24, card.scrollable_content_region.width))
        self.query_one("#card-text", Static).update(text)

    # -- actions ---------------------------------------------------------------------------------

    def why_not(self, action: str, parameters: tuple[object, ...]) -> str:
        """What the chosen feature's state does not allow."""
        if action != "act" or not parameters:
            return ""
        record, verb = self.chosen, str(parameters[0])
        if record is None:
            return "no feature is chosen"
        state = record.state.value
        refusal = self.shell.link.refusal()
        if refusal:
            return refusal
        if record.damaged and verb != "kill":
            return f"{record.name} is damaged: mend its file, or restore it"
        if state not in TAKES[verb]:
            return f"{record.name} is {'killed' if record.killed else state}: {verb} takes {', '.join(TAKES[verb])}"
        if verb in ("pause", "resume") and record.paused == (verb == "pause"):
            return f"{record.name} is {'paused already' if record.paused else 'not paused'}"
        if verb == "rollback" and not record.lineage:
            return f"{record.name} replaced nothing that can come back"
        return ""

    def action_act(self, action: str) -> None:
        """Ask, then act: on the marked features of this column when the chosen one is among them, else on it."""
        why = self.why_not("act", (action,))
        if why:
            self.shell.messages.say(why, bad=True)
            return
        record = self.chosen
        if record is None:
            return
        names = [record.name]
        if record.name in self.marked and action not in ("kill", "redeploy", "rollback"):
            names = [r.name for r in self.records()[self._current] if r.name in self.marked]
        self.shell.pipeline.act(action, names)

    def under_cursor(self) -> tuple[str, dict[str, Any] | None]:
        """The expression, or the whole record."""
        r = self.chosen
        if r is None:
            return "", None
        return r.expression, {"name": r.name, "expression": r.expression, "state": r.state.value, "metrics": r.metrics}

    def action_mark(self) -> None:
        """Mark or unmark the chosen feature."""
        record = self.chosen
        if record is not None:
            self.marked ^= {record.name}
            self.flush({"all"})
            self.table.action_cursor(1)

    def action_sort(self) -> None:
        """By name, or as the engine orders them."""
        self.by_name = not self.by_name
        self.remember()
        self.flush({"all"})


def _beside(r: FeatureRecord) -> str:
    """What is said beside a name: that it runs in shadow, or was promoted for the book."""
    return " (shadow)" if r.state == "shadow" else " (book)" if r.role == "book" else ""
