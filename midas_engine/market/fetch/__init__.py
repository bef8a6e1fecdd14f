"""Fetching a venue's history: plan, ask, look, keep; resumable at any point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.market.fetch.folder_sink import FolderSink
    from midas_engine.market.fetch.plan import Order, Plan
    from midas_engine.market.fetch.run import Fetch
    from midas_engine.market.fetch.sink import Sink
    from midas_engine.market.fetch.store_sink import StoreSink
    from midas_engine.market.fetch.summary import Missing, Summary
    from midas_engine.market.venues import Venue, open_venue

__all__ = ["Fetch", "FolderSink", "Missing", "Order", "Plan", "Sink", "StoreSink", "Summary", "Venue", "open_venue"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "Fetch": ".run",
        "FolderSink": ".folder_sink",
        "Missing": ".summary",
        "Order": ".plan",
        "Plan": ".plan",
        "Sink": ".sink",
        "StoreSink": ".store_sink",
        "Summary": ".summary",
        "Venue": "midas_engine.market.venues",
        "open_venue": "midas_engine.market.venues",
    },
)
