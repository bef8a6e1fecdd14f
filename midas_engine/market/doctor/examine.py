"""The data doctor: every check on every file, before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.clock import WallClock
from midas_engine.market.doctor.foresight import check_foresight
from midas_engine.market.doctor.funding import LONGEST_INTERVAL_NS, MISSING_INTERVALS, check_funding, check_snapshots
from midas_engine.market.doctor.gather import Gathered, gather
from midas_engine.market.doctor.mend import without_dead_bars, without_new_units, without_zero_figures
from midas_engine.market.doctor.report import Defect, DoctorReport, defect, first_causes, moment, worst_first
from midas_engine.market.doctor.settlements import missing_settlements, settlements
from midas_engine.market.doctor.timeline import NS, autumn_repeats, check_times, length
from midas_engine.market.doctor.values import check_bars

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from midas_engine.market.raw_rows import Part

BAR_KINDS = ("bars",)
# Columns of exchanges; the others are the user's own.
_KNOWN = frozenset(
    ("timestamp", "symbol", "close_time", "open", "high", "low", "close", "volume", "quote_volume", "trades", "vwap")
    + ("taker_buy_volume", "taker_buy_quote_volume", "funding_rate", "open_interest", "open_interest_usd", "mark_close")
)
PRICE_KINDS = ("mark", "index", "premium")


@dataclass(frozen=True, slots=True)
class Examined:
    """What the doctor saw, and the rows in order.

    Attributes:
        report: The defects.
        bars: Klines of trades; None when there are none.
        funding: Settlements.
        snapshots: Open interest and its like.
        prices: Klines of other prices, by kind.
    """

    report: DoctorReport
    bars: Gathered | None
    funding: Gathered | None
    snapshots: Gathered | None
    prices: dict[str, Gathered]


def examine(parts: Sequence[Part], *, now: datetime | None = None) -> Examined:
    """Check parts and put their rows in order.

    Args:
        parts: Files as read.
        now: The present; the wall clock's by default.
    """
    present = now or WallClock().now()
    instant = np.datetime64(int(present.timestamp() * 1e6), "us").astype("datetime64[ns]")
    parts, mixed = one_bar_length(parts)
    bars = gather(parts, BAR_KINDS, instant)
    funding = gather(parts, ("funding",), instant)
    snapshots = gather(parts, ("snapshots",), instant)
    prices = {kind: found for kind in PRICE_KINDS if (found := gather(parts, (kind,), instant)) is not None}
    every = [g for g in (bars, funding, snapshots, *prices.values()) if g is not None]
    defects = [*mixed, *(d for part in parts for d in part.defects)]
    defects += [d for g in every for d in g.defects]
    if bars is not None and len(bars.frame):
        bars, dead = without_dead_bars(bars)
        defects += check_foresight(bars, _KNOWN)
        defects += [*check_times(bars, instant), *check_bars(bars), *_local_autumn(parts, bars), *dead]
        bars, cut = without_new_units(bars)
        told = {d.symbol for d in cut}
        defects = [*(d for d in defects if d.code != "price-jump" or d.symbol not in told), *cut]
    if funding is not None and len(funding.frame):
        funding, carried = settlements(funding)
        defects += [*carried, *check_funding(funding)]
        if bars is not None:
            defects += missing_settlements(bars.by_symbol(), funding, MISSING_INTERVALS * LONGEST_INTERVAL_NS)
    if snapshots is not None:
        snapshots, empty = without_zero_figures(snapshots)
        defects += [*empty, *check_snapshots(snapshots)]
    defects += _names(bars, funding, every)
    defects = first_causes(defects)
    leading = next((g for g in every if len(g.frame)), None)
    times = leading.frame["timestamp"].to_numpy() if leading is not None else np.array([], dtype="datetime64[ns]")
    report = DoctorReport(
        worst_first(defects),
        sum(len(p.frame) for p in parts),
        tuple(sorted({str(s) for g in every for s in g.frame["symbol"].unique()})),
        moment(times.min()) if times.size else None,
        moment(times.max()) if times.size else None,
        tuple(p.source for p in parts),
    )
    return Examined(report, bars, funding, snapshots, prices)


def one_bar_length(parts: Sequence[Part]) -> tuple[list[Part], list[Defect]]:
    """The parts without bars of a length that most rows do not have, and a defect when there were such."""
    rows: dict[int, int] = {}
    for part in parts:
        if part.kind == "bars" and part.bar_seconds is not None:
            rows[part.bar_seconds] = rows.get(part.bar_seconds, 0) + len(part.frame)
    if len(rows) < 2:
        return list(parts), []
    usual = max(rows, key=lambda seconds: rows[seconds])
    others = [p for p in parts if p.kind == "bars" and p.bar_seconds not in (usual, None)]
    detail = "bars of " + ", ".join(f"{length(s * NS)} ({rows[s]} rows)" for s in sorted(rows))
    first = others[0]
    found = defect("mixed-bars", detail, count=sum(len(p.frame) for p in others), place=first.source)
    dropped = {id(p) for p in others}
    return [p for p in parts if id(p) not in dropped], [found]


def _names(bars: Gathered | None, funding: Gathered | None, every: list[Gathered]) -> Iterator[Defect]:
    spelled: dict[str, set[str]] = {}
    for name in {str(s) for g in every for s in g.frame["symbol"].unique()}:
        spelled.setdefault("".join(c for c in name.upper() if c.isalnum()), set()).add(name)
    for names in spelled.values():
        if len(names) > 1:
            yield defect("twin-symbols", "one symbol, written " + ", ".join(sorted(names)), count=len(names))
    if bars is None or funding is None:
        return
    alone = sorted({str(s) for s in funding.frame["symbol"].unique()} - {str(s) for s in bars.frame["symbol"].unique()})
    if alone:
        listed = ", ".join(alone[:8]) + (f" and {len(alone) - 8} more" if len(alone) > 8 else "")
        yield defect("funding-unmatched", f"funding without bars: {listed}", count=len(alone))


def _local_autumn(parts: Sequence[Part], bars: Gathered) -> Iterator[Defect]:
    """Bars whose repeats are the hour that a local clock shows twice."""
    if bars.bar_seconds is None or bars.bar_seconds > 3600:
        return
    for part in parts:
        if part.kind != "bars":
            continue
        again = part.frame[part.frame.duplicated(["timestamp", "symbol"]) & part.frame["timestamp"].notna()]
        times: Any = again["timestamp"].to_numpy()
        hours = autumn_repeats(times) if len(times) else 0
        if hours and hours == len(np.unique(times.astype("datetime64[h]"))):
            yield defect(
                "local-time",
                "an hour comes twice where clocks go back: these are local times",
                count=len(again),
                first_at=times[0],
                place=part.source,
            )
