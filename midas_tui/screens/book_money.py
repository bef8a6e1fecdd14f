"""The book's money on its page: by month, week and day with costs, its deepest falls, and its path on a time axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from midas_tui.widgets.columns import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.book.periods import Day
    from midas_tui.widgets.line_table import Cell

    Rows = list[tuple[str, dict[str, Cell]]]

PERIODS = (
    Column("period", "", 13, right=False, grow=True, most=20),
    Column("net", "net, bps of capital", 19),
    Column("gross", "gross", 9, 2),
    Column("trading", "trading", 8, 1),
    Column("funding", "funding", 8, 1),
    Column("fall", "deepest fall", 12, 3),
)
FALLS = (
    Column("depth", "bps", 9),
    Column("best", "from its best", 13, 2),
    Column("lowest", "to its lowest", 13),
    Column("since", "since then", 29, 1, right=False, grow=True, cut_end=True),
)
# Beyond a quarter of a year days are read as weeks.
MOST_DAYS = 92


def period_rows(days: Sequence[Day]) -> Rows:
    """The whole, then its months, weeks and days, the newest of each first."""
    from midas_engine.book.periods import KINDS, by_period, period_cells, whole

    if not days:
        return []
    told = [("all", whole(days))]
    for kind in KINDS:
        told += [(kind, p) for p in by_period(days, kind)[: MOST_DAYS if kind == "day" else None]]
    rows: Rows = []
    for kind, p in told:
        name = f"{p.days} days" if kind == "all" else p.name
        cells = (name, *period_cells(p))
        row: dict[str, Cell] = {column.key: (cell, "") for column, cell in zip(PERIODS, cells, strict=True)}
        lost = math.isfinite(p.se) and p.net + 1.645 * p.se < 0.0
        row["net"] = (row["net"][0], "warn" if lost else "")
        row["period"] = (name, "accent" if kind == "all" else "muted" if kind == "day" else "")
        rows.append((f"{kind} {p.name}", row))
    return rows


def fall_rows(days: Sequence[Day]) -> Rows:
    """The deepest falls of the daily sums; what has not come back is marked."""
    from midas_engine.book.periods import fall_cells, falls

    rows: Rows = []
    for i, fall in enumerate(falls(days)):
        cells = fall_cells(fall, days[-1].on)
        row: dict[str, Cell] = {column.key: (cell, "") for column, cell in zip(FALLS, cells, strict=True)}
        row["since"] = (cells[-1], "warn" if fall.back is None else "muted")
        rows.append((f"{i}", row))
    return rows
