"""Which of its optional neighbours a monitor has: a base to follow, a place for kills, a journal's notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.kb.kill_file import NAME, KillFile
from midas_engine.monitor.kill.records import KillRecords
from midas_engine.monitor.protocols import JournalledRetirer, KeptJournal

if TYPE_CHECKING:
    from midas_engine.journal import Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.kb.locks import Claim
    from midas_engine.monitor.protocols import DocumentStore, Retirer, StateStore


def base_of(kb: DocumentStore | None) -> KnowledgeBase | None:
    """The knowledge base, where the monitor's documents go to one."""
    if kb is None:
        return None
    from midas_engine.kb import KnowledgeBase

    return kb if isinstance(kb, KnowledgeBase) else None


def journal_of(promoter: Retirer | None) -> Journal | None:
    """The journal of the pipeline's moves, where there is one."""
    return promoter.journal if isinstance(promoter, JournalledRetirer) else None


def records_of(journal: StateStore | None, base: KnowledgeBase | None) -> KillRecords:
    """Where kills are kept: the journal, and the file in the base or beside the journal."""
    if base is not None:
        return KillRecords(journal, base.kill_file, base.features)
    return KillRecords(journal, KillFile(journal.path.with_name(NAME)) if isinstance(journal, KeptJournal) else None)


def fresh_notices(journal: StateStore | None) -> list[str]:
    """What the journal has to say of its own damage and nobody has shouted yet."""
    return journal.fresh_notices() if isinstance(journal, KeptJournal) else []


class Role:
    """That of the one who watches a base: only one process may have it.

    Args:
        base: The base; None: there is nothing to claim.
    """

    def __init__(self, base: KnowledgeBase | None) -> None:
        self._base = base
        self._claim: Claim | None = None

    def take(self) -> None:
        """Take it; LockTimeoutError when another has it. Blocks."""
        if self._base is not None and self._claim is None:
            self._claim = self._base.claim("monitor")

    def release(self) -> None:
        """Let another have it."""
        if self._claim is not None:
            self._claim.release()
            self._claim = None
