"""`Fetch`: a venue's history into a sink, as far as the venue gives it, however often it has to go on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from midas_engine.errors import FeedError
from midas_engine.market.feeds.together import together
from midas_engine.market.fetch.asker import Asker
from midas_engine.market.fetch.contract_fetch import GroupFetch
from midas_engine.market.fetch.faults import VenueFaultError
from midas_engine.market.fetch.funding_fetch import fetch_funding
from midas_engine.market.fetch.job import FetchJob
from midas_engine.market.fetch.plan import Order, Plan, make_plan
from midas_engine.market.fetch.progress import Progress, ProgressCount
from midas_engine.market.fetch.summary import Missing, Summary
from midas_engine.market.venues.base import FUNDING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from midas_engine.clock import Clock
    from midas_engine.market.fetch.sink import Sink
    from midas_engine.market.venues import Venue
    from midas_engine.market.venues.base import Group
    from midas_engine.market.venues.contract import Contract

AT_ONCE = 4
# So many requests given up in a row are no longer bad luck.
_MOST_LOST = 3


class Fetch:
    """Fetches what is missing. It may be killed at any moment: what the sink holds is sound, and the next one goes on.

    Args:
        venue: Who is asked.
        clock: For the present and for pauses.
        tell: Hears of faults, in words.
        progress: Hears how far it is, after every answer.
        rng: For the jitter of pauses.
    """

    def __init__(
        self,
        venue: Venue,
        clock: Clock,
        *,
        tell: Callable[[str], None] = lambda _: None,
        progress: Callable[[Progress], None] = lambda _: None,
        rng: random.Random | None = None,
    ) -> None:
        self._venue, self._clock, self._progress = venue, clock, progress
        self._asker = Asker(venue.name, clock, tell, rng)
        self._lost_in_a_row = 0

    async def plan(self, order: Order) -> Plan:
        """What will be asked for, and what cannot be had.

        Raises:
            FeedError: The venue does not answer, knows no such contract, or has nothing in that time.
        """
        return await make_plan(self._venue, self._asker, order, self._clock)

    async def run(self, plan: Plan, sink: Sink) -> Summary:
        """Do it.

        Raises:
            FeedError: The venue refuses, or failed so often in a row that going on is no use.
        """
        summary, count = Summary(), ProgressCount(self._clock)
        gate = asyncio.Semaphore(AT_ONCE)

        guesses = {(c.name, g.name): plan.requests(g, c) for c in plan.contracts for g in plan.groups}
        count.total = sum(guesses.values())

        def answered(doing: str, rows: int) -> None:
            self._lost_in_a_row = 0
            count.done, count.rows = count.done + 1, count.rows + rows
            self._progress(count.look(doing))

        job = FetchJob(plan, self._venue, self._asker, sink, summary, answered)

        async def one(contract: Contract) -> None:
            async with gate:
                for group in plan.groups:
                    key = (contract.name, group.name)

                    def announce(requests: int, key: tuple[str, str] = key) -> None:
                        count.total += requests - guesses.pop(key, 0)  # the guess gives way to what it is

                    await self._group(job, contract, group, announce)
                    count.total -= guesses.pop(key, 0)

        try:
            await together([one(c) for c in plan.contracts])
        finally:  # also where it is interrupted: what is here is sound
            sink.flush()
        summary.requests, summary.faults = count.done, str(self._asker.counts)
        order = [c.name for c in plan.contracts]
        summary.missing.sort(key=lambda m: (order.index(m.symbol), m.columns, m.first_ms))
        return summary

    async def _group(self, job: FetchJob, contract: Contract, group: Group, announce: Callable[[int], None]) -> None:
        plan = job.plan
        try:
            if group.name == FUNDING:
                await fetch_funding(job, contract, group, announce)
            else:
                await GroupFetch(job, contract, group, announce).run()
        except VenueFaultError as fault:
            self._lost_in_a_row += 1
            if fault.kind in ("refused", "throttled"):
                raise
            if self._lost_in_a_row >= _MOST_LOST:
                raise FeedError(
                    f"{fault.message}; {self._lost_in_a_row} requests in a row were given up",
                    hint="what was fetched is kept: the same command goes on where this one ended",
                ) from fault
            begin = plan.since(group, contract)
            bars = (plan.end - begin) // plan.step
            why = f"not fetched: {fault.message}"
            job.summary.missing.append(Missing(contract.name, group.columns, bars, begin, plan.end - plan.step, why))
