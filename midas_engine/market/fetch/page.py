"""One answer of a venue, looked at: rows in order, each once, on the grid, closed and possible; nothing else passes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from midas_engine.market.venues.base import CANDLES, MARK, NonsenseError, Row

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping

    from midas_engine.market.venues.base import Group

# 2000 and 2100: what lies outside was not given in milliseconds.
_FIRST_MS, _LAST_MS = 946_684_800_000, 4_102_444_800_000


@dataclass(slots=True)
class Page:
    """What an answer is worth.

    Attributes:
        rows: Stamp -> figures: of a bar its open time, of a settlement its instant.
        doubtful: Stamp -> why its row cannot be believed; asked for again.
        newest_ms: The newest stamp it shows, wanted or not; a bar before it is over.
    """

    rows: dict[int, Row] = field(default_factory=dict)
    doubtful: dict[int, str] = field(default_factory=dict)
    newest_ms: int = 0


def read_page(rows: Iterable[Row], group: Group, begin: int, end: int, step: int, oddities: Counter[str]) -> Page:
    """Look at the rows of an answer for the bars that open from `begin` to before `end` (ms).

    Args:
        rows: As the venue gave them.
        group: What was asked for.
        begin: First bar wanted.
        end: Bar after the last one wanted.
        step: Length of a bar, ms; 0 for settlements, which have no grid.
        oddities: Where what can be put right is counted.

    Raises:
        NonsenseError: A stamp is no instant in milliseconds.
    """
    page = Page()
    before = -1
    falling = rising = 0
    for row in rows:
        if not _FIRST_MS <= row.at_ms <= _LAST_MS:
            raise NonsenseError(f"the stamp {row.at_ms} is no time in milliseconds")
        at = row.at_ms - (step if group.stamped_at_end else 0)
        falling, rising = falling + (at < before), rising + (before >= 0 and at > before)
        before = at
        page.newest_ms = max(page.newest_ms, at)
        if step and at % step:
            oddities["off-grid"] += 1
        elif not begin <= at < end:
            oddities["foreign"] += not begin <= at < end + 3 * max(step, 1)  # the running bar is asked for
        elif (why := _impossible(group, row.values)) is not None:
            page.doubtful[at] = why
        elif at in page.rows and not same(page.rows[at].values, row.values):
            page.doubtful[at] = "it came twice, with different figures"
        else:
            oddities["duplicate"] += at in page.rows
            page.rows[at] = row
    oddities["disordered"] += min(falling, rising)  # newest first is an order, too
    for at in page.doubtful:
        page.rows.pop(at, None)
    return page


def same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Equal figures, unknown equal to unknown."""
    return all(
        a == b or (a != a and b != b)
        for name in one.keys() | other.keys()
        for a, b in [(one.get(name, math.nan), other.get(name, math.nan))]
    )


def _impossible(group: Group, values: Mapping[str, float]) -> str | None:
    """Why figures cannot be; None where they can."""
    first = values.get(group.columns[0] if group.columns[0] in values else next(iter(values)), math.nan)
    if not math.isfinite(first):
        return "its figure is no number"
    if group.name == MARK and first <= 0:
        return "a price is not above zero"
    if group.name != CANDLES:
        return None if "funding_rate" in values or first >= 0 else "an amount is below zero"
    prices = [values[p] for p in ("open", "high", "low", "close")]
    if not all(math.isfinite(p) and p > 0 for p in prices):
        return "a price is missing, or not above zero"
    opened, high, low, close = prices
    if high < max(opened, close, low) or low > min(opened, close):
        return "its high or low lies inside its open and close"
    if any(v < 0 for v in values.values()):
        return "a volume is below zero"
    return None
