"""`FetchJob`: what every group of columns of every contract is fetched with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.market.fetch.asker import Asker
    from midas_engine.market.fetch.plan import Plan
    from midas_engine.market.fetch.sink import Sink
    from midas_engine.market.fetch.summary import Summary
    from midas_engine.market.venues import Venue


@dataclass(frozen=True, slots=True)
class FetchJob:
    """One order on its way.

    Attributes:
        plan: What is wanted.
        venue: Who is asked.
        asker: How.
        sink: Where it goes.
        summary: What is told of it; filled on the way.
        answered: Called after each answer with what was asked and the rows kept.
    """

    plan: Plan
    venue: Venue
    asker: Asker
    sink: Sink
    summary: Summary
    answered: Callable[[str, int], None]
