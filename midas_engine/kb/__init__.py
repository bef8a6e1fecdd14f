"""The knowledge base: typed documents in an atomic store. The only code that touches its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.kb.atomic import atomic_write
    from midas_engine.kb.catalogue import DocumentInfo
    from midas_engine.kb.names import check_name, slugify, split_version, version_name
    from midas_engine.kb.problem import Problem
    from midas_engine.kb.search import Hit
    from midas_engine.kb.store import KnowledgeBase


__all__ = [
    "DocumentInfo",
    "Hit",
    "KnowledgeBase",
    "Problem",
    "atomic_write",
    "check_name",
    "slugify",
    "split_version",
    "version_name",
]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "DocumentInfo": ".catalogue",
        "Hit": ".search",
        "KnowledgeBase": ".store",
        "Problem": ".problem",
        "atomic_write": ".atomic",
        "check_name": ".names",
        "slugify": ".names",
        "split_version": ".names",
        "version_name": ".names",
    },
)
