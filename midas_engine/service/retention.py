"""What is old goes: recorded runs, and the journal's events and model calls. What was decided stays."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from midas_engine.journal import Journal
    from midas_engine.service.runs import Runs

# The actions are the record; what shadows did is evidence. Both stay.
TABLES = ("events", "model_calls")


def believed(now: datetime, newest: datetime | None) -> datetime:
    """The present for judging ages: a clock that is years ahead must not let everything go in one night.

    Args:
        now: The clock's.
        newest: When the newest bar closed; None: nothing is known but the clock.
    """
    return now if newest is None else min(now, newest + timedelta(days=1))


def let_go(runs: Runs, journal: Journal | None, now: datetime, days: float, *, keep: str = "") -> dict[str, int]:
    """Remove what is older than so many days. Blocks; call it in a thread.

    Args:
        runs: The recorded runs.
        journal: Where the rest is; None: there is none.
        now: The end of those days.
        days: How many.
        keep: A run that stays whatever its age.

    Returns:
        How many runs went, and rows by table.

    Raises:
        JournalError: The journal cannot be written.
    """
    gone = {"runs": runs.drop_before(now - timedelta(days=days), keep=keep)}
    if journal is not None:
        gone |= journal.prune(dict.fromkeys(TABLES, float(days)), now=now)
    return gone
