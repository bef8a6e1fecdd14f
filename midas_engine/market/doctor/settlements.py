"""Rows of funding to settlements: a rate that is carried on from row to row is paid once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.market.doctor.report import Defect, defect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from midas_engine.market.doctor.gather import Gathered, SymbolRows

HOUR_NS = 3_600_000_000_000
# Venues settle every 1, 2, 4 or 8 hours.
_INTERVALS_HOURS = (8, 4, 2, 1)
# That the rate moves at these marks alone by chance is one in 2^8 for the nearest pair of intervals, 4 and 8 hours.
_FEWEST_MOVES = 8
_SHARE = 0.97


def settlements(funding: Gathered) -> tuple[Gathered, list[Defect]]:
    """The funding with one row a settlement, and what was done or is wrong."""
    found: list[Defect] = []
    kept = []
    for name, rows in funding.frame.groupby("symbol", observed=True, sort=True):
        times = rows["timestamp"].to_numpy()
        rates = rows["funding_rate"].to_numpy(dtype=np.float64)
        carried = carried_hours(times, rates)
        if carried is None:
            kept.append(rows)
            continue
        mark = times.astype(np.int64) // HOUR_NS // carried
        first = np.concatenate([[True], mark[1:] != mark[:-1]])
        # A stretch that begins between two marks was settled before the file begins.
        first[0] &= bool(times[0].astype(np.int64) % (carried * HOUR_NS) < HOUR_NS)
        settled = rows[first].copy()
        settled["timestamp"] = (mark[first] * carried * HOUR_NS).astype("datetime64[ns]")
        kept.append(settled)
        found.append(
            defect(
                "funding-carried",
                f"{len(rows)} rows carry the rate on to the next {carried} h mark; {len(settled)} settlements are paid",
                count=len(rows) - len(settled),
                symbol=str(name),
                column="funding_rate",
                first_at=times[0],
            )
        )
    if not found:
        return funding, found
    import pandas as pd

    return replace(funding, frame=pd.concat(kept, ignore_index=True)), found


def carried_hours(times: NDArray[np.datetime64], rates: NDArray[np.float64]) -> int | None:
    """Hours between the marks at which a rate moves, where rows between them only repeat it; else None.

    Args:
        times: datetime64[ns] [N], ascending.
        rates: float64 [N].
    """
    steps = np.diff(times.astype(np.int64))
    moved = np.flatnonzero(np.diff(rates) != 0) + 1
    if len(steps) < _FEWEST_MOVES or len(moved) < _FEWEST_MOVES:
        return None
    usual = int(np.median(steps))
    at = times[moved].astype(np.int64) % (24 * HOUR_NS)
    for hours in _INTERVALS_HOURS:
        if hours * HOUR_NS <= usual:
            return None
        # On the mark, or on the first row after it where a row is missing there.
        if (at % (hours * HOUR_NS) < min(usual, HOUR_NS)).mean() >= _SHARE:
            return hours
    return None


def missing_settlements(bars: Iterable[SymbolRows], funding: Gathered, stale_ns: int) -> list[Defect]:
    """Bars whose funding is unknown although others have some."""
    known = {rows.symbol: rows.times for rows in funding.by_symbol()}
    found = []
    for rows in bars:
        settled = known.get(rows.symbol)
        if settled is None or not len(settled):
            found.append(
                defect(
                    "funding-missing",
                    "no settlement of this symbol: what its bars pay is unknown",
                    count=len(rows.times),
                    symbol=rows.symbol,
                    column="funding_rate",
                    first_at=rows.times[0],
                )
            )
            continue
        span = np.timedelta64(stale_ns, "ns")
        before, after = rows.times < settled[0] - span, rows.times > settled[-1] + span
        if before.any() or after.any():
            found.append(
                defect(
                    "funding-missing",
                    f"settlements from {str(settled[0])[:16]} to {str(settled[-1])[:16]} only; unknown beyond",
                    count=int(before.sum() + after.sum()),
                    symbol=rows.symbol,
                    column="funding_rate",
                    first_at=rows.times[int(np.argmax(before | after))],
                )
            )
    return found
