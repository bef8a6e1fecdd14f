"""Documents of the knowledge base, for readers that must not touch its files."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.kb import DocumentInfo, KnowledgeBase


@dataclass(frozen=True, slots=True)
class ChartData:
    """Recent bars of one feature: a series of floats per figure, oldest first, NaN where unknown."""

    series: Mapping[str, Sequence[float]]


class Documents:
    """The part of the runtime that reads documents."""

    @property
    def kb(self) -> KnowledgeBase:
        """Given by the runtime."""
        raise AttributeError("kb")

    async def documents(self) -> Sequence[DocumentInfo]:
        """Every document, by path."""
        if not self.kb.path.is_dir():
            return []
        found = await asyncio.to_thread(self.kb.documents)
        return sorted(found, key=lambda d: (d.path.rpartition("/")[0], d.path))

    async def read_document(self, path: str) -> str:
        """Text of a document."""
        return await asyncio.to_thread(self.kb.read_text, path)

    async def related(self, path: str) -> Sequence[str]:
        """Paths of learnings that speak to the same thing."""

        def look() -> list[str]:
            title = next((d.title for d in self.kb.documents() if d.path == path), path)
            return [d.path for d in self.kb.related_learnings(title, 6) if d.path != path]

        return await asyncio.to_thread(look)

    def document_file(self, path: str) -> str:
        """Absolute path of a document, for an editor."""
        return str(self.kb.path / self.kb.relative(path))
