"""The book: all deployed features as one signal; members with what each is worth, and the figures of the whole."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from midas_engine.book.periods import days_between, days_of
from midas_engine.book.rows import HEAD, member_rows, summary_rows
from midas_engine.errors import MidasError
from midas_engine.jsonable import plain
from midas_tui.screens.base import ModeScreen
from midas_tui.screens.book_money import FALLS, PERIODS, fall_rows, period_rows
from midas_tui.screens.paper_book import member_lines, whole_lines
from midas_tui.widgets.columns import REST
from midas_tui.widgets.line_table import Cell, Column, LineTable
from midas_tui.widgets.time_axis import TimeAxis
from midas_tui.widgets.titles import entitle
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

    from midas_engine.book.figures import BookFigures
    from midas_engine.book.periods import Day
    from midas_tui.runtime_protocol import Timeline

UNMEASURED = "not measured yet"
# Months and some weeks below the figures.
LEAST_PERIODS = 8
MEMBERS = (
    Column("name", HEAD[0], 18, right=False, grow=True, most=40),
    Column("weight", HEAD[1], 7),
    Column("hold", HEAD[2], 4, 3),
    Column("marginal", HEAD[3], 29),
    Column("alone", HEAD[4], 31, 2),
    Column("turnover", HEAD[5], 8, 3),
    Column("dead", HEAD[6], 7),
)
FIGURES = (Column("name", "", 16, right=False), Column("value", "the whole book, 90 %", 40, right=False, grow=True,
                                                       cut_end=True))  # fmt: skip

WHAT_TO_DO = (
    ("Nothing deployed", "the book is made of deployed features"),
    ("Find some", "3 then r starts a session; midas discover GOAL"),
    ("Deploy one", "2 then p promotes a candidate; midas promote NAME"),
)


class BookScreen(ModeScreen):
    """Members above, the whole below."""

    mode_name: ClassVar[str] = "book"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "measure", "measure again", id="book.measure")]
    CSS = """
    BookScreen #members { height: 1fr; }
    BookScreen #lower { height: 2fr; }
    BookScreen #told { width: 11fr; }
    BookScreen #shown { width: 9fr; }
    BookScreen #shown, BookScreen #periods { display: none; }
    BookScreen.-money #shown, BookScreen.-money #periods { display: block; }
    BookScreen #falls { height: auto; min-height: 5; max-height: 8; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._book: BookFigures | None = None
        self._paper: tuple[object, ...] | None = None
        self._days: list[Day] = []

    def compose_body(self) -> ComposeResult:
        """Members and figures."""
        glyphs = self.shell.glyphs
        yield LineTable(MEMBERS, empty="loading ...", glyphs=glyphs, id="members", classes="pane")
        with Horizontal(id="lower"):
            with Vertical(id="told"):
                yield LineTable(FIGURES, empty=UNMEASURED, glyphs=glyphs, header=False, id="figures", classes="pane")
                yield LineTable(PERIODS, empty=UNMEASURED, glyphs=glyphs, id="periods", classes="pane")
            with Vertical(id="shown"):
                yield TimeAxis(glyphs=glyphs, id="path", classes="pane")
                yield LineTable(FALLS, empty=UNMEASURED, glyphs=glyphs, id="falls", classes="pane")

    def on_mount(self) -> None:
        """Frames and titles."""
        entitle(self.query_one("#members"), "book")
        entitle(self.query_one("#figures"), "the whole book, 90 % intervals")
        entitle(self.query_one("#falls"), "deepest falls, by daily sums")
        super().on_mount()

    def first_focus(self) -> Widget:
        """The members."""
        return self.query_one("#members", LineTable)

    def flush(self, topics: set[str]) -> None:
        """Measure when the pipeline may have changed; draw what is known."""
        if self.runtime is not None and self.runtime.mode == "REPLAY":
            if topics & {"all", "bar", "metrics"}:
                self._draw_paper()
            self._share_room()
            return
        if self.store.pipeline is None:
            self.query_one("#members", LineTable).say_when_empty(self.store.awaited)
        elif topics & {"all", "pipeline"} and self.runtime is not None:
            in_worker(self, partial(self._measure, again=False), "book", exclusive=True)
        self._draw()
        self._share_room()

    def _share_room(self) -> None:
        """Members take what they need, the whole what is left; where both are too much, the whole what it needs."""
        members, figures = self.query_one("#members", LineTable), self.query_one("#figures", LineTable)
        frame = 2 if self.has_class("-tall") else 1
        above, below = max(1, len(members.keys)) + 1 + frame, max(3, len(figures.keys)) + frame
        room = self.room
        fits = above + below <= room
        # Money over time where it has room beside and below the figures.
        rich = fits and self.has_class("-wide") and room - above - below >= LEAST_PERIODS and bool(self._days)
        self.set_class(rich, "-money")
        if not fits:  # on the smallest page members keep a third of it
            below = min(below, room - min(above, room // 3))
        # A share of the page would leave members out beside empty lines, and a limit gives nothing back to them.
        members.styles.height = above if fits and self.maximized is not members else None
        self.query_one("#lower").styles.height = "1fr" if fits else below
        figures.styles.height = (below if rich else "1fr") if self.maximized is not figures else None

    async def _measure(self, *, again: bool) -> None:
        if self.runtime is None:
            return
        if self._book is None or again:
            self.query_one("#members", LineTable).say_when_empty("measuring the book")
        try:
            self._book = await self.runtime.book.figures(again=again)
        except MidasError as error:
            self._book = None
            self.query_one("#members", LineTable).say_when_empty(f"the book is unknown: {error}")
        self._draw()
        self._share_room()

    def _draw_paper(self) -> None:
        """In a recording: the book that the sentence on top speaks of, told at every bar."""
        members, figures = self.query_one("#members", LineTable), self.query_one("#figures", LineTable)
        asked = (
            self.store.bar,
            self.store.earned.money,
            frozenset((m.feature, m.status) for m in self.store.metrics.values()),
            self.needle,
        )
        if self.runtime is None or asked == self._paper:
            return
        self._paper = asked
        rows = member_lines(self.runtime.queries, self.store.metrics)
        members.say_when_empty(f"no member matches {self.needle}" if rows else "no bar has been played yet")
        members.set_rows([row for row in rows if not self.needle or self.needle in row[0].lower()])
        entitle(members, self.chip("book on paper", f", {len(rows)} members" if rows else ""))
        figures.set_rows(whole_lines(self.store.earned.money, len(rows)))
        found = self.runtime.queries.timeline("", None)
        self._draw_money(days_between(found.at, found.net_bps) if found is not None else [], found)

    def _draw(self) -> None:
        book, members, figures = (
            self._book,
            self.query_one("#members", LineTable),
            self.query_one("#figures", LineTable),
        )
        if book is None:
            members.set_rows([])
            figures.set_rows([])
            self._draw_money([], None)
            return
        keys = [column.key for column in MEMBERS]
        rows: list[tuple[str, dict[str, Cell]]] = []
        for member, cells in zip(book.members, member_rows(book), strict=True):
            if self.needle and self.needle not in f"{member.name} {member.expression}".lower():
                continue
            row = {key: (cell, "") for key, cell in zip(keys, cells, strict=True)}
            if member.called:
                row["dead"] = (cells[-1], "crit")
            elif member.marginal.high < 0.0:
                row["marginal"] = (row["marginal"][0], "warn")
            rows.append((member.name, row))
        rows += [
            (f"left out {name}", {REST: (f"not in the book: {name}: {why}", "muted")}) for name, why in book.left_out
        ]
        none = "the book is empty" if book.empty else f"no member matches {self.needle}"
        members.say_when_empty(none)
        members.set_rows(rows)
        entitle(members, self.chip("book", f", {len(book.members)} members" if book.members else ""))
        told = [] if book.empty else summary_rows(book)
        lines: list[tuple[str, dict[str, Cell]]] = [
            (name, {"name": (name, "muted"), "value": (value, "")}) for name, value in told
        ]
        if not book.empty:
            span = f"{book.first} to {book.last}".replace("T", " ") + f", {book.bars:,} bars"
            lines.append(("data", {"name": ("Measured on", "muted"), "value": (f"{book.data}, {span}", "")}))
            lines.append(("digest", {"name": ("Weights digest", "muted"), "value": (f"{book.digest[:16]}", "")}))
        if book.empty and not book.left_out:
            lines += [(name, {"name": (name, "accent"), "value": (what, "")}) for name, what in WHAT_TO_DO]
        else:
            lines += [(f"note {i}", {REST: (note, "warn")}) for i, note in enumerate(book.notes)]
        figures.set_rows(lines)
        self._draw_money(days_of(book), self._path(book))

    def _path(self, book: BookFigures) -> Timeline:
        """Its path, with what was done to its members as their own histories have it."""
        from midas_engine.runtime.timeline import marks_of, path_timeline  # the first frame does not wait for numpy

        pipeline = self.store.pipeline
        known = (*pipeline.archived, *pipeline.shadow, *pipeline.deployed) if pipeline is not None else ()
        return path_timeline(book.path, marks_of((), known, {}))

    def _draw_money(self, days: list[Day], path: Timeline | None) -> None:
        if days == self._days and days:
            return
        self._days = days
        axis = self.query_one("#path", TimeAxis)
        paper = self.runtime is not None and self.runtime.mode == "REPLAY"
        whose = "the book on paper" if paper else "the book"
        apart = "; costs apart: not in a recording" if paper else ""
        entitle(self.query_one("#periods"), f"by month, week and day, ± one standard error{apart}")
        axis.show_time(path)
        entitle(axis, f"{whose}, net of costs, so far", "left and right: what it was on that day")
        self.query_one("#periods", LineTable).set_rows(period_rows(days))
        self.query_one("#falls", LineTable).set_rows(fall_rows(days))

    def action_measure(self) -> None:
        """Measure again, on the data as it is now; a recording's is always that of its clock."""
        if self.runtime is not None and self.runtime.mode == "REPLAY":
            self._paper = None
            self.flush({"all"})
            return
        in_worker(self, partial(self._measure, again=True), "book", exclusive=True)

    def under_cursor(self) -> tuple[str, dict[str, Any] | None]:
        """The member's name, or the whole book."""
        key = self.query_one("#members", LineTable).cursor_key or ""
        found = next((m for m in self._book.members if m.name == key), None) if self._book is not None else None
        return key, plain(found) if found is not None else None
