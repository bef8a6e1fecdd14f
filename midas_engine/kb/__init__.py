"""The knowledge base: typed documents in an atomic store. The only code that touches its files."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.kb.atomic import atomic_write
    from midas_engine.kb.catalogue import DocumentInfo
    from midas_engine.kb.check import Problem
    from midas_engine.kb.names import check_name, slugify, split_version, version_name
    from midas_engine.kb.search import Hit
    from midas_engine.kb.store import KnowledgeBase

_HOMES = {
    "DocumentInfo": "catalogue",
    "Hit": "search",
    "KnowledgeBase": "store",
    "Problem": "check",
    "atomic_write": "atomic",
    "check_name": "names",
    "slugify": "names",
    "split_version": "names",
    "version_name": "names",
}

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
