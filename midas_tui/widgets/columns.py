"""What a line table is made of: cells, columns and which of them fit, rows that are drawn when they are seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Cell = tuple[str, str]
"""Text and role ("" for plain text)."""

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
        cut_end: Cut at the end when too long (sentences); names are cut in the middle, where they differ least.
    """

    key: str
    title: str
    width: int
    priority: int = 0
    right: bool = True
    grow: bool = False
    most: int = 0
    cut_end: bool = False


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


def layout(columns: Sequence[Column], width: int) -> tuple[tuple[Column, int], ...]:
    """The columns that fit in `width` cells, with their widths; the lowest priority numbers are kept.

    Example:
        >>> name, note = Column("name", "", 6, grow=True), Column("note", "", 8, priority=1)
        >>> [(column.key, cells) for column, cells in layout((name, note), 20)]
        [('name', 9), ('note', 8)]
        >>> [(column.key, cells) for column, cells in layout((name, note), 12)]
        [('name', 10)]
    """
    kept = list(columns)
    while sum(c.width + 1 for c in kept) + 1 > width:
        droppable = [c for c in kept if not c.grow or c.priority]
        if len(kept) == 1 or not droppable:
            break
        kept.remove(max(droppable, key=lambda c: (c.priority, kept.index(c))))
    spare = width - 1 - sum(c.width + 1 for c in kept)
    found: list[tuple[Column, int]] = []
    for column in kept:
        room = column.width
        if column.grow:
            room = max(1, min(room + spare, column.most) if column.most and spare > 0 else room + spare)
            spare -= room - column.width
        found.append((column, room))
    return tuple(found)
