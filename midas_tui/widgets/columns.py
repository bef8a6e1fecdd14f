"""What a line table is made of: cells, columns and which of them fit, rows that are drawn when they are seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from midas_tui.formats import cells

Cell = tuple[str, str]
"""Text and role ("" for plain text)."""

COMMON_NAME = 28
"""Cells of a name that a sentence beside it never takes."""

SENTENCE_SHARE = 0.4
"""What of a table's width a sentence gets before longer names do."""

REST = "rest"
"""Key of a cell that is drawn in place of all columns the row does not name: a sentence."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        key: Name in the row.
        title: Heading.
        width: Cells it needs.
        priority: Columns of the highest number are dropped first when the table is narrow.
        right: Aligned to the right.
        grow: Takes what is left, and gives when there is too little; the first growing column first.
        most: The widest a growing column becomes; 0 is no limit.
        whole: Up to so many cells it is not cut: rather, columns of priority 2 and more are left out; 0 is never.
        cut_end: Cut at the end when too long (sentences); names are cut in the middle, where they differ least.
    """

    key: str
    title: str
    width: int
    priority: int = 0
    right: bool = True
    grow: bool = False
    most: int = 0
    whole: int = 0
    cut_end: bool = False


def briefly(key: str) -> str:
    """Key of the cell that stands in a column's place where its own is too wide."""
    return f"{key}, briefly"


def cell_within(row: Mapping[str, Cell], key: str, room: int) -> Cell:
    """The cell of a column, or the brief one where that has no room; blank where the row has none.

    Example:
        >>> row = {"what": ("the evidence reached 9.08", ""), briefly("what"): ("9.08", "")}
        >>> cell_within(row, "what", 30)[0], cell_within(row, "what", 8)[0], cell_within(row, "when", 8)[0]
        ('the evidence reached 9.08', '9.08', '')
    """
    cell = row.get(key, ("", ""))
    return cell if cells(cell[0]) <= room else row.get(briefly(key), cell)


class LazyRow:
    """A row whose cells are made only when it is drawn: a table of a thousand rows shows forty.

    Args:
        token: The object the cells are made from; the row is dirty when this is another object.
        make: Makes the cells.
    """

    __slots__ = ("_made", "make", "token")

    def __init__(self, token: object, make: Callable[[], Mapping[str, Cell]]) -> None:
        self.token = token
        self.make = make
        self._made: Mapping[str, Cell] | None = None

    def cells(self) -> Mapping[str, Cell]:
        """The cells, made once."""
        if self._made is None:
            self._made = self.make()
        return self._made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LazyRow) and other.token is self.token

    __hash__ = None  # type: ignore[assignment]


Row = Mapping[str, Cell] | LazyRow


class Needs:
    """The longest cell of each column among the rows that were looked at. It only grows: columns do not wobble."""

    def __init__(self) -> None:
        self.cells: dict[str, int] = {}

    def take(self, row: Mapping[str, Cell]) -> bool:
        """Look at a row; whether a column needs more than before."""
        grew = False
        for key, (text, _) in row.items():
            if key != REST and cells(text) > self.cells.get(key, 0):
                self.cells[key] = cells(text)
                grew = True
        return grew


def layout(
    columns: Sequence[Column], width: int, needs: Mapping[str, int] | None = None
) -> tuple[tuple[Column, int], ...]:
    """The columns that fit in `width` cells, with their widths; the lowest priority numbers are kept.

    What cells a column does not need are given to those that would be cut: names of a common length first, then
    sentences up to their share, since the first words of one say little, then longer names, then sentences.

    Args:
        columns: All of them.
        width: Cells there are.
        needs: Longest cell of each column, as far as it is known.

    Example:
        >>> name, note = Column("name", "", 6, grow=True), Column("note", "", 8, priority=1)
        >>> [(column.key, cells) for column, cells in layout((name, note), 20)]
        [('name', 9), ('note', 8)]
        >>> [(column.key, cells) for column, cells in layout((name, note), 12)]
        [('name', 10)]
        >>> [(column.key, cells) for column, cells in layout((name, note), 16, {"name": 9, "note": 4})]
        [('name', 9), ('note', 4)]
    """
    known = needs or {}
    least = {c.key: least_of(c, known) for c in columns}
    kept = _kept(columns, least, width)
    if any(c.whole for c in kept):
        asked = {c.key: min(known.get(c.key, 0), c.whole if c.grow else width) for c in kept}
        wholly = {key: max(least[key], cells) for key, cells in asked.items()}
        kept = _kept(kept, wholly, width, priority=2)
    rooms = {c.key: least[c.key] for c in kept}
    spare = width - 1 - sum(room + 1 for room in rooms.values())
    share = round(SENTENCE_SHARE * width)
    wanted = [(c, min(COMMON_NAME, known.get(c.key, 0))) for c in kept if not c.cut_end]
    wanted += [(c, min(share, known.get(c.key, 0))) for c in kept if c.cut_end]
    wanted += [(c, known.get(c.key, 0)) for c in sorted(kept, key=lambda c: c.cut_end)]  # what is cut without need
    wanted += [(c, c.width) for c in kept]  # then as they were drawn up
    wanted += [(c, c.most or width) for c in kept if c.grow]
    for column, cells_wanted in wanted:
        more = max(0, min(spare, cells_wanted - rooms[column.key]))
        rooms[column.key] += more
        spare -= more
    for column in kept:
        if spare < 0 and column.grow:  # too narrow for all of it
            room = max(1, rooms[column.key] + spare)
            spare += rooms[column.key] - room
            rooms[column.key] = room
    return tuple((c, rooms[c.key]) for c in kept)


def _kept(columns: Sequence[Column], least: Mapping[str, int], width: int, priority: int = 0) -> list[Column]:
    """Columns without those of `priority` and more that do not fit, the highest numbers first."""
    kept = list(columns)
    while sum(least[c.key] + 1 for c in kept) + 1 > width:
        droppable = [c for c in kept if (not c.grow or c.priority) and c.priority >= priority]
        if len(kept) == 1 or not droppable:
            break
        kept.remove(max(droppable, key=lambda c: (c.priority, kept.index(c))))
    return kept


def least_of(column: Column, needs: Mapping[str, int]) -> int:
    """Fewest cells of a column: it gives up what neither its cells nor its heading need."""
    if column.key not in needs:
        return column.width
    # A heading with the mark of the order after it.
    return min(column.width, max(needs[column.key], cells(column.title) + 1 if column.title else 1))
