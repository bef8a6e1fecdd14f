"""Documents of the knowledge base, for readers that must not touch its files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.kb import DocumentInfo
    from midas_engine.runtime.open_base import OpenBase


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

    def file(self, path: str) -> str:
        """Absolute path of a document, for an editor."""
        kb = self._base.kb
        return str(kb.path / kb.relative(path))
