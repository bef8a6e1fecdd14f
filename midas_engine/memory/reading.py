"""The trials of a base, read only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midas_engine.evaluator.trials.ledger import Trial
    from midas_engine.kb import KnowledgeBase


def read_trials(kb: KnowledgeBase) -> list[Trial]:
    """Every trial of the base's ledger, each verdict of one that was judged again; none without a journal. Blocking."""
    from midas_engine.evaluator.trials.ledger import TrialLedger

    if not kb.journal_path.is_file():
        return []
    with TrialLedger(kb.journal_path, read_only=True) as ledger:
        return ledger.history(again=True)
