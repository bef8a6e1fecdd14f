"""What the book earned by month, week and day, what its trades cost, and its deepest falls, from its daily path."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from midas_engine.text import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.book.figures import BookFigures

KINDS = ("month", "week", "day")
LEAST_DAYS = 5
"""Fewer daily sums say nothing of how far they vary."""
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Day:
    """What one day brought, in bps of capital; NaN where it is unknown.

    Attributes:
        on: Its date (UTC).
        net: After everything.
        gross: Before costs and funding.
        trading: What trades cost, at least 0.
        funding: What was paid; negative where it was received.
    """

    on: date
    net: float
    gross: float = math.nan
    trading: float = math.nan
    funding: float = math.nan


@dataclass(frozen=True, slots=True)
class Period:
    """Some days together.

    Attributes:
        name: `2025-08`, `week of 08-25` or `2025-08-25`.
        days: How many.
        se: Of `net`, from how far its days vary; NaN below five days.
        fall: Deepest fall of the running sum within, at most 0.
    """

    name: str
    days: int
    net: float
    se: float
    gross: float
    trading: float
    funding: float
    fall: float


@dataclass(frozen=True, slots=True)
class Fall:
    """A drawdown.

    Attributes:
        depth: In bps of capital, below 0.
        first: The day of the highest sum before it.
        lowest: The day of the lowest.
        back: The day it was made up for; None: not yet.
    """

    depth: float
    first: date
    lowest: date
    back: date | None


def days_of(book: BookFigures) -> list[Day]:
    """The days of a book's path, oldest first."""
    path, paid = book.path, 1.0 if book.funding_known else math.nan
    at = [datetime.fromisoformat(x) for x in path.at]
    sums = (path.net_bps, path.gross_bps, path.trading_bps)
    net, gross, trading = (_steps(list(x) if x else [math.nan] * len(at)) for x in sums)
    rows = zip(at, net, gross, trading, strict=True)
    return [Day(when.date(), n, g, t, (g - n - t) * paid) for when, n, g, t in rows]


def days_between(at: Sequence[datetime], level: Sequence[float]) -> list[Day]:
    """The days of a running sum that is known bar by bar (bps, NaN: unknown), oldest first."""
    last = {when.date(): x for when, x in zip(at, level, strict=True) if math.isfinite(x)}
    return [Day(on, net) for on, net in zip(last, _steps(list(last.values())), strict=True)]


def _steps(level: list[float]) -> list[float]:
    return [x - before for before, x in zip([0.0, *level], level, strict=False)]


def by_period(days: Sequence[Day], kind: str) -> list[Period]:
    """The days together by `month`, `week` (from Monday) or `day`, newest first.

    Example:
        >>> days = [Day(date(2025, 1, 31), 4.0), Day(date(2025, 2, 1), -1.0), Day(date(2025, 2, 2), 3.0)]
        >>> [(p.name, p.days, p.net, p.fall) for p in by_period(days, "month")]
        [('2025-02', 2, 2.0, -1.0), ('2025-01', 1, 4.0, 0.0)]
    """

    def name(day: Day) -> str:
        if kind == "week":
            return f"week of {day.on - timedelta(days=day.on.weekday()):%m-%d}"
        return f"{day.on:%Y-%m}" if kind == "month" else f"{day.on}"

    found = [_together(key, list(some)) for key, some in groupby(days, key=name)]
    return found[::-1]


def whole(days: Sequence[Day]) -> Period:
    """All of them."""
    return _together("all", list(days))


def _together(name: str, days: list[Day]) -> Period:
    n = len(days)
    net = math.fsum(day.net for day in days)
    se = math.nan
    if n >= LEAST_DAYS:
        se = math.sqrt(math.fsum((day.net - net / n) ** 2 for day in days) / (n - 1) * n)
    gross, trading, funding = (
        math.fsum(getattr(day, part) for day in days) for part in ("gross", "trading", "funding")
    )  # fmt: skip
    return Period(name, n, net, se, gross, trading, funding, min((f.depth for f in falls(days)), default=0.0))


def falls(days: Sequence[Day], most: int = 5) -> list[Fall]:
    """The deepest falls of the running sum, deepest first; each lasts until its highest sum is reached again."""
    found: list[Fall] = []
    level = top = low = 0.0
    if not days:
        return found
    first = lowest = days[0].on
    for day in days:
        level += day.net
        if level >= top:
            if low < top:
                found.append(Fall(low - top, first, lowest, day.on))
            top = low = level
            first = lowest = day.on
        elif level < low:
            low, lowest = level, day.on
    if low < top:
        found.append(Fall(low - top, first, lowest, None))
    return sorted(found, key=lambda fall: fall.depth)[:most]


PERIOD_HEAD = ("net, bps of capital", "gross", "trading", "funding", "deepest fall")
"""Titles of `period_cells`."""
FALL_HEAD = ("fall, bps of capital", "from its best", "to its lowest", "since then")
"""Titles of `fall_cells`."""


def period_cells(p: Period) -> tuple[str, ...]:
    """A period's figures as they are read; costs as what they took."""
    net = number(p.net, 1, sign=True) + (f" ± {number(p.se, 1)}" if math.isfinite(p.se) else "")
    parts = (p.gross, -p.trading, -p.funding)
    return (net, *(number(x, 1, sign=True, unknown="--") for x in parts), number(p.fall, 1))


def fall_cells(fall: Fall, last: date) -> tuple[str, ...]:
    """Depth, the days of its best and its lowest, and when it was back at its best, or that it is not by `last`."""
    if fall.back is None:
        since = f"not back by {last}"
    else:
        n = (fall.back - fall.lowest).days
        since = f"back {fall.back}, {n} day{'s' * (n != 1)} later"
    return number(fall.depth, 1), f"{fall.first}", f"{fall.lowest}", since


def cost_words(book: BookFigures) -> str:
    """What trading took of the gross return, by its kinds, and funding: over all that was measured."""
    days = days_of(book)
    total = whole(days)
    if not days or not math.isfinite(total.trading):
        return UNKNOWN
    every = math.fsum(book.cost_bps.values())
    kinds = [(name, -total.trading * bps / every) for name, bps in book.cost_bps.items() if bps]
    digits = 0 if abs(total.gross) >= 100.0 else 1  # a tenth of it says nothing
    told = [f"{name} {number(bps, digits, sign=True)}" for name, bps in (("gross", total.gross), *kinds)]
    told[0] += " bps"
    told.append(f"funding {number(-total.funding, digits, sign=True, unknown=UNKNOWN)}")
    return ", ".join(told)
