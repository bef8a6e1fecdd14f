"""Venues: what each one can be asked for, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.market.venues.base import Venue

if TYPE_CHECKING:
    from collections.abc import Mapping


def open_venue(name: str, *, base_url: str = "", urls: Mapping[str, str] | None = None) -> Venue:
    """The venue of that name: with code of its own where there is some, else what ccxt reads of it.

    Raises:
        FeedError: ccxt is not installed, or knows no such exchange.
    """
    from midas_engine.market.venues.binance import Binance
    from midas_engine.market.venues.bybit import Bybit
    from midas_engine.market.venues.hyperliquid import Hyperliquid
    from midas_engine.market.venues.okx import Okx

    own: dict[str, type[Venue]] = {
        "binance": Binance,
        "binanceusdm": Binance,
        "binancecoinm": Binance,
        "bybit": Bybit,
        "okx": Okx,
        "hyperliquid": Hyperliquid,
    }
    return own.get(name, Venue)(name, base_url=base_url, urls=urls)


__all__ = ["Venue", "open_venue"]
