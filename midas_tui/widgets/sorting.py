"""The order of a table's rows: as a heading gives it (figures by value, words by letters), and as last drawn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from textual.scroll_view import ScrollView

from midas_tui.widgets.columns import LazyRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_tui.widgets.columns import Column, Row

# A figure as cells show it: a sign, digits with thousands apart, then its error, its gate or its unit; a count as x12.
_FIGURE = re.compile(r"x?([+-]?(?:\d+(?:,\d{3})*(?:\.\d*)?|\.\d+))(?:[±/%dx ].*)?")
_UNKNOWN = ("", "-", "--")


def sort_key(text: str) -> tuple[int, float, str]:
    """Figures first, by value, then words.

    Example:
        >>> sorted(["x12", "-0.5±.1", "--", "open", "x9"], key=sort_key)
        ['-0.5±.1', 'x9', 'x12', 'open', '--']
    """
    text = text.strip()
    if text in _UNKNOWN:
        return 2, 0.0, ""
    found = _FIGURE.fullmatch(text)
    return (0, float(found[1].replace(",", "")), "") if found else (1, 0.0, text.casefold())


def _text(row: Row, column: str) -> str:
    cells = row.cells() if isinstance(row, LazyRow) else row
    return cells.get(column, ("", ""))[0]


def sorted_rows(rows: Sequence[tuple[str, Row]], column: str, *, down: bool) -> list[tuple[str, Row]]:
    """Rows by the cells of `column`; equal ones keep their order, unknown ones stay last either way."""
    keyed = [(sort_key(_text(row, column)), (name, row)) for name, row in rows]
    known = sorted((k for k in keyed if k[0][0] < 2), key=lambda k: k[0], reverse=down)
    return [row for _, row in known] + [row for key, row in keyed if key[0] == 2]


class Sorted(ScrollView):
    """What a table whose headings give an order keeps of it; the table itself draws."""

    keeps_cursor_seen = True
    _columns: Sequence[Column]
    cursor_key: str | None
    _given: Sequence[tuple[str, Row]] = ()
    _sort: tuple[str, bool] | None = None
    _shown_sort: tuple[str, bool] | None = None

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._order: list[str] = []
        self._rows: dict[str, Row] = {}
        self._drawn: tuple[list[str], int] | None = None
        self._chosen = False

    def _moves(self) -> None:
        """The rows are about to change places: until the next frame the screen shows them where they were."""
        if self._drawn is None:
            self._drawn = self._order, self.scroll_offset.y
            self.call_after_refresh(self._forget_places)

    def _forget_places(self) -> None:
        self._drawn = None

    def row_on(self, line: int) -> str | None:
        """Key of the row that the last frame drew on a line below the heading; None where none was, or it has gone."""
        order, top = self._drawn or (self._order, self.scroll_offset.y)
        key = order[line + top] if 0 <= line + top < len(order) else None
        return key if key in self._rows else None

    @property
    def _header(self) -> int:
        raise NotImplementedError

    def _show_cursor(self) -> None:
        raise NotImplementedError

    def _sees(self, row: int) -> bool:
        room = self.size.height - self._header
        return room <= 0 or 0 <= row - self.scroll_offset.y < room  # before the first layout nothing is out of view

    def _keep_cursor_seen(self) -> None:
        """New rows pushed the cursor out of view: go with the row that somebody chose, else stay with what is on top.

        A feed is read from its top. What nobody chose is left where it goes, so that the newest stay on the screen.
        """
        if self._chosen:
            self._show_cursor()
        elif self._order:
            self.cursor_key = self._order[0]

    def set_rows(self, rows: Sequence[tuple[str, Row]]) -> None:
        """Show these rows."""
        raise NotImplementedError

    def sort_by(self, column: str) -> None:
        """Sort by a column's cells: up, then down, then in the order given."""
        if self._sort is None or self._sort[0] != column:
            self._sort = (column, False)
        else:
            self._sort = (column, True) if not self._sort[1] else None
        self.set_rows(self._given)
        self.refresh()

    @property
    def sorted(self) -> bool:
        """Whether a heading gave the order."""
        return self._sort is not None

    @property
    def order(self) -> str:
        """The heading that gave the order, a minus before it where it falls; empty when none did."""
        return ("-" * self._sort[1] + self._sort[0]) if self._sort is not None else ""

    def order_by(self, order: str) -> None:
        """Take an order as `order` wrote it; one of a heading that is not here changes nothing."""
        if any(c.key == order.removeprefix("-") for c in self._columns):
            self._sort = (order.removeprefix("-"), order.startswith("-"))
            self.set_rows(self._given)

    def unsort(self) -> None:
        """In the order given, from the next rows on."""
        if self._sort is not None:
            self._sort = None
            self.refresh()

    def show_sort(self, column: str, *, falling: bool) -> None:
        """Mark a heading: the rows are given in its order."""
        if self._shown_sort != (column, falling):
            self._shown_sort = (column, falling)
            self.refresh()
