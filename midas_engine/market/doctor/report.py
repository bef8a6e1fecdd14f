"""What the data doctor says: defects by name, and what each means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from midas_engine.errors import DataDefectError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Rule(NamedTuple):
    """A defect the doctor knows: how bad it is, and what to do about it."""

    severity: str
    fix: str


_DROPPED = "nothing: the copy is dropped"
RULES: Mapping[str, Rule] = {
    # Time
    "unreadable-time": Rule("error", "write times as epoch numbers or ISO 8601 with a year"),
    "wrong-unit": Rule("error", "read the times again with their own unit"),
    "future-time": Rule("error", "check the unit, the zone and the clock of the machine that wrote it"),
    "close-time": Rule("error", "name each bar by its open time, or say what the times are: --stamps close"),
    "rounded-times": Rule("error", "export the times again as text or whole numbers, not as a spreadsheet shows them"),
    "monthly-bars": Rule("error", "import days or weeks: months have no one length and are not read"),
    "close-stamps": Rule("info", "nothing, if that is so; say --stamps open if it is not"),
    "two-clocks": Rule("info", "nothing, if that is the right one; else --column NAME=timestamp"),
    "partial-bar": Rule("info", "nothing: the whole bar of the other file is taken"),
    "mixed-bars": Rule("error", "import one bar length: midas data import ... --bar 1h"),
    "off-grid": Rule("error", "give every bar its exact open time"),
    "local-time": Rule("error", "write the times in UTC: local clocks jump twice a year"),
    "mixed-units": Rule("warning", "nothing: each time is read in its own unit"),
    "shifted-hours": Rule("warning", "check the zone; say --stamps close if the times are the ends of bars"),
    "settlement-hours": Rule("info", "nothing, if these are the exchange's own hours; else check the zone"),
    "disorder": Rule("warning", "nothing: rows are sorted"),
    "duplicates": Rule("warning", _DROPPED),
    "conflict": Rule("error", "keep one row a bar: two rows of the same bar disagree"),
    "gaps": Rule("warning", "fetch the missing bars, or accept NaN there"),
    "unfinished": Rule("warning", "nothing: a bar that was not over when it was saved is left out"),
    "no-zone": Rule("info", "add Z to the times if they are UTC; convert them if they are not"),
    "foreign-zone": Rule("info", "nothing: they are converted"),
    # Columns and names
    "no-close": Rule("error", "a bar needs its close"),
    "missing-column": Rule("warning", "expressions that use it will be refused"),
    "no-symbol": Rule("error", "name the symbol in every row"),
    "guessed-symbol": Rule("info", "add a symbol column, or name the file after the symbol"),
    "unknown-symbol": Rule("error", "say which column is the symbol: --column NAME=symbol"),
    "several-markets": Rule("error", "import each market by itself: its folder of the archive"),
    "shared-name": Rule("error", "add a symbol column, name the files after their symbols, or say --symbol NAME"),
    "column-order": Rule("error", "say the order of the columns: --column 2=open, --column 3=high, ... or a header"),
    "set-aside": Rule("warning", "nothing, if that file is no market data; give it by its name to see it refused"),
    "twin-symbols": Rule("warning", "write each symbol in one way"),
    "one-bar": Rule("error", "give at least two bars"),
    # Values
    "not-a-number": Rule("error", "write a number or leave the cell empty"),
    "number-style": Rule("info", "nothing, if the figures were meant so"),
    "cut-short": Rule("warning", "download it again: its last line is cut off, and left out"),
    "infinite": Rule("error", "leave the cell empty where there is no figure"),
    "no-price": Rule("error", "remove the rows: a price is above zero"),
    "high-below-low": Rule("error", "check the order of the columns"),
    "outside-range": Rule("warning", "check the source: open and close lie between low and high"),
    "price-spike": Rule("error", "remove or correct the bar: the price was elsewhere before and after"),
    "price-jump": Rule("warning", "check for a redenomination (1000X), a relisting or a wrong symbol"),
    "wick": Rule("warning", "check the source: the high or low is far from open and close"),
    "frozen": Rule("warning", "check the source: the price stands still"),
    "nan-run": Rule("warning", "nothing: the bars count as not traded"),
    "zero-volume": Rule("warning", "nothing, if the market was halted; check the source otherwise"),
    "negative-volume": Rule("error", "a volume is zero or more"),
    "taker-above-volume": Rule("warning", "check that both volumes are in the same unit"),
    "volume-unit": Rule("warning", "check units: quote volume / volume should lie between low and high"),
    "contracts": Rule("error", "give the volume in coins, or leave the quote volume out"),
    "mended-volume": Rule("info", "nothing: volume is in coins now"),
    "delisted": Rule("warning", "nothing: bars after the last trade are cut"),
    "knows-future": Rule(
        "warning", "take no verdict on it: show that each value was known at its bar's close, or leave the column out"
    ),
    # Funding and open interest
    "funding-percent": Rule(
        "error", "find out its unit and give it as a fraction of notional a settlement, near 0.0001 for eight hours"
    ),
    "funding-carried": Rule("warning", "nothing, if rows only carry the rate on; each settlement is paid once"),
    "funding-running": Rule("error", "give the settled rates: a current rate is paid only at its settlement"),
    "current-rate": Rule("info", "nothing: only what was settled is paid"),
    "rate-candles": Rule("info", "check that the source means it so, or give the settled rates"),
    "funding-missing": Rule("warning", "fetch them, or accept that what these bars pay is unknown"),
    "zero-figure": Rule("warning", "nothing: a zero between large figures is none, and left empty"),
    "funding-extreme": Rule("warning", "check the source: exchanges cap a settlement near 3 %"),
    "funding-gap": Rule("warning", "fetch the missing settlements; the rate is unknown there"),
    "funding-unmatched": Rule("warning", "import bars of these symbols too, or leave the funding out"),
}
ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Defect:
    """One kind of fault of one symbol and column.

    Attributes:
        severity: "error" forbids computing, "warning" deserves a look, "info" says what was assumed.
        code: One of `RULES`.
        detail: What is wrong, in figures.
        fix: What to do.
        count: How many rows or bars.
        symbol: Which one; empty when the fault is of the file.
        column: Which one; empty when the fault is of the row.
        first_at: Time of the first one, UTC; None where it has none.
        place: File and row of the first one, where known.
    """

    severity: str
    code: str
    detail: str
    fix: str
    count: int
    symbol: str = ""
    column: str = ""
    first_at: datetime | None = None
    place: str = ""


def defect(
    code: str,
    detail: str,
    *,
    count: Any = 1,
    symbol: str = "",
    column: str = "",
    first_at: Any = None,
    place: str = "",
) -> Defect:
    """A defect with the severity and the advice of its code. `first_at` is datetime64 [ns] UTC, or None."""
    rule = RULES[code]
    return Defect(rule.severity, code, detail, rule.fix, int(count), symbol, column, moment(first_at), place)


def moment(at: Any) -> datetime | None:
    """A datetime64 as a datetime, UTC; None for none."""
    if at is None:
        return None
    instant = np.datetime64(at, "us")
    return None if np.isnat(instant) else datetime.fromtimestamp(int(instant.astype(np.int64)) / 1e6, UTC)


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """Every defect of a set of files, the worst first.

    Attributes:
        defects: What was found.
        rows: Rows looked at.
        symbols: Symbols found, by name.
        first_at: Open time of the first bar (or first settlement), UTC.
        last_at: Open time of the last one.
        sources: The files.
    """

    defects: tuple[Defect, ...]
    rows: int = 0
    symbols: tuple[str, ...] = ()
    first_at: datetime | None = None
    last_at: datetime | None = None
    sources: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing forbids computing."""
        return not any(d.severity == "error" for d in self.defects)

    def raise_if_unusable(self, what: str) -> None:
        """Refuse data with errors.

        Raises:
            DataDefectError: Names the first errors with place and count.
        """
        errors = [d for d in self.defects if d.severity == "error"]
        if not errors:
            return
        told = "; ".join(_sentence(d) for d in errors[:3])
        more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
        raise DataDefectError(
            f"{what} cannot be computed from: {told}{more}",
            hint=f"{errors[0].fix}; `midas data check` lists everything",
        )


def _sentence(found: Defect) -> str:
    where = " ".join(part for part in (found.symbol, found.column) if part)
    at = f" at {found.first_at:%Y-%m-%d %H:%M} UTC" if found.first_at else ""
    place = f" ({found.place})" if found.place else ""
    return f"{found.code} x {found.count}{f' in {where}' if where else ''}{at}: {found.detail}{place}"


# Faults that others follow from: where one of them is seen, what else is odd about the times is its consequence.
_CAUSES = (
    "rounded-times",
    "unknown-symbol",
    "monthly-bars",
    "column-order",
    "shared-name",
    "several-markets",
    "wrong-unit",
)
_CONSEQUENCES = frozenset(
    ("conflict", "duplicates", "off-grid", "gaps", "mixed-bars", "shifted-hours", "disorder", "close-time")
    + ("outside-range", "high-below-low", "price-spike", "price-jump", "frozen", "volume-unit")
    + ("contracts", "local-time", "unfinished", "one-bar", "wick", "partial-bar", "delisted")
)


def first_causes(defects: Iterable[Defect]) -> list[Defect]:
    """The defects without those that only follow from another."""
    every = list(defects)
    if not any(d.code in _CAUSES for d in every):
        return every
    return [d for d in every if d.code not in _CONSEQUENCES]


def worst_first(defects: Iterable[Defect]) -> tuple[Defect, ...]:
    """Errors before warnings before remarks; then by code and symbol."""
    return tuple(sorted(defects, key=lambda d: (ORDER[d.severity], d.code, d.symbol, d.column)))
