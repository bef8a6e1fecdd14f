"""What members that were promoted for the book are worth beside the partners that are left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.book.rows import span
from midas_engine.models import FeatureState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.book.figures import Member
    from midas_engine.kb import KnowledgeBase


def for_the_book(kb: KnowledgeBase) -> tuple[str, ...]:
    """Names of the deployed features that were promoted for the book."""
    return tuple(r.name for r in kb.features(FeatureState.DEPLOYED) if r.role == "book")


def partner_words(members: Sequence[Member]) -> tuple[str, ...]:
    """One line for each member that was promoted for the book and no longer adds to it beyond doubt."""
    others = len(members) - 1
    beside = f"beside {others} other member{'s' if others != 1 else ''}" if others else "alone"
    return tuple(
        f"{m.name} was promoted for the book; {beside} its marginal net is {span(m.marginal)} bps/yr, "
        "not above zero beyond doubt: demote it, or find it partners"
        for m in members
        if m.role == "book" and not m.marginal.low > 0.0
    )
