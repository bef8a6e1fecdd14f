"""What a bank's survivors would add to the book that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.book.candidate import candidate_worth, partners
from midas_engine.errors import MidasError
from midas_engine.models import NO_ESTIMATE, Estimate, FeatureRecord, FeatureState

if TYPE_CHECKING:
    from midas_engine.banks.result import BankResult
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.settings import Settings

MOST = 20
"""Survivors that are measured, best first: each is a walk of the whole book."""


def worth_to_book(result: BankResult, kb: KnowledgeBase, panel: Panel, settings: Settings) -> dict[str, Estimate]:
    """Marginal net of each survivor by name, bps of capital a year, on research, shrunk; empty beside no book. Heavy.

    Args:
        result: Of `judge_bank` on the same data.
        kb: Its deployed features are the book.
        panel: That data.
        settings: Costs, caps, how the data is split.
    """
    found: dict[str, Estimate] = {}
    for row in result.survivors[:MOST]:
        record = FeatureRecord(f"bank_{row.number}", row.expression, FeatureState.CANDIDATE)
        if not partners(kb, record):
            return {}
        try:
            found[row.name] = candidate_worth(kb, record, panel, settings)
        except MidasError:
            found[row.name] = NO_ESTIMATE  # unknown is said as such
    return found
