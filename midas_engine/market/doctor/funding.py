"""Funding rates and snapshots: units, zones, holes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.market.doctor.report import Defect, defect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from midas_engine.market.doctor.gather import Gathered, SymbolRows

HOUR_NS = 3_600_000_000_000
# The usual rate of a perpetual is 0.0001 a settlement. A median thirty times that is 0.01: the same rate in percent.
PERCENT_MEDIAN = 0.003
ENOUGH = 20
# The same rate in percent, settled at any interval, is 11 a year; the usual one as a fraction is 0.11.
MOST_A_YEAR = 5.0
YEAR_HOURS = 24 * 365
SHORTEST_HOURS = 0.99
CAP = 0.04
LONGEST_INTERVAL_NS = 8 * HOUR_NS
MISSING_INTERVALS = 3


def check_funding(funding: Gathered) -> Iterator[Defect]:
    """Everything about funding rates."""
    every = list(funding.by_symbol())
    rates, yearly, hours = [], [], []
    for rows in every:
        usual = _interval_hours(rows)
        own = np.abs(rows.values["funding_rate"])
        own = own[np.isfinite(own) & (own > 0)]
        rates.append(own)
        yearly.append(own * YEAR_HOURS / usual)
        hours.append(np.full(len(own), usual))
    median, a_year = (float(np.median(np.concatenate(x))) if sum(map(len, x)) else 0.0 for x in (rates, yearly))
    count = sum(map(len, rates))
    strange = count >= ENOUGH and (median > PERCENT_MEDIAN or a_year > MOST_A_YEAR)
    if strange:
        interval = float(np.median(np.concatenate(hours)))
        yield defect(
            "funding-percent",
            f"the median rate is {median:.4g} every {interval:g} h, {a_year:.3g} times the notional a year: it is no "
            f"fraction a settlement, and its unit is unknown. In percent it would be {a_year / 100:.3g} a year, as a "
            f"rate a year {median:.3g}, as that in percent {median / 100:.3g}",
            count=count,
            column="funding_rate",
            first_at=every[0].times[0],
        )
    for rows in every:
        if not strange:
            yield from _extreme(rows)
        yield from _running(rows)
        yield from _clock(rows)


def _interval_hours(rows: SymbolRows) -> float:
    """The most common spacing of a symbol's settlements; eight hours where it has none."""
    steps = np.diff(rows.times.astype(np.int64))
    if not len(steps):
        return LONGEST_INTERVAL_NS / HOUR_NS
    values, counts = np.unique(steps, return_counts=True)
    return float(values[np.argmax(counts)]) / HOUR_NS


def _running(rows: SymbolRows) -> Iterator[Defect]:
    hours = _interval_hours(rows)
    if hours < SHORTEST_HOURS and len(rows.times) >= ENOUGH:
        yield defect(
            "funding-running",
            f"rates every {hours * 60:.3g} min: no venue settles that often, this is the current rate",
            count=len(rows.times),
            symbol=rows.symbol,
            column="funding_rate",
            first_at=rows.times[0],
        )


def _extreme(rows: SymbolRows) -> Iterator[Defect]:
    beyond = np.abs(rows.values["funding_rate"]) > CAP
    if beyond.any():
        at = int(np.argmax(beyond))
        yield defect(
            "funding-extreme",
            f"a rate of {rows.values['funding_rate'][at]:.3g} a settlement",
            count=beyond.sum(),
            symbol=rows.symbol,
            column="funding_rate",
            first_at=rows.times[at],
        )


def _clock(rows: SymbolRows) -> Iterator[Defect]:
    steps = np.diff(rows.times.astype(np.int64))
    if not len(steps):
        return
    values, counts = np.unique(steps, return_counts=True)
    usual = int(values[np.argmax(counts)])
    if usual in (4 * HOUR_NS, 8 * HOUR_NS) and len(steps) >= ENOUGH:
        places, seen = np.unique(rows.times.astype(np.int64) % usual, return_counts=True)
        place = int(places[np.argmax(seen)])
        if place:
            # Whole hours can be a venue's own (04:00, 12:00 and 20:00); an hour that no venue has is a wrong zone.
            regular = place % (usual // 2) == 0
            yield defect(
                "settlement-hours" if regular else "shifted-hours",
                f"settlements every {usual // HOUR_NS} h stand {place / HOUR_NS:g} h after 00:00 UTC",
                count=seen.max(),
                symbol=rows.symbol,
                column="funding_rate",
                first_at=rows.times[0],
            )
    holes = steps > MISSING_INTERVALS * max(usual, LONGEST_INTERVAL_NS)
    if holes.any():
        at = int(np.argmax(holes))
        longest = int(steps.max()) // (24 * HOUR_NS)
        yield defect(
            "funding-gap",
            f"stretches without a settlement, the longest {longest} days",
            count=holes.sum(),
            symbol=rows.symbol,
            column="funding_rate",
            first_at=rows.times[at],
        )


def check_snapshots(snapshots: Gathered) -> Iterator[Defect]:
    """Open interest and its like: never below zero."""
    for rows in snapshots.by_symbol():
        for column, values in rows.values.items():
            below = values < 0
            if below.any():
                yield defect(
                    "negative-volume",
                    "below zero",
                    count=below.sum(),
                    symbol=rows.symbol,
                    column=column,
                    first_at=rows.times[int(np.argmax(below))],
                )
