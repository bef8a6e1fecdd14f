"""What a live watch is given: where it keeps what it sees, and what is done around every bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from midas_engine.journal import Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market.panel import Panel
    from midas_engine.promoter import FeaturePromoter


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where a live watch keeps what it sees; without any of it, in memory.

    Attributes:
        kb: For learnings and reports.
        journal: For the monitor's state.
        promoter: Archives what is killed.
    """

    kb: KnowledgeBase | None = None
    journal: Journal | None = None
    promoter: FeaturePromoter | None = None


NOTHING_KEPT = Keeping()


@dataclass(frozen=True, slots=True)
class AroundBars:
    """What is done around every bar.

    Attributes:
        before: Awaited before it: whoever follows the base brings the book up to it with `rebook`. (Kills are followed
            by the monitor itself, between bars too.)
        after: Called with the market, history and all.
    """

    before: Callable[[], Awaitable[None]] | None = None
    after: Callable[[Panel], None] | None = None


NOTHING_AROUND = AroundBars()
