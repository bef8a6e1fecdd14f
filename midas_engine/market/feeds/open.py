"""From the text a user writes to a source: `live:binance`, `live:bybit:BTCUSDT,ETHUSDT@5m`, `follow:PATH`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from midas_engine.errors import FeedError

if TYPE_CHECKING:
    from midas_engine.market.feeds.base import BarSource

FORMS = (
    "live:EXCHANGE[:SYMBOL,SYMBOL...][@BARSIZE], follow:PATH or follow:store:NAME[:SYMBOLS][@BAR], each with "
    "@grace=TIME at its end (90s, 5m, 1h)"
)
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_MOST_GRACE = 86_400.0
_GRACE = re.compile(r"^(?P<rest>.*)@grace=(?P<time>[^@/]*)$", re.DOTALL)
_TIME = re.compile(r"^(\d{1,6}(?:\.\d{1,3})?)([smh]?)$")


def is_live(source: str) -> bool:
    """Whether `source` names something that goes on, rather than a recording.

    Example:
        >>> is_live("live:binance"), is_live("sample")
        (True, False)
    """
    return source.startswith(("live:", "follow:"))


def as_feed(source: str) -> str:
    """`source` as a feed: a part of the market store, which others add to, is followed.

    Example:
        >>> as_feed("store:binance@1h"), as_feed("live:okx")
        ('follow:store:binance@1h', 'live:okx')
    """
    return f"follow:{source}" if source.startswith("store:") else source


def open_source(source: str, base_url: str = "", store: str = "") -> BarSource:
    """The source that `source` names.

    Args:
        source: ``live:EXCHANGE``, with symbols after a second colon and a bar size after ``@``
            (``live:binance:BTCUSDT,ETHUSDT@1h``); or ``follow:PATH``, a panel file that keeps growing. With
            ``@grace=90s`` at the end a bar that some symbols still lack is waited for that long before it is final.
        base_url: Another host for all addresses of the exchange; empty takes its own.
        store: Folder of the market store, for ``follow:store:NAME``.

    Raises:
        FeedError: The text is not of that form, or names something unknown.
    """
    whole = source
    source, grace = split_grace(source)
    kind, _, rest = source.partition(":")
    if kind == "follow" and rest.startswith("store:"):
        from midas_engine.market.feeds.store import StoreSource

        return StoreSource(rest, store, grace_seconds=grace)
    if kind == "follow" and rest:
        from midas_engine.market.feeds.file import FileSource

        return FileSource(rest, grace_seconds=grace)
    if kind == "live" and rest:
        from midas_engine.market.feeds.exchange import ExchangeSource

        names, _, timeframe = rest.partition("@")
        exchange, _, symbols = names.partition(":")
        wanted = tuple(s.strip().upper() for s in symbols.split(",") if s.strip())
        if exchange:
            return ExchangeSource(
                exchange.strip().lower(), wanted, timeframe=timeframe or "1h", base_url=base_url, grace_seconds=grace
            )
    raise FeedError(f"{whole!r} names no feed", hint=f"write {FORMS}")


def split_grace(source: str) -> tuple[str, float | None]:
    """`source` without its ``@grace=TIME``, and that time in seconds; None where it has none.

    Raises:
        FeedError: The time cannot be read, or is longer than a day.

    Example:
        >>> split_grace("follow:./market@grace=5m")
        ('follow:./market', 300.0)
    """
    found = _GRACE.match(source)
    if found is None:
        return source, None
    time = _TIME.match(found["time"].strip())
    seconds = float(time[1]) * _UNITS[time[2]] if time else -1.0
    if not 0.0 <= seconds <= _MOST_GRACE:
        raise FeedError(f"{source!r}: no grace {found['time']!r}", hint="write e.g. @grace=90s, 5m or 1h; at most 24h")
    return found["rest"], seconds
