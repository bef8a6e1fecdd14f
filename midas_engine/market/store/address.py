"""What a user writes to name a part of the store: `store:NAME[:SYMBOLS][@BAR]`, as `live:NAME[:SYMBOLS][@BAR]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from midas_engine.errors import DataFormatError

FORM = "store:NAME[:SYMBOL,SYMBOL...][@BAR]"
_VENUE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_BAR = re.compile(r"([1-9][0-9]{0,3})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A part of the store.

    Attributes:
        venue: Whose bars.
        symbols: Which symbols, in this order; empty: all.
        bar_seconds: Length of a bar; None: the one that is there.
    """

    venue: str
    symbols: tuple[str, ...] = ()
    bar_seconds: int | None = None


def is_store(source: str) -> bool:
    """Whether `source` names a part of the store.

    Example:
        >>> is_store("store:binance@1h"), is_store("sample")
        (True, False)
    """
    return source.startswith("store:")


def store_address(source: str) -> StoreAddress:
    """Read `store:NAME[:SYMBOLS][@BAR]`. A comma inside a symbol is written %2C, a per cent sign %25.

    Raises:
        DataFormatError: The text is not of that form.

    Example:
        >>> store_address("store:binance:BTC/USDT:USDT,ETHUSDT@1h")
        StoreAddress(venue='binance', symbols=('BTC/USDT:USDT', 'ETHUSDT'), bar_seconds=3600)
    """
    kind, _, rest = source.partition(":")
    if kind != "store" or not rest:
        raise DataFormatError(f"{source!r} names no part of the store", hint=f"write {FORM}")
    body, at, bar = rest.rpartition("@")
    seconds = None
    if at and (":" not in body or _BAR.fullmatch(bar.strip())):
        seconds = bar_length(bar.strip())
        rest = body
    name, colon, names = rest.partition(":")
    symbols = tuple(unquote(text.strip(), errors="strict") for text in names.split(",") if text.strip())
    if colon and not symbols:
        raise DataFormatError(f"{source!r} names no symbol after the colon", hint=f"write {FORM}")
    if len(set(symbols)) < len(symbols):
        raise DataFormatError(f"{source!r} names a symbol twice", hint="name each symbol once")
    return StoreAddress(venue_name(name), symbols, seconds)


def venue_name(name: str) -> str:
    """A venue's name as the store writes it; it becomes a folder, so it is letters, digits, - and _ only.

    Raises:
        DataFormatError: It is none.

    Example:
        >>> venue_name(" Binance ")
        'binance'
    """
    written = name.strip().lower()
    if _VENUE.fullmatch(written) is None:
        raise DataFormatError(
            f"{name[:60]!r} cannot name a venue of the store",
            hint="up to 64 letters, digits, - and _, such as binance or my-dumps",
        )
    return written


def bar_length(text: str) -> int:
    """A bar's length in seconds.

    Raises:
        DataFormatError: The text is no length.

    Example:
        >>> bar_length("4h"), bar_length("90s")
        (14400, 90)
    """
    found = _BAR.fullmatch(text)
    if found is None:
        raise DataFormatError(f"{text[:40]!r} is no bar length", hint="such as 1m, 15m, 1h, 4h, 1d")
    return int(found[1]) * _SECONDS[found[2]]


def bar_name(seconds: int) -> str:
    """A bar length as it is written, in the longest unit that fits.

    Example:
        >>> bar_name(3600), bar_name(90), bar_name(86_400)
        ('1h', '90s', '1d')
    """
    unit = next(u for u in ("d", "h", "m", "s") if seconds % _SECONDS[u] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"
