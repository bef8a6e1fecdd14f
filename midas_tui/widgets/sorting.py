"""The order a heading gives its table: figures by their value, words by their letters, unknown last."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from midas_tui.widgets.columns import LazyRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_tui.widgets.columns import Row

# A figure as cells show it: a sign, digits, then its error, its gate or its unit; a count as x12.
_FIGURE = re.compile(r"x?([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:[±/%dx ].*)?")
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
    return (0, float(found[1]), "") if found else (1, 0.0, text.casefold())


def _text(row: Row, column: str) -> str:
    cells = row.cells() if isinstance(row, LazyRow) else row
    return cells.get(column, ("", ""))[0]


def sorted_rows(rows: Sequence[tuple[str, Row]], column: str, *, down: bool) -> list[tuple[str, Row]]:
    """Rows by the cells of `column`; equal ones keep their order, unknown ones stay last either way."""
    keyed = [(sort_key(_text(row, column)), (name, row)) for name, row in rows]
    known = sorted((k for k in keyed if k[0][0] < 2), key=lambda k: k[0], reverse=down)
    return [row for _, row in known] + [row for key, row in keyed if key[0] == 2]
