"""The first half of a kill, which waits for nobody: it is checked without a lock and written to the kill file."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from midas_engine.errors import DocumentDamagedError, JournalError
from midas_engine.kb.names import check_name
from midas_engine.promoter.rules import check_reason, state_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.kb.kill_file import Kill
    from midas_engine.kb.store import KnowledgeBase
    from midas_engine.models import FeatureRecord

    LastKnown = Callable[[str], FeatureRecord | None]


def look(kb: KnowledgeBase, name: str, last_known: LastKnown) -> FeatureRecord:
    """The feature as it lies on disk, or, when its file cannot be read, as it was last known."""
    try:
        return kb.feature(name)
    except DocumentDamagedError:
        known = last_known(name)
        if known is None:
            raise
        return known


def check_kill(kb: KnowledgeBase, name: str, reason: str, last_known: LastKnown) -> tuple[FeatureRecord, str]:
    """Refuse what a kill would refuse; the feature, `killed` when it is by any record, and the reason as it is kept.

    Raises:
        TransitionError: There is no such feature, it is not live, or there is no reason.
    """
    record = look(kb, check_name(name), last_known)
    if record.killed or name in kb.kill_file.read().kills:
        return dataclasses.replace(record, killed=True), reason or record.reason
    state_after("kill", record)
    return record, check_reason("kill", reason, record)


def latch_beside(kb: KnowledgeBase, name: str, reason: str, *, actor: str, via: str) -> Kill | None:
    """Latch a kill on a base that was only opened for reading, because opening it for writing may have to wait.

    Returns:
        The kill; None when the feature was killed by its own file already.

    Raises:
        TransitionError: See `check_kill`.
        KnowledgeBaseError: The disk refused.
    """
    record, text = check_kill(kb, name, reason, lambda wanted: last_copy(kb, wanted))
    held = kb.kill_file.read().kills.get(name)
    if held is not None or record.killed:
        return held
    return kb.kill_file.latch(name, reason=text, actor=actor, at=kb.clock.now(), via=via)


def last_copy(kb: KnowledgeBase, name: str) -> FeatureRecord | None:
    """The feature as the journal last saw it written; None when it has no copy, or cannot be read."""
    from midas_engine.journal.journal import Journal
    from midas_engine.promoter.action_log import ActionLedger

    try:
        with Journal(kb.journal_path, clock=kb.clock, read_only=True) as journal:
            return ActionLedger(kb, journal).last_known(name)
    except JournalError:
        return None
