"""Which of its optional neighbours a monitor has: a base to follow, a place for kills, a journal's notices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.kb.kill_file import NAME, KillFile
from midas_engine.monitor.kill.records import KillRecords

if TYPE_CHECKING:
    from midas_engine.kb import KnowledgeBase
    from midas_engine.monitor.protocols import DocumentStore, StateStore


def base_of(kb: DocumentStore | None) -> KnowledgeBase | None:
    """The knowledge base, where the monitor's documents go to one."""
    if kb is None or getattr(kb, "kill_file", None) is None:
        return None
    base: KnowledgeBase = kb  # type: ignore[assignment]
    return base


def records_of(journal: StateStore | None, base: KnowledgeBase | None) -> KillRecords:
    """Where kills are kept: the journal, and the file in the base or beside the journal."""
    if base is not None:
        return KillRecords(journal, base.kill_file, base.features)
    path = getattr(journal, "path", None)
    return KillRecords(journal, KillFile(path.with_name(NAME)) if isinstance(path, Path) else None)


def fresh_notices(journal: StateStore | None) -> list[str]:
    """What the journal has to say of its own damage and nobody has shouted yet."""
    ask = getattr(journal, "fresh_notices", None)
    found: list[str] = [] if ask is None else ask()
    return found
