"""A table over the line API: cached strips, dirty rows only, a cursor that sticks to its row's key.

DataTable re-renders every visible row when one cell changes (25 % of a core at 4 Hz); this costs 4 %.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from midas_tui.formats import cells, elide, pad
from midas_tui.input_gate import Gated
from midas_tui.sanitise import clean
from midas_tui.theme import UNICODE, Glyphs
from midas_tui.widgets.columns import REST, Cell, Column, LazyRow, Needs, Row, cell_within, layout, least_of
from midas_tui.widgets.scrolling import TrueBar
from midas_tui.widgets.sorting import Sorted, sorted_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual import events

__all__ = ["Cell", "Column", "LazyRow", "LineTable", "Row"]

# A table this low shows its rows rather than what they are called.
LEAST_HEIGHT_FOR_HEADER = 4
# An empty table asks for its title and why it is empty.
LEAST_WIDTH = 16
_SENTENCE = Column(REST, "", 1, right=False, cut_end=True)


class LineTable(TrueBar, Sorted, can_focus=True, inherit_bindings=False):
    """Rows by key; `set_rows` takes the whole list, `set_row` one row.

    Messages:
        Highlighted: The cursor moved to another row.
        Opened: Enter, or a click on the row under the cursor.
        HeaderClicked: A click on a heading.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "cursor(1)", "down", show=False, id="table.down"),
        Binding("k,up", "cursor(-1)", "up", show=False, id="table.up"),
        Binding("ctrl+d", "page(0.5)", "half page down", show=False, id="table.half_down"),
        Binding("ctrl+u", "page(-0.5)", "half page up", show=False, id="table.half_up"),
        Binding("pagedown", "page(1)", "page down", show=False, id="table.page_down"),
        Binding("pageup", "page(-1)", "page up", show=False, id="table.page_up"),
        Binding("home", "edge(-1)", "top", show=False, id="table.top"),
        Binding("G,end", "edge(1)", "bottom", show=False, id="table.bottom"),
        Binding("enter", "open", "open", id="table.open"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line-table--header",
        "line-table--cursor",
        "line-table--cursor-blurred",
        "line-table--ok",
        "line-table--warn",
        "line-table--crit",
        "line-table--muted",
        "line-table--accent",
    }
    DEFAULT_CSS = """
    LineTable { height: 1fr; background: $background; overflow-x: hidden; scrollbar-size-vertical: 1; }
    LineTable > .line-table--header { color: $muted; text-style: bold; }
    LineTable > .line-table--cursor { background: $panel; text-style: bold; }
    LineTable > .line-table--cursor-blurred { background: $surface; }
    LineTable > .line-table--ok { color: $ok; }
    LineTable > .line-table--warn { color: $warn; }
    LineTable > .line-table--crit { color: $crit; }
    LineTable > .line-table--muted { color: $muted; }
    LineTable > .line-table--accent { color: $accent; }
    """

    cursor_key: reactive[str | None] = reactive(None, repaint=False)

    class Highlighted(Message):
        """The cursor stands on another row."""

        def __init__(self, table: LineTable, key: str | None) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> LineTable:
            """The table."""
            return self.table

    class Opened(Highlighted):
        """A row was opened."""

    class HeaderClicked(Message):
        """A heading was clicked."""

        def __init__(self, table: LineTable, column: str) -> None:
            super().__init__()
            self.table = table
            self.column = column

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        empty: str = "nothing here yet",
        glyphs: Glyphs = UNICODE,
        header: bool = True,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._columns = tuple(columns)
        self._empty = empty
        self._glyphs = glyphs
        self._with_header = header
        self._index: dict[str, int] = {}
        self._strips: dict[str, Strip] = {}
        self._layout: tuple[int, tuple[tuple[Column, int], ...]] = (-1, ())
        self._styles: dict[str, Style] = {}
        self._base: Style | None = None
        self._needs = Needs()
        self.chosen_column: str | None = None

    # -- data ------------------------------------------------------------------------------------

    @property
    def keys(self) -> tuple[str, ...]:
        """Row keys in the order shown."""
        return tuple(self._order)

    @property
    def _header(self) -> int:
        return int(self._with_header and self.size.height >= LEAST_HEIGHT_FOR_HEADER)

    @property
    def cursor_row(self) -> int:
        """Index of the cursor's row; 0 when there is none."""
        return self._index.get(self.cursor_key or "", 0)

    def say_when_empty(self, text: str) -> None:
        """What stands there while there is no row."""
        if text != self._empty:
            self._empty = text
            if not self._order:
                self.refresh()

    def set_rows(self, rows: Sequence[tuple[str, Row]]) -> None:
        """Show exactly these rows in this order; the cursor stays on its key while that is there."""
        self._given = rows
        if self._sort is not None:
            rows = sorted_rows(rows, self._sort[0], down=self._sort[1])
        old_row, seen_before = self.cursor_row, self._sees(self.cursor_row)
        order = [key for key, _ in rows]
        changed = order != self._order
        dirty = [key for key, row in rows if self._rows.get(key) != row]
        for key in dirty:
            self._strips.pop(key, None)
        self._rows = dict(rows)
        seen = set(order[self.scroll_offset.y : self.scroll_offset.y + self.size.height])
        wider = self._look_at([key for key in dirty if key in seen])
        if changed:
            self._moves()
            self._order = order
            self._index = {key: place for place, key in enumerate(order)}
            for key in self._strips.keys() - self._rows.keys():
                del self._strips[key]
            self.virtual_size = Size(self.size.width, len(order) + self._header)
        if self.cursor_key not in self._rows:
            self.cursor_key = order[min(old_row, len(order) - 1)] if order else None
        elif self.keeps_cursor_seen and changed and seen_before and not self._sees(self.cursor_row):
            self._keep_cursor_seen()
        if changed or wider:
            self.refresh()
        else:
            self._refresh_keys(dirty)

    def choose_column(self, by: int) -> None:
        """Mark the next heading, or the one before it."""
        keys = [column.key for column, _ in self.visible_columns(self.size.width) if column.title]
        if keys:
            place = keys.index(self.chosen_column) + by if self.chosen_column in keys else (0 if by > 0 else -1)
            self.chosen_column = keys[place % len(keys)]
            self.refresh()

    def _refresh_keys(self, keys: Sequence[str]) -> None:
        """Redraw the lines of these rows that can be seen."""
        top = self.scroll_offset.y
        for key in keys:
            y = self._index[key] + self._header - top
            if self._header <= y < self.size.height:
                self.refresh(Region(0, y, self.size.width, 1))

    # -- drawing ---------------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        """The theme changed: every cached strip is wrong."""
        self._styles.clear()
        self._strips.clear()
        super().notify_style_update()

    def on_resize(self) -> None:
        """The width decides which columns are shown."""
        self._strips.clear()
        self.virtual_size = Size(self.size.width, len(self._order) + self._header)
        if self._order:
            self._show_cursor()
        self.refresh()

    def _role(self, role: str) -> Style:
        if role not in self._styles:
            self._styles[role] = (
                self.get_component_rich_style(f"line-table--{role}", partial=True) if role else Style.null()
            )
        return self._styles[role]

    def visible_columns(self, width: int) -> tuple[tuple[Column, int], ...]:
        """The columns that fit, with their widths."""
        if self._layout[0] != width:
            self._layout = (width, layout(self._columns, width, self._needs.cells))
        return self._layout[1]

    def _look_at(self, keys: Sequence[str]) -> bool:
        """Measure rows; whether the columns are laid out anew for them."""
        grown = [self._needs.take(_cells(self._rows[key])) for key in keys]
        if any(grown):
            self._layout = (-1, ())
            self._strips.clear()
        return any(grown)

    def needs(self, priority: int) -> int:
        """Cells, without a frame, that the columns up to `priority` take; of a growing one all that was seen of it."""
        if not self._order:
            return max(LEAST_WIDTH, cells(self._empty) + 2)
        known = self._needs.cells
        kept = [c for c in self._columns if c.priority <= priority]
        asked = (min(known.get(c.key, 0), c.whole or known.get(c.key, 0)) if c.grow else 0 for c in kept)
        return 1 + sum(1 + max(least_of(c, known), more) for c, more in zip(kept, asked, strict=True))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Those lines; what they all stand on is found out once."""
        self._base = self.rich_style
        try:
            return super().render_lines(crop)
        finally:
            self._base = None

    def render_line(self, y: int) -> Strip:
        """One line: the pinned heading, a row, or the reason why there is none."""
        width = self.size.width
        base = self._base or self.rich_style
        if self._header and y == 0:
            return self._header_strip(width, base)
        index = y - self._header + self.scroll_offset.y
        if index >= len(self._order):
            return self._empty_strip(y - self._header, width, base)
        key = self._order[index]
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self._row_strip(key, width, base)
        if key == self.cursor_key:
            name = "line-table--cursor" if self.has_focus else "line-table--cursor-blurred"
            cursor = self.get_component_rich_style(name, partial=True)
            segments = [Segment(s.text, (s.style or Style.null()) + cursor, s.control) for s in strip]
            segments[0] = Segment(self._glyphs.cursor, segments[0].style)
            strip = Strip(segments, width)
        return strip

    def _empty_strip(self, line: int, width: int, base: Style) -> Strip:
        """A line of the sentence that stands where there is no row."""
        said = [] if self._order else wrap(clean(self._empty, newlines=False), max(1, width - 2))
        text = elide(said[line], max(1, width - 1), self._glyphs.ellipsis, end=True) if line < len(said) else ""
        return Strip([Segment(pad(f" {text}"[:width], width), base + self._role("muted"))], width)

    def _header_strip(self, width: int, base: Style) -> Strip:
        style = base + self._role("header")
        segments = [Segment(" ", style)]
        marked = self._sort or self._shown_sort
        for column, room in self.visible_columns(width):
            title = column.title[:room]
            if marked is not None and column.key == marked[0]:
                title = title[: room - 1] + (self._glyphs.falling if marked[1] else self._glyphs.rising)
            chosen = style + Style(reverse=True) if column.key == self.chosen_column else style
            segments += [Segment(pad(title, room, right=column.right), chosen), Segment(" ", style)]
        return Strip(segments).adjust_cell_length(width, style)

    def _row_strip(self, key: str, width: int, base: Style) -> Strip:
        row = _cells(self._rows[key])
        if self._look_at([key]):  # first seen by scrolling to it
            self.refresh()
        segments = [Segment(" ", base)]
        used = 1
        for column, room in self.visible_columns(width):
            if column.key in row or REST not in row:
                text, role = cell_within(row, column.key, room)
            else:  # a sentence in place of all columns that follow
                text, role = row[REST]
                column, room = _SENTENCE, max(1, width - used - 1)
            text = elide(clean(text, newlines=False), room, self._glyphs.ellipsis, end=column.cut_end)
            segments.append(Segment(pad(text, room, right=column.right) + " ", base + self._role(role)))
            used += room + 1
            if column is _SENTENCE:
                break
        segments.append(Segment(" " * max(0, width - used), base))
        return Strip(segments).adjust_cell_length(width, base)

    # -- moving ----------------------------------------------------------------------------------

    def watch_cursor_key(self, old: str | None, new: str | None) -> None:
        """Redraw the two rows and tell."""
        self._refresh_keys([k for k in (old, new) if k in self._rows])
        if new is not None and new in self._rows:
            self._show_cursor()
        if old != new:
            self.post_message(self.Highlighted(self, new))

    def _show_cursor(self) -> None:
        # Forced: a table that only now has more rows than lines is not yet known to scroll.
        row = self.cursor_row
        height = max(1, self.size.height - self._header)
        if row < self.scroll_offset.y:
            self.scroll_to(y=row, animate=False, force=True)
        elif row >= self.scroll_offset.y + height:
            self.scroll_to(y=row - height + 1, animate=False, force=True)

    def move_to(self, key: str) -> None:
        """Put the cursor on `key` if it is there."""
        if key in self._rows:
            self._chosen, self.cursor_key = True, key

    def action_cursor(self, by: int) -> None:
        """Move the cursor."""
        self._chosen = True
        if self._order:
            self.cursor_key = self._order[max(0, min(len(self._order) - 1, self.cursor_row + by))]

    def action_page(self, share: float) -> None:
        """Move by a share of the height."""
        self.action_cursor(int(share * max(2, self.size.height - self._header)))

    def action_edge(self, where: int) -> None:
        """First or last row."""
        self._chosen = where > 0
        if self._order:
            self.cursor_key = self._order[0 if where < 0 else -1]

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.cursor_key is not None:
            if isinstance(self.app, Gated):  # what opens may be a dialog: keys behind enter are not for this page
                self.app.gate.hold(self.screen)
            self.post_message(self.Opened(self, self.cursor_key))

    def column_at(self, x: int) -> str | None:
        """Key of the column at cell `x`; its space belongs to it."""
        left = 1
        for column, room in self.visible_columns(self.size.width):
            if left <= x <= left + room:
                return column.key
            left += room + 1
        return None

    def on_click(self, event: events.Click) -> None:
        """Select the row clicked; a second click opens it. A heading tells its column."""
        place = event.get_content_offset(self)
        if place is None:
            return
        if place.y < self._header:
            column = self.column_at(place.x)
            if column is not None:
                self.post_message(self.HeaderClicked(self, column))
            return
        key = self.row_on(place.y - self._header)
        if key is not None:
            twice = key == self.cursor_key and event.chain >= 2
            self._chosen, self.cursor_key = True, key
            if twice:
                self.action_open()

    def on_focus(self) -> None:
        """The cursor looks different with focus."""
        self._refresh_keys([self.cursor_key] if self.cursor_key in self._rows else [])

    def on_blur(self) -> None:
        """The cursor looks different without focus."""
        self._refresh_keys([self.cursor_key] if self.cursor_key in self._rows else [])


def _cells(row: Row) -> Mapping[str, Cell]:
    return row.cells() if isinstance(row, LazyRow) else row
