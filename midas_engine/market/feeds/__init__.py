"""Feeds: where closed bars come from while they happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.market.feeds.base import BarSource, ClosedBar
    from midas_engine.market.feeds.exchange import ExchangeSource
    from midas_engine.market.feeds.file import FileSource
    from midas_engine.market.feeds.open import is_live, open_source
    from midas_engine.market.feeds.polling import PollingFeed

__all__ = ["BarSource", "ClosedBar", "ExchangeSource", "FileSource", "PollingFeed", "is_live", "open_source"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "BarSource": ".base",
        "ClosedBar": ".base",
        "ExchangeSource": ".exchange",
        "FileSource": ".file",
        "PollingFeed": ".polling",
        "is_live": ".open",
        "open_source": ".open",
    },
)
