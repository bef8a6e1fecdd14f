"""From the text a user writes to a source: `live:binance`, `live:bybit:BTCUSDT,ETHUSDT@5m`, `follow:PATH`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.errors import FeedError

if TYPE_CHECKING:
    from midas_engine.market.feeds.base import BarSource

FORMS = "live:EXCHANGE[:SYMBOL,SYMBOL...][@BARSIZE] or follow:PATH"


def is_live(source: str) -> bool:
    """Whether `source` names something that goes on, rather than a recording.

    Example:
        >>> is_live("live:binance"), is_live("sample")
        (True, False)
    """
    return source.startswith(("live:", "follow:"))


def open_source(source: str) -> BarSource:
    """The source that `source` names.

    Args:
        source: ``live:EXCHANGE``, with symbols after a second colon and a bar size after ``@``
            (``live:binance:BTCUSDT,ETHUSDT@1h``); or ``follow:PATH``, a panel file that keeps growing.

    Raises:
        FeedError: The text is not of that form, or names something unknown.
    """
    kind, _, rest = source.partition(":")
    if kind == "follow" and rest:
        from midas_engine.market.feeds.file import FileSource

        return FileSource(rest)
    if kind == "live" and rest:
        from midas_engine.market.feeds.exchange import ExchangeSource

        names, _, timeframe = rest.partition("@")
        exchange, _, symbols = names.partition(":")
        wanted = tuple(s.strip().upper() for s in symbols.split(",") if s.strip())
        if exchange:
            return ExchangeSource(exchange.strip().lower(), wanted, timeframe=timeframe or "1h")
    raise FeedError(f"{source!r} names no feed", hint=f"write {FORMS}")
