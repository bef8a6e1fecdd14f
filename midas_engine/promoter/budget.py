"""What a promotion does to the lifetime's budget of false discoveries, in words."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from midas_engine.errors import MidasError

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.models import FeatureRecord


def budget_words(journal: Path, record: FeatureRecord) -> str:
    """What the feature's sealed look cost, what is left, and that the promotion itself opens nothing.

    Args:
        journal: The base's journal, whose ledger keeps every look.
        record: The feature.
    """
    from midas_engine.evaluator.trials.ledger import TrialLedger
    from midas_engine.evaluator.trials.statement import Statement

    level, number = record.metrics.get("sealed_level"), record.metrics.get("sealed_look")
    if isinstance(level, int | float) and isinstance(number, int | float):
        own = f"its sealed look, number {number:.0f} of the lifetime, was charged {level:.2g}"
    else:
        own = "no sealed look was made of it"
    if not os.path.lexists(journal):
        return f"{own}; nothing was tried in this base yet"
    try:
        with TrialLedger(journal, read_only=True) as ledger:
            found = Statement.of(ledger)
    except MidasError as error:
        return f"{own}; the ledger cannot be read: {error.message}"
    left = (
        f"{len(found.looks)} looks at an error of {found.alpha:.0%} in all, the next must reach p {found.next_line:.2g}"
    )
    return f"{own}; a promotion opens nothing and spends nothing more ({left})"
