"""What a file's name says: symbol, bar length, and what kind of rows it holds."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
DOLLARS = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USDE", "USD", "EUR", "TRY")
_QUOTES = "|".join((*DOLLARS, "BTC", "ETH"))
# Words of file names that are no coin.
_VENUES = "binance binanceus bybit okx okex kraken coinbase bitmex deribit bitget kucoin gateio gate huobi htx mexc"
_OTHERS = (
    "phemex hyperliquid dydx bitstamp bitfinex gemini cryptodatadownload tardis coinalyze coinglass ccxt freqtrade"
)
_MARKETS = "futures future swap swaps spot perp perps perpetual perpetuals linear inverse um cm usdm coinm"
_BARS = (
    "klines kline candles candle candlestick candlesticks ohlc ohlcv bars bar prices price closes close open high low"
)
_SAID = "volume volumes returns data dataset history historical hist export dump download market markets my all trades"
_KINDS = (
    "mark index premium premiumindex funding fundingrate fundingrates rate rates settlement settlements oi interest"
)
_REST = "openinterest metrics derivative ticker tiers leverage list pairs part first second half"
_WORDS = frozenset(" ".join((_VENUES, _OTHERS, _MARKETS, _BARS, _SAID, _KINDS, _REST)).split())
# `BTC_USDT_USDT-1h-futures`: base, quote and what it settles in, as ccxt and freqtrade write a pair into a file's name.
_PAIR = re.compile(rf"([^_/\s]{{1,30}})_({_QUOTES})(?:_({_QUOTES}|[^_\W]{{1,12}}))?(?=[-_.]|$)", re.IGNORECASE)
_CONTRACT = re.compile(
    rf"(?:^|[_.\- ])([A-Z0-9]{{1,20}}(?:-(?:{_QUOTES}))?-(?:SWAP|PERPETUAL|PERP(?:-INTX)?))(?=[_\-. ]|$)"
)
_AFTER = r"(?=[_\-. ]|\d{1,2}[smhdwHDW](?:[_\-. ]|$)|(?:1|5|15|30|60|240|1440)(?:[_\-. ]|$)|20\d\d-?\d\d|$)"
_SYMBOL = re.compile(
    rf"(?:^|[_\-. ])((?:P[FI]_)?[A-Z0-9]{{1,20}}?(?:{_QUOTES})(?:_PERP(?:\.[A-Z0-9])?|PERP|M)?){_AFTER}"
)
_PERP = re.compile(rf"(?:^|[_\-. ])([A-Z0-9]{{1,20}}?PERP){_AFTER}")
_DASHED = re.compile(rf"(?:^|[_. ])([A-Z0-9]{{1,20}})-({_QUOTES})(?=[_\-. ]|$)")
_INTERVAL = re.compile(r"(?:^|[_\-. ]|(?<=[A-Za-z]))(?:(\d{1,2})([smhdwHDW])|([SMHDW])(\d{1,2}))(?=[_\-. ]|$)")
_DATE = re.compile(r"(?<!\d)20\d\d([-_.]?\d\d){0,2}(?!\d)")
_COPY = re.compile(r"\s*(?:\(\d{1,3}\)|[-_ ]+copy(?:[ _]?\d{1,3})?)$", re.IGNORECASE)
_OTHER_PRICE = re.compile(
    r"(?:^|[_\-. ])(?:(mark)(?:[_\- ]?price)?|(index)[_\- ]?price|(premium)[_\- ]?index)"
    r"(?:[_\- ]?klines?)?(?=[_\-. ]|$)",
    re.IGNORECASE,
)
_RATES = re.compile(r"(?:^|[_\-. ])funding(?:[_\- ]?rates?)?(?:[_\- ]?history)?(?=[_\-. ]|$)", re.IGNORECASE)
_INTEREST = re.compile(r"(?:^|[_\-. ])(?:open[_\- ]?interest|oi)(?:[_\- ]?hist(?:ory)?)?(?=[_\-. ]|$)", re.IGNORECASE)
MAX_NAME = 255  # what file systems take; an archive's member may claim more, and the patterns are not linear
_FOLDER_KEY = re.compile(r"(?:symbol|pair|ticker|instrument|instid|market|contract|coin|asset)=(.+)", re.IGNORECASE)
_SUFFIX = re.compile(
    r"(?:\.(?:csv|tsv|txt|json|jsonl|ndjson|parquet|pq|feather|arrow|zip|gz|zst|bz2|xz))+$", re.IGNORECASE
)
# `BTCUSDT_260327`, `BTC-USDT-27MAR26`: the day on which a contract ends. It is another contract than the perpetual.
_DELIVERY = re.compile(
    r"[_\-](?:(?P<yy>\d{2})(?P<mm>\d{2})(?P<dd>\d{2})|(?P<d>\d{1,2})(?P<mon>[A-Z]{3})(?P<y>\d{2}))(?=[_\-. ]|$)",
    re.IGNORECASE,
)
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_FOLDERS_THAT_SPEAK = 4


@dataclass(frozen=True, slots=True)
class NameHints:
    """Hints of a file's name and of the folders around it; None where it says nothing.

    Attributes:
        symbol: The contract.
        bar_seconds: Length of a bar.
        price: "mark", "index" or "premium": whose klines these are.
        kind: "funding" or "open_interest".
        contract: What the symbol was read from, with what it settles in: two of them are two contracts, also where the
            symbol is the same.
    """

    symbol: str | None = None
    bar_seconds: int | None = None
    price: str | None = None
    kind: str | None = None
    contract: str = ""


def name_hints(path: str) -> NameHints:
    """Read a path with forward slashes.

    Example:
        >>> hints = name_hints("monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2025-01.zip")
        >>> hints.symbol, hints.bar_seconds, hints.price
        ('BTCUSDT', 3600, None)
        >>> name_hints("daily/markPriceKlines/ETHUSDT/4h/ETHUSDT-4h-2025-01-01.csv").price
        'mark'
        >>> name_hints("BTC_USD_BTC-8h-funding_rate.feather").symbol
        'BTCUSD'
    """
    pure = PurePosixPath(path)
    stem = _stem(pure.name)
    folders = tuple(folder[:MAX_NAME] for folder in pure.parts[:-1][-_FOLDERS_THAT_SPEAK:])
    symbol, contract = _symbol(stem)
    if symbol is None:
        symbol, contract = _of_folders(folders)
    interval = _INTERVAL.search(stem)
    price = _OTHER_PRICE.search(stem)
    kind = "funding" if _RATES.search(stem) else "open_interest" if _INTEREST.search(stem) else None
    for folder in folders:
        price = price or _OTHER_PRICE.fullmatch(folder)
    if kind is None and folders and price is None:
        kind = "funding" if _RATES.fullmatch(folders[-1]) else None
    seconds = None
    if interval:
        size, unit = (interval[1], interval[2]) if interval[1] else (interval[4], interval[3])
        seconds = int(size) * SECONDS[unit.lower()] or None
    return NameHints(
        symbol, seconds, next(word for word in price.groups() if word).lower() if price else None, kind, contract
    )


def _stem(name: str) -> str:
    name = unicodedata.normalize("NFC", name[:MAX_NAME])
    return _COPY.sub("", _SUFFIX.sub("", name)) or name


def _symbol(stem: str) -> tuple[str | None, str]:
    """Symbol and contract that a name without its suffix says; one rule for candles, funding and marks."""
    pair = _PAIR.search(stem)
    while pair and pair[1].lower() in _WORDS:  # `kline_ETH_USDT`: the pair begins behind the word
        pair = _PAIR.search(stem, pair.end(1) + 1)
    if pair:
        quote = pair[2].upper()
        symbol = (pair[1] if _mixed(pair[1]) else pair[1].upper()) + quote
        settles = (pair[3] or "").upper()
        stands = settles in (*DOLLARS, pair[1].upper(), "BTC", "ETH")
        ends = _delivery(stem, pair.end())
        return symbol + ends, f"{symbol}{ends}:{settles if stands else ''}"
    for text in dict.fromkeys((stem, stem.upper())):
        for pattern in (_CONTRACT, _DASHED, _SYMBOL, _PERP):
            for found in pattern.finditer(text):
                symbol = "".join(g for g in found.groups() if g) + _delivery(text, found.end())
                if symbol.lower() not in _WORDS and (found[1].lower() not in _WORDS or pattern is not _DASHED):
                    return symbol, symbol
    return None, ""


def _delivery(stem: str, at: int) -> str:
    """`_260327` where a contract's last day stands behind its pair; empty where none does."""
    found = _DELIVERY.match(stem, at)
    if not found:
        return ""
    if found["mon"]:
        if found["mon"].upper() not in _MONTHS:
            return ""
        year, month, day = found["y"], _MONTHS.index(found["mon"].upper()) + 1, int(found["d"])
    else:
        year, month, day = found["yy"], int(found["mm"]), int(found["dd"])
        if year == "20" and month >= 9 and day <= 12:
            return ""  # 201106 is a month, as files of months are named
    return f"_{year}{month:02}{day:02}" if 1 <= month <= 12 and 1 <= day <= 31 else ""


def _mixed(text: str) -> bool:
    """Whether small letters stand among capitals for a reason: kPEPE is another contract than KPEPE."""
    return text != text.lower() and text != text.upper()


def _of_folders(folders: tuple[str, ...]) -> tuple[str | None, str]:
    for folder in reversed(folders):
        keyed = _FOLDER_KEY.fullmatch(folder)
        if keyed:
            return keyed[1], keyed[1]
    for folder in reversed(folders):
        symbol, contract = _symbol(folder)
        # A folder is a symbol only where that is all it says: `my-usdt-futures` is a place.
        if symbol is not None and _letters(symbol) == _letters(folder):
            return symbol, contract
    return None, ""


def _letters(text: str) -> str:
    return "".join(c for c in text.upper() if c.isalnum())


def guessed_symbol(path: str) -> str:
    """The symbol of rows whose name, folder and columns say none: the file's name without dates, lengths and kinds.

    Example:
        >>> guessed_symbol("BTC_1h.csv"), guessed_symbol("BTC-funding.csv"), guessed_symbol("part-0.parquet")
        ('BTC', 'BTC', 'PART_0')
    """
    stem = _stem(PurePosixPath(path).name)
    bare = _DATE.sub("", _INTERVAL.sub("", stem))
    words = [w for w in re.split(r"[\W_]+", bare) if w and (w.lower() not in _WORDS)]
    if not any(not w.isdigit() for w in words):
        words = [w for w in re.split(r"[\W_]+", stem) if w]
    return "_".join(words).upper()[:40] or "ASSET"


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
