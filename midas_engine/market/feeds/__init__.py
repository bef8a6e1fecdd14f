"""Feeds: where closed bars come from while they happen."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.market.feeds.base import BarSource, ClosedBar
    from midas_engine.market.feeds.exchange import ExchangeSource
    from midas_engine.market.feeds.file import FileSource
    from midas_engine.market.feeds.open import is_live, open_source
    from midas_engine.market.feeds.polling import PollingFeed

__all__ = ["BarSource", "ClosedBar", "ExchangeSource", "FileSource", "PollingFeed", "is_live", "open_source"]

_HOMES = {
    "BarSource": "base",
    "ClosedBar": "base",
    "ExchangeSource": "exchange",
    "FileSource": "file",
    "PollingFeed": "polling",
    "is_live": "open",
    "open_source": "open",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
