"""Which columns the live bars of a venue have: what a feature may use that is to live there."""

from __future__ import annotations

from midas_engine.market.venues.base import COLUMNS, FUNDING_COLUMNS, PRICES

_ALWAYS = (*PRICES, "volume", "returns")
_FLOW = ("quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume")
_BINANCE_PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "1d")
_BYBIT_PERIODS = ("5m", "15m", "30m", "1h", "4h", "1d")
# Column -> the bar sizes it is given at; empty: all. What is not here has prices, volume and funding.
LIVE: dict[str, dict[str, tuple[str, ...]]] = {
    "binance": {
        **dict.fromkeys((*_FLOW, "mark_close"), ()),
        **dict.fromkeys(("open_interest", "open_interest_usd"), _BINANCE_PERIODS),
    },
    "bybit": {"quote_volume": (), "mark_close": (), "open_interest": _BYBIT_PERIODS},
    "okx": {
        "quote_volume": (),
        "mark_close": (),
        **dict.fromkeys(("open_interest", "open_interest_usd", "taker_buy_volume"), _BINANCE_PERIODS),
    },
    "hyperliquid": {"trades": ()},
}


def venue_columns(venue: str, bar: str) -> tuple[str, ...]:
    """Every column that live bars of a venue have, those that are derived included.

    Example:
        >>> "vwap" in venue_columns("bybit", "1h"), "trades" in venue_columns("bybit", "1h")
        (True, False)
    """
    own = [c for c, lengths in LIVE.get(venue, {}).items() if not lengths or bar in lengths]
    found = {*_ALWAYS, *FUNDING_COLUMNS, *own, *(["vwap"] if "quote_volume" in own else [])}
    return tuple(c for c in (*COLUMNS, "vwap", "returns") if c in found)
