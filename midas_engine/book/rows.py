"""The book in words: the rows that the command line, the terminal, the daily report and the tear sheet all show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from midas_engine.book.periods import cost_words
from midas_engine.text import number

if TYPE_CHECKING:
    from midas_engine.book.figures import BookFigures, Member
    from midas_engine.models import Estimate

UNKNOWN = "unknown"
HEAD = ("member", "weight", "hold", "marginal net bps/yr", "alone net bps/yr", "turnover", "dead")
PAGE_HEAD = (
    "member", "weight", "held, bars", "adds to the book, net bps a year", "alone, net bps a year",
    "traded a bar, of gross", "chance its edge is gone",
)  # fmt: skip
"""Titles of `member_rows`, short and for a page."""


def span(e: Estimate, digits: int = 1) -> str:
    """A value with its 90 % interval: `+12.3 [+4.0, +20.6]`.

    Example:
        >>> from midas_engine.models import Estimate
        >>> span(Estimate(1.25, 0.5, 0.43, 2.07), 2), span(Estimate(math.nan))
        ('+1.25 [+0.43, +2.07]', 'unknown')
    """
    if not math.isfinite(e.value):
        return UNKNOWN
    digits = 0 if digits == 1 and abs(e.value) >= 100.0 else digits  # a tenth of it says nothing
    low, high = (number(x, digits, sign=True, unknown="?") for x in (e.low, e.high))
    return f"{number(e.value, digits, sign=True)} [{low}, {high}]"


def usd(value: float) -> str:
    """Dollars, rounded to what they are worth saying."""
    if not math.isfinite(value):
        return UNKNOWN
    step = 10 ** max(0, len(str(int(abs(value)))) - 3)
    return f"${round(value / step) * step:,.0f}"


def member_rows(book: BookFigures) -> list[tuple[str, ...]]:
    """One row a member, largest weight first."""
    return [
        (
            m.name + (" (for the book)" if m.role == "book" else ""),
            f"{m.weight:.1%}",
            str(m.holding_bars),
            span(m.marginal),
            span(m.alone),
            number(m.turnover, 3, unknown=UNKNOWN),
            _dead(m),
        )
        for m in book.members
    ]


def _dead(m: Member) -> str:
    if m.called:
        return "called"
    return f"{m.dead_chance:.0%}" if math.isfinite(m.dead_chance) else UNKNOWN


def summary_rows(book: BookFigures) -> list[tuple[str, str]]:
    """Label and value of every figure of the whole book; what is unknown says so."""
    saved = 1.0 - book.turnover / book.members_turnover if book.members_turnover > 0.0 else math.nan
    netting = f", {saved:.0%} less than the members apart" if saved > 0.0 else ""
    turnover = f"{book.turnover:.3f} of capital a day{netting}" if math.isfinite(book.turnover) else UNKNOWN
    fall = UNKNOWN
    if math.isfinite(book.drawdown_bps):
        fall = f"{number(book.drawdown_bps, 1)} bps, {book.drawdown_from[:10]} to {book.drawdown_to[:10]}"
    held = sum(abs(x) for x in book.holdings.values())
    days = f"{book.days_to_notice:.0f} days" if math.isfinite(book.days_to_notice) else UNKNOWN
    charged = "costs and funding" if book.funding_known else "costs; funding unknown"
    return [
        ("Net, measured", _unless(span(book.net), f" bps a year, after {charged}")),
        ("Sharpe, measured", span(book.measured_sharpe, 2)),
        ("At equal weights", f"net {span(book.equal)}, Sharpe {span(book.equal_sharpe, 2)}"),
        ("Sharpe, expected", _unless(span(book.forecast.sharpe, 2), ", shrunk for selection")),
        ("Sharpe next year", year(book)),
        ("Where it went", cost_words(book)),
        ("Drawdown", fall),
        ("Turnover", turnover),
        ("Gross", f"{number(book.gross, 3, unknown=UNKNOWN)} on average, {held:.3f} now, at most 1"),
        ("Capacity", f"{usd(book.capacity_usd)}; capital set: {usd(book.capital_usd)}"),
        ("A death of all", f"noticed after {days}" if days != UNKNOWN else UNKNOWN),
    ]


def _unless(value: str, more: str) -> str:
    """`value` with what goes with a known one."""
    return value if value == UNKNOWN else value + more


def year(book: BookFigures) -> str:
    """The interval for the Sharpe ratio that the next year will show."""
    e = book.forecast.year
    if not math.isfinite(e.value):
        return UNKNOWN
    return f"between {number(e.low, 2, sign=True)} and {number(e.high, 2, sign=True)} with 90 %, if nothing changes"
