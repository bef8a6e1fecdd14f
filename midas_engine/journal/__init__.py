"""The journal: what happened, in one SQLite file beside the knowledge base."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.journal.journal import Action, Journal, PendingKill
    from midas_engine.journal.recorder import AsyncJournal, EventRecorder
    from midas_engine.journal.schema import Row

_HOMES = {
    "Action": "journal",
    "AsyncJournal": "recorder",
    "EventRecorder": "recorder",
    "Journal": "journal",
    "PendingKill": "journal",
    "Row": "schema",
}

__all__ = ["Action", "AsyncJournal", "EventRecorder", "Journal", "PendingKill", "Row"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
