"""Documents of the knowledge base, for readers that must not touch its files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.kb import DocumentInfo
    from midas_engine.memory.links import Link
    from midas_engine.memory.search import Found
    from midas_engine.runtime.open_base import OpenBase

MOST_FOUND = 50


class Documents:
    """Reads documents, off the event loop.

    Args:
        base: The open base.
    """

    def __init__(self, base: OpenBase) -> None:
        self._base = base

    async def list(self) -> Sequence[DocumentInfo]:
        """Every document, by path."""
        kb = self._base.kb
        if not kb.path.is_dir():
            return []
        found = await asyncio.to_thread(kb.documents)
        return sorted(found, key=lambda d: (d.path.rpartition("/")[0], d.path))

    async def read(self, path: str) -> str:
        """Text of a document."""
        return await asyncio.to_thread(self._base.kb.read_text, path)

    async def related(self, path: str) -> Sequence[str]:
        """Paths of learnings that speak to the same thing."""
        return await asyncio.to_thread(self._related, path)

    def _related(self, path: str) -> Sequence[str]:
        kb = self._base.kb
        title = next((d.title for d in kb.documents() if d.path == path), path)
        return [d.path for d in kb.related_learnings(title, 6) if d.path != path]

    async def links(self, subject: str) -> Sequence[Link]:
        """What belongs to a document's path, `feature:NAME` or `session:ID`, both ways."""
        from midas_engine.memory.links import linked

        kb = self._base.kb
        return await asyncio.to_thread(linked, kb, subject) if kb.path.is_dir() else []

    async def search(self, text: str) -> Sequence[Found]:
        """Learnings, features and tried forms that speak of `text`, best first, as `midas kb search` ranks them."""
        return await asyncio.to_thread(self._search, text)

    def _search(self, text: str) -> Sequence[Found]:
        from midas_engine.memory.reading import read_trials
        from midas_engine.memory.search import everything, search

        kb = self._base.kb
        if not kb.path.is_dir():
            return []
        return search(everything(kb.learnings(), kb.features(), read_trials(kb)), text, MOST_FOUND)

    async def memory(self) -> str:
        """What tries taught, as a page."""
        return await asyncio.to_thread(self._memory)

    def _memory(self) -> str:
        from midas_engine.memory.evidence import read_evidence
        from midas_engine.memory.page import memory_page
        from midas_engine.memory.reading import read_trials

        kb = self._base.kb
        if not kb.path.is_dir():
            return memory_page([], [], [])
        return memory_page(read_trials(kb), kb.learnings(), read_evidence(kb))

    async def revoke(self, path: str, reason: str) -> str:
        """Set a learning aside, so that no later prompt quotes it; says where it lies now."""
        self._base.refuse_changes()
        where = await asyncio.to_thread(self._base.workspace.commands.revoke_learning, path, reason)
        return f"set aside: it lies in {where} now, and no prompt quotes it"

    def file(self, path: str) -> str:
        """Absolute path of a document, for an editor."""
        kb = self._base.kb
        return str(kb.path / kb.relative(path))
