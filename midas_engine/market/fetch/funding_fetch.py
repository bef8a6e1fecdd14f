"""Funding of one contract into the sink: settlements, each paid once, at the bars they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.market.fetch.contract_fetch import provenance, stamps_of
from midas_engine.market.fetch.page import read_page
from midas_engine.market.fetch.plan import WINDOW_DAYS
from midas_engine.market.fetch.settlement_bars import settlement_bars
from midas_engine.market.fetch.spans import lacking, stretches, windows
from midas_engine.market.fetch.summary import Missing
from midas_engine.market.venues.base import FUNDING_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from midas_engine.market.fetch.job import FetchJob
    from midas_engine.market.venues.base import Group
    from midas_engine.market.venues.contract import Contract

_DAY = 86_400_000
# A rate holds until it is stale; the bars after a start need those before it.
BEFORE_DAYS = 3
_OVERLAP_DAYS = 2
_DOUBTED = 3
_DOUBT_SECONDS = 2.0


async def fetch_funding(job: FetchJob, contract: Contract, group: Group, announce: Callable[[int], None]) -> None:
    """Fetch the settlements that are missing and write `funding_rate` and `funding_paid` of the bars they reach.

    Args: as `GroupFetch`.
    """
    plan, sink, summary = job.plan, job.sink, job.summary
    begin, step = plan.since(group, contract), plan.step
    if begin >= plan.end:
        return
    held = sink.held(plan.market, plan.bar, contract.name, FUNDING_COLUMNS)
    held = held[held["funding_rate"].notna()] if set(FUNDING_COLUMNS) <= set(held.columns) else held.iloc[:0]
    stamps = stamps_of(held)
    held = held[(stamps >= begin) & (stamps < plan.end)]
    there = stamps_of(held)
    if plan.again:
        there = there[:0]
    elif len(there):
        there = there[there < there[-1] - _OVERLAP_DAYS * _DAY]
    missing = lacking(begin, plan.end, step, there)
    spans = windows(missing, step, max(1, WINDOW_DAYS * _DAY // step))
    announce(len(spans))
    kept = held
    restated: list[int] = []
    for first, end in spans:
        since = first - BEFORE_DAYS * _DAY
        settled = await _settlements(job, contract, group, since, end + step)
        bars = settlement_bars(settled, first, end, step, plan.time.high_ms)
        fresh = None if bars is None else _different(bars, kept)
        if fresh is not None and len(fresh):
            again = stamps_of(fresh[fresh.index.isin(kept.index)])
            restated += again.tolist()
            sink.write(plan.market, plan.bar, contract.name, fresh, provenance(plan, contract, group.name, len(again)))
            kept = fresh.combine_first(kept)
        job.answered(f"{contract.name} funding", 0 if fresh is None else len(fresh))
    name = contract.name
    if restated:
        summary.restated.append((name, FUNDING_COLUMNS, len(restated), min(restated)))
    for column in FUNDING_COLUMNS:
        summary.there[name, column] = len(kept)
    known = stamps_of(kept)
    left = lacking(begin, plan.end, step, known)
    for start, last, bars_left in stretches(left, step):
        if len(known) and start > known[-1]:
            continue  # its settlement is not due yet, or was not told yet
        if len(known) and contract.listed_ms and last < known[0] <= contract.listed_ms + _DAY:
            continue  # it had not settled yet
        why = f"{plan.venue} has none" + (" before the first" if len(known) and last < known[0] else "")
        summary.missing.append(Missing(name, FUNDING_COLUMNS, bars_left, start, last, why))


async def _settlements(job: FetchJob, contract: Contract, group: Group, since: int, end: int) -> dict[int, float]:
    """Settlements of a span. One that is left out would read as nothing paid: a hole is asked for until it is sure."""
    plan, asker = job.plan, job.asker
    found: dict[int, float] = {}
    span = max(since, contract.listed_ms or 0), min(end, plan.time.low_ms)
    for turn in range(_DOUBTED):
        if turn:
            await asker.pause(_DOUBT_SECONDS)

        async def look() -> tuple[dict[int, float], bool]:
            rows = await job.venue.rows(group, contract, plan.bar, since, end)
            page = read_page(rows, group, since, end, 0, asker.counts.oddities)
            rates = {at: row.values["funding_rate"] for at, row in page.rows.items() if at <= plan.time.high_ms}
            return rates, bool(page.doubtful)

        rates, doubtful = await asker.ask(f"funding of {contract.name}", look)
        asker.counts.faults["doubtful"] += doubtful
        before, found = found, found | rates
        if not doubtful and (_whole(sorted(found), *span) or (turn and found == before)):
            break
    return found


def _whole(stamps: list[int], since: int, end: int) -> bool:
    """Whether settlements follow each other as usual, from one end of a span to the other."""
    if len(stamps) < 2:
        return not stamps and end <= since
    steps = np.diff(np.array([since, *stamps, end]))
    return bool(steps.max() <= 1.5 * np.median(steps[1:-1]))


def _different(bars: pd.DataFrame, held: pd.DataFrame) -> pd.DataFrame:
    """The rows that are not there already with these figures."""
    if not len(held):
        return bars
    known = held.reindex(bars.index)
    equal = np.all((bars.to_numpy() == known[list(bars.columns)].to_numpy()), axis=1)
    different: pd.DataFrame = bars[~equal]
    return different
