"""The book of a recording: what its watched features earned together on paper, as the sentence on top counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.book.rows import span
from midas_engine.models import Estimate
from midas_engine.sentence import LEAST_DAYS
from midas_engine.stats.normal import Z90
from midas_engine.text import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.models import FeatureMetrics
    from midas_engine.sentence import Money
    from midas_tui.runtime_protocol import QueriesPort
    from midas_tui.widgets.line_table import Cell

    Rows = list[tuple[str, dict[str, Cell]]]

_YEAR_DAYS = 365.0
_DEAD = {"killed": "killed", "critical": "called"}


def member_lines(queries: QueriesPort, metrics: Mapping[str, FeatureMetrics]) -> Rows:
    """One row a watched feature: its share and what it earned by itself so far, with its interval."""
    held = [name for name, m in metrics.items() if m.status != "killed"]
    rows: Rows = []
    for name, m in sorted(metrics.items(), key=lambda kv: (kv[1].status == "killed", kv[0])):
        alone = queries.money(name)
        row: dict[str, Cell] = {
            "name": (name, ""),
            "weight": (f"{1.0 / len(held):.1%}" if name in held else "0.0%", ""),
            "hold": ("-", ""),
            "marginal": ("-", ""),
            "alone": (span(_yearly(alone), 0), ""),
            "turnover": (number(m.turnover, 3), ""),
            "dead": (_DEAD.get(m.status, "-"), "crit" if m.status in _DEAD else ""),
        }
        rows.append((name, row))
    return rows


def whole_lines(money: Money | None, members: int) -> Rows:
    """What the sentence says of the book, and what this book is."""
    earned = f"unknown: it takes {LEAST_DAYS} days of bars"
    if money is not None:
        low, high = money.net_bps - Z90 * money.se_bps, money.net_bps + Z90 * money.se_bps
        word = "a loss beyond chance" if money.loses else "more than chance gives" if low > 0.0 else "undecided"
        earned = (
            f"{money.net_bps:+,.0f} ± {money.se_bps:,.0f} bps in {money.days} days [{low:+,.0f}, {high:+,.0f}]: {word}"
        )
    told = (
        ("Net, on paper", earned),
        ("a year of that", span(_yearly(money), 0) + (" bps" if money is not None else "")),
        ("What it is", f"{members} features at equal shares, after costs, up to this bar"),
        ("Your own book", "is not in a recording: midas-tui without --replay shows it here"),
    )
    return [(name, {"name": (name, "muted"), "value": (value, "")}) for name, value in told]


def _yearly(money: Money | None) -> Estimate:
    if money is None or not money.days:
        return Estimate(float("nan"))
    per = _YEAR_DAYS / money.days
    value, se = money.net_bps * per, money.se_bps * per
    return Estimate(value, se, value - Z90 * se, value + Z90 * se)
