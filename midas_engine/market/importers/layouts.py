"""The layouts Midas reads, one object each, in one list: adding a layout is adding it here.

A layout looks at a table whose columns have their names in Midas and says whether it is of its kind; if so, it says
what the rows are. The first that fits reads the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataFormatError
from midas_engine.market.doctor.report import defect
from midas_engine.market.importers.columns import SPELLINGS, spelling
from midas_engine.market.instants import read_instants
from midas_engine.market.raw_rows import BARS, FUNDING, OTHER_PRICES, SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from midas_engine.market.doctor.report import Defect
    from midas_engine.market.importers.names import NameHints
    from midas_engine.market.importers.options import ImportOptions

PRICES = ("open", "high", "low", "close")
SNAPSHOT_COLUMNS = (
    "open_interest",
    "open_interest_usd",
    "mark_close",
    "toptrader_account_ratio",
    "toptrader_position_ratio",
    "account_ratio",
    "taker_ratio",
)
# A "price" below this in a file that is called funding is a rate.
_HIGHEST_RATE = 5.0
# A bar of a bitmex bucket has these beside its prices.
_BUCKETS = {"lastsize", "homenotional", "foreignnotional"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a layout may look at.

    Attributes:
        source: The file.
        raw: Its columns as they are called there.
        frame: The same rows under their names in Midas.
        hints: What the file's name says.
        options: What the caller says.
        found: Where a layout tells what it noticed.
    """

    source: str
    raw: pd.DataFrame
    frame: pd.DataFrame
    hints: NameHints
    options: ImportOptions
    found: list[Defect] = field(default_factory=list)

    def has(self, *columns: str) -> bool:
        """Whether the table has all these columns."""
        return set(columns) <= set(self.frame.columns)

    def figures(self, column: str) -> NDArray[np.float64]:
        """A column as float64 [N]; NaN where it is no figure."""
        import pandas as pd

        values = pd.to_numeric(self.frame[column], errors="coerce")
        out: NDArray[np.float64] = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return out


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one kind.

    Attributes:
        kind: See `Part.kind`.
        frame: Canonical columns.
        at_close: Whether their times are the ends of intervals that begin one spacing earlier.
        seen_at_end: Whether a figure stamped with the start of its interval is known only at its end.
    """

    kind: str
    frame: pd.DataFrame
    at_close: bool = False
    seen_at_end: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """One way in which files hold market data."""

    name: str
    fits: Callable[[Evidence], bool]
    read: Callable[[Evidence], list[Rows]]


# -- funding -----------------------------------------------------------------------------------------------------------


def _is_rate_candle(e: Evidence) -> bool:
    """Candles whose open is a rate and whose other cells are zero, or candles of a rate by the file's name."""
    if e.options.kind not in (None, "funding") or not e.has("open", "high", "low", "close") or e.has("funding_rate"):
        return False
    rates = e.figures("open")
    if not np.isfinite(rates).any():
        return e.options.kind == "funding"
    others = [c for c in ("high", "low", "close", "volume") if e.has(c)]
    empty = all((np.nan_to_num(e.figures(c)) == 0).all() for c in others)
    small = bool(np.nanmax(np.abs(rates)) < _HIGHEST_RATE)
    named = e.hints.kind == "funding" or e.options.kind == "funding"
    return small and (named or (empty and bool(np.nansum(np.abs(rates)) > 0)))


def _rate_candle(e: Evidence) -> list[Rows]:
    empty = all((np.nan_to_num(e.figures(c)) == 0).all() for c in ("high", "low", "close"))
    frame = e.frame.drop(columns=[c for c in (*PRICES, "volume", "close_time") if c in e.frame])
    if empty:
        return [Rows(FUNDING, frame.assign(funding_rate=e.frame["open"]))]
    e.found.append(
        defect(
            "rate-candles",
            "candles of a funding rate: each is taken as one settlement, at its end, at its close",
            count=len(frame),
            place=e.source,
        )
    )
    return [Rows(FUNDING, frame.assign(funding_rate=e.frame["close"]), seen_at_end=True)]


def _settlement_column(e: Evidence) -> tuple[Any, Any] | None:
    """The columns (settlement, time of the line) of a stream of the current rate; None where it is none."""
    by_name = {spelling(c): c for c in e.raw.columns}
    settles = [by_name[n] for n in ("fundingtime", *SPELLINGS["settles_at"]) if n in by_name]
    lines = [by_name[n] for n in SPELLINGS["timestamp"] if n in by_name and n != "fundingtime"]
    for settled in settles:
        for line in lines:
            at, seen = (read_instants(e.raw[c]) for c in (settled, line))
            known = ~(at.unreadable | seen.unreadable)
            # Several lines a settlement: it is not one settlement a line.
            if 2 * known.sum() > len(known) and 2 * len(np.unique(at.utc[known])) <= len(np.unique(seen.utc[known])):
                return settled, line
    return None


def _is_current_rate(e: Evidence) -> bool:
    return e.has("funding_rate") and not e.has("close") and _settlement_column(e) is not None


def _current_rate(e: Evidence) -> list[Rows]:
    columns = _settlement_column(e)
    assert columns is not None  # it fits
    at, seen = (read_instants(e.raw[c]).utc for c in columns)
    keys = ["symbol"] if "symbol" in e.frame else ["coin"] if "coin" in e.frame else []
    lines = e.frame.assign(_at=at, _seen=seen)
    lines = lines[lines["_at"].notna() & lines["_seen"].notna() & lines["funding_rate"].notna()]
    ordered = lines.sort_values("_seen", kind="stable")
    last = ordered.drop_duplicates([*keys, "_at"], keep="last")
    # Where the stream ends before its settlement by more than between two lines, the rate was not yet the one paid.
    steps = ordered["_seen"].diff().dropna()
    usual = steps[steps > np.timedelta64(0, "ns")].median() if len(steps) else np.timedelta64(0, "ns")
    final = (last["_at"] - last["_seen"]) <= 3 * usual
    settled = last[final.to_numpy()]
    e.found.append(
        defect(
            "current-rate",
            f"{len(e.frame)} lines of the current rate; paid are {len(settled)}, each at the settlement that its lines "
            f"name, at the last rate before it; {len(last) - len(settled)} were not settled yet",
            count=len(e.frame),
            column="funding_rate",
            place=e.source,
        )
    )
    paid = settled.assign(timestamp=settled["_at"])[["timestamp", "funding_rate", *keys]]
    out = [Rows(FUNDING, paid.reset_index(drop=True))] if len(paid) else []
    beside = [c for c in SNAPSHOT_COLUMNS if c in e.frame]
    if beside:
        snapshots = lines.assign(timestamp=lines["_seen"])[["timestamp", *beside, *keys]]
        out.append(Rows(SNAPSHOTS, snapshots.reset_index(drop=True)))
    if not out:
        raise DataFormatError(f"{e.source} ends before the settlement its rates are for", hint="fetch what follows")
    return out


# -- other prices and figures ------------------------------------------------------------------------------------------


def _is_interest_candle(e: Evidence) -> bool:
    named = e.options.kind == "open_interest" or (e.options.kind is None and e.hints.kind == "open_interest")
    return named and e.has("close") and not e.has("open_interest")


def _interest_candle(e: Evidence) -> list[Rows]:
    frame = e.frame.drop(columns=[c for c in (*PRICES, "volume") if c in e.frame])
    e.found.append(
        defect(
            "rate-candles",
            "candles of open interest: the close, as known at their end",
            count=len(frame),
            place=e.source,
        )
    )
    return [Rows(SNAPSHOTS, frame.assign(open_interest=e.frame["close"]), seen_at_end=True)]


def _told_price(e: Evidence) -> str | None:
    return e.options.kind if e.options.kind in OTHER_PRICES else None


def _is_other_price(e: Evidence) -> bool:
    if not e.has("close") or e.options.kind == "candles":
        return False
    if _told_price(e) or e.hints.price:
        return True
    # A mark price has no volume: its dumps carry zeros, also where the file's name is lost.
    dump = ("volume", "quote_volume", "taker_buy_volume")
    return e.has(*dump) and len(e.frame) > 3 and not any(np.nan_to_num(e.figures(c)).any() for c in dump)


def _is_one_figure(e: Evidence) -> bool:
    """A time and one column nobody knows, where the caller or the name says what is in it."""
    return _kind_of_one(e) is not None and len(_unknown(e)) == 1 and not e.has("close")


def _kind_of_one(e: Evidence) -> str | None:
    kind = e.options.kind or e.hints.kind or e.hints.price
    return kind if kind in ("funding", "open_interest", *OTHER_PRICES) else None


def _unknown(e: Evidence) -> list[str]:
    aside = ("timestamp", "symbol", "coin", "venue", "interval", "close_time", "funding_interval_hours", "settles_at")
    return [c for c in e.frame.columns if c not in aside and np.isfinite(e.figures(c)).any()]


def _one_figure(e: Evidence) -> list[Rows]:
    kind, (column,) = _kind_of_one(e), _unknown(e)
    if kind == "funding":
        return [Rows(FUNDING, e.frame.rename(columns={column: "funding_rate"}))]
    if kind == "open_interest":
        return [Rows(SNAPSHOTS, e.frame.rename(columns={column: "open_interest"}))]
    return [Rows(str(kind), e.frame.rename(columns={column: "close"}))]


LAYOUTS = (
    Layout("candles of a funding rate", _is_rate_candle, _rate_candle),
    Layout("a stream of the current funding rate", _is_current_rate, _current_rate),
    Layout("candles of open interest", _is_interest_candle, _interest_candle),
    Layout(
        "klines of another price",
        _is_other_price,
        lambda e: [Rows(_told_price(e) or e.hints.price or "mark", e.frame)],
    ),
    Layout(
        "buckets stamped with their end",
        lambda e: e.has("close") and {spelling(c) for c in e.raw.columns} >= _BUCKETS,
        lambda e: [Rows(BARS, e.frame, at_close=True)],
    ),
    Layout("klines", lambda e: e.has("close"), lambda e: [Rows(BARS, e.frame)]),
    Layout("funding settlements", lambda e: e.has("funding_rate"), lambda e: [Rows(FUNDING, e.frame)]),
    Layout(
        "snapshots",
        lambda e: any(c in e.frame for c in SNAPSHOT_COLUMNS),
        lambda e: [Rows(SNAPSHOTS, e.frame)],
    ),
    Layout("one figure", _is_one_figure, _one_figure),
)
