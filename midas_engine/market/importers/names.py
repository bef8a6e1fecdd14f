"""What a file's name says: symbol, bar length, and whether its prices are marks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_QUOTES = "USDT|USDC|FDUSD|BUSD|TUSD|USD|EUR|TRY|BTC|ETH"
_SYMBOL = re.compile(rf"(?:^|[_\-.])([A-Z0-9]{{1,20}}?(?:{_QUOTES})(?:_PERP)?)(?=[_\-.]|$)")
# freqtrade writes BTC_USDT_USDT-1h-futures for the pair BTC/USDT:USDT.
_PAIR = re.compile(rf"^([A-Z0-9]{{1,20}})_({_QUOTES})(?:_\2)?-")
_DASHED = re.compile(r"(?:^|[_.])([A-Z0-9]{1,20}-(?:USDT|USDC|USD)-SWAP)(?=[_\-.]|$)")
_INTERVAL = re.compile(r"(?:^|[_\-.])(\d{1,2})([smhdw])(?=[_\-.]|$)")
_OTHER_PRICE = re.compile(
    r"(?:^|[_\-. ])(?:(mark)(?:[_\- ]?price)?|(index)[_\- ]?price|(premium)[_\- ]?index)"
    r"(?:[_\- ]?klines?)?(?=[_\-. ]|$)",
    re.IGNORECASE,
)
_FOLDERS_THAT_SPEAK = 4


@dataclass(frozen=True, slots=True)
class NameHints:
    """Hints of a file's name and of the folders around it; None where it says nothing."""

    symbol: str | None = None
    bar_seconds: int | None = None
    price: str | None = None


def name_hints(path: str) -> NameHints:
    """Read a path with forward slashes.

    Example:
        >>> name_hints("monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2025-01.zip")
        NameHints(symbol='BTCUSDT', bar_seconds=3600, price=None)
        >>> name_hints("daily/markPriceKlines/ETHUSDT/4h/ETHUSDT-4h-2025-01-01.csv").price
        'mark'
        >>> name_hints("BTC_USDT_USDT-1h-futures.feather").symbol
        'BTCUSDT'
    """
    pure = PurePosixPath(path)
    stem = pure.name.split(".")[0] if pure.name.count(".") == 1 else pure.name.removesuffix(pure.suffix)
    pair = _PAIR.match(stem)
    dashed = _DASHED.search(stem)
    plain = _SYMBOL.search(stem)
    symbol = (pair[1] + pair[2]) if pair else dashed[1] if dashed else plain[1] if plain else None
    interval = _INTERVAL.search(stem)
    price = _OTHER_PRICE.search(stem)
    for folder in pure.parts[:-1][-_FOLDERS_THAT_SPEAK:]:
        price = price or _OTHER_PRICE.fullmatch(folder)
    return NameHints(
        symbol,
        int(interval[1]) * SECONDS[interval[2]] if interval else None,
        next(word for word in price.groups() if word).lower() if price else None,
    )


def interval_seconds(text: object) -> int | None:
    """`"1h"`, `"15m"`, `"60"` (minutes, as Bybit writes) or `"D"` in seconds; None when it is neither.

    Example:
        >>> interval_seconds("4h"), interval_seconds("240"), interval_seconds("weekly")
        (14400, 14400, None)
    """
    written = str(text).strip()
    match = re.fullmatch(r"(\d{1,4})\s*([smhdwSMHDW]?)", written)
    if match is None:
        return {"D": 86_400, "W": 604_800}.get(written)
    # Upper-case M is a month at every exchange, and months have no one length.
    return None if match[2] == "M" else int(match[1]) * SECONDS[(match[2] or "m").lower()]
