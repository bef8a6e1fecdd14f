"""The market store: Parquet by venue, bar length and month, one manifest, and a decoded cache beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.market.provenance import Provenance
    from midas_engine.market.store.address import StoreAddress, is_store, store_address
    from midas_engine.market.store.market_store import MarketStore
    from midas_engine.market.store.report import AppendReport, Finding, Tidied

__all__ = [
    "AppendReport",
    "Finding",
    "MarketStore",
    "Provenance",
    "StoreAddress",
    "Tidied",
    "is_store",
    "store_address",
]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "AppendReport": ".report",
        "Finding": ".report",
        "MarketStore": ".market_store",
        "Provenance": "midas_engine.market.provenance",
        "StoreAddress": ".address",
        "Tidied": ".report",
        "is_store": ".address",
        "store_address": ".address",
    },
)
