"""The journal: what happened, in one SQLite file beside the knowledge base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.journal.journal import Action, Journal
    from midas_engine.journal.recorder import AsyncJournal, EventRecorder
    from midas_engine.journal.schema import Row


__all__ = ["Action", "AsyncJournal", "EventRecorder", "Journal", "Row"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "Action": ".journal",
        "AsyncJournal": ".recorder",
        "EventRecorder": ".recorder",
        "Journal": ".journal",
        "Row": ".schema",
    },
)
