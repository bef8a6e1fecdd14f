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
CAP = 0.04
LONGEST_INTERVAL_NS = 8 * HOUR_NS
MISSING_INTERVALS = 3


def check_funding(funding: Gathered) -> Iterator[Defect]:
    """Everything about funding rates."""
    every = list(funding.by_symbol())
    rates = np.concatenate([np.abs(rows.values["funding_rate"]) for rows in every])
    rates = rates[np.isfinite(rates) & (rates > 0)]
    percent = len(rates) >= ENOUGH and float(np.median(rates)) > PERCENT_MEDIAN
    if percent:
        yield defect(
            "funding-percent",
            f"the median rate is {np.median(rates):.4g} a settlement; a fraction is near 0.0001",
            count=len(rates),
            column="funding_rate",
            first_at=every[0].times[0],
        )
    for rows in every:
        if not percent:
            yield from _extreme(rows)
        yield from _clock(rows)


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
            yield defect(
                "shifted-hours",
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
