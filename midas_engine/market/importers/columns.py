"""Every name under which exchanges and collectors write a column, and the one name it has in Midas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Spellings are compared in lower case with everything but letters and digits removed. Where a file has two
# spellings of one column, the one that stands first here wins.
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "timestamp": (
        "timestamp",
        "opentime",
        "timestampms",
        "timestamputc",
        "datetimeutc",
        "timeutc",
        "dateutc",
        "unix",
        "unixtimestamp",
        "calctime",
        "fundingtime",
        "fundingratetimestamp",
        "createtime",
        "candlebegintime",
        "starttime",
        "start",
        "datetime",
        "date",
        "time",
        "ts",
        "t",
        "ticks",
        "eventtime",
    ),
    "symbol": (
        "symbol",
        "instid",
        "instrument",
        "instrumentid",
        "instrumentname",
        "contractname",
        "symbolname",
        "pair",
        "ticker",
        "market",
        "contract",
    ),
    "coin": ("coin", "asset", "basecoin"),
    "venue": ("venue", "exchange"),
    "interval": ("interval", "timeframe", "barsize"),
    "open": ("open", "openprice", "o"),
    "high": ("high", "highprice", "h"),
    "low": ("low", "lowprice", "l"),
    "close": ("close", "closeprice", "c"),
    "volume": ("volume", "basevolume", "volumebase", "vol", "v"),
    # The same in coins, where `volume` counts contracts.
    "coin_volume": ("volccy", "homenotional", "coinvolume"),
    "close_time": ("closetime", "endtime"),
    "quote_volume": (
        "quotevolume",
        "quoteassetvolume",
        "quotevol",
        "volumequote",
        "volquote",
        "volumeusdt",
        "volccyquote",
        "foreignnotional",
        "turnover",
    ),
    "trades": ("trades", "count", "numberoftrades", "numtrades", "tradescount", "tradecount", "ntrades"),
    "taker_buy_volume": (
        "takerbuyvolume",
        "takerbuybasevolume",
        "takerbuybaseassetvolume",
        "takerbuybase",
        "takerbasevolume",
        "takerbuybasevol",
    ),
    "taker_buy_quote_volume": (
        "takerbuyquotevolume",
        "takerbuyquoteassetvolume",
        "takerbuyquote",
        "takerquotevolume",
        "takerbuyquotevol",
    ),
    "confirmed": ("confirmed", "confirm", "isclosed", "isfinal"),
    # The settlement that a CURRENT rate is for.
    "settles_at": ("fundingtimestamp", "nextfundingtime", "nextfundingtimestamp", "nextsettlementtime"),
    "funding_rate": ("fundingrate", "lastfundingrate", "realizedrate"),
    "funding_interval_hours": ("fundingintervalhours", "hourssinceprev"),
    "open_interest": ("openinterest", "sumopeninterest", "oi"),
    "open_interest_usd": (
        "openinterestusd",
        "openinterestusdt",
        "sumopeninterestvalue",
        "openinterestvalue",
        "oiusd",
    ),
    "mark_close": ("markclose", "markprice", "markpx"),
    "toptrader_account_ratio": ("counttoptraderlongshortratio",),
    "toptrader_position_ratio": ("sumtoptraderlongshortratio",),
    "account_ratio": ("countlongshortratio",),
    "taker_ratio": ("sumtakerlongshortvolratio", "buysellratio"),
    "bid_volume": ("bidvolume", "bidqty"),
    "ask_volume": ("askvolume", "askqty"),
}
# The columns of a kline dump, in order; older dumps and the REST answer have no header.
KLINE = (
    "timestamp",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "trades",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
# Rows without a header, by their number of cells; of seven, the figures say what the last one is.
HEADLESS: Mapping[int, tuple[str, ...]] = {
    12: KLINE,
    11: KLINE[:11],
    6: KLINE[:6],  # ccxt and freqtrade
    7: (*KLINE[:6], "quote_volume"),  # Bybit
    9: (*KLINE[:6], "coin_volume", "quote_volume", "confirmed"),  # OKX: contracts, coins, quote, closed or not
    3: ("timestamp", "funding_interval_hours", "funding_rate"),
}
_BY_SPELLING = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings}
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,40}")
# Candles of streams and of several venues have keys of one letter, and two that differ in case are two columns.
_LETTERS: Mapping[str, str] = {
    "t": "timestamp",
    "T": "close_time",
    "s": "symbol",
    "i": "interval",
    "o": "open",
    "h": "high",
    "l": "low",
    "c": "close",
    "v": "volume",
    "n": "trades",
    "tx": "trades",
    "q": "quote_volume",
    "V": "taker_buy_volume",
    "bv": "taker_buy_volume",
    "Q": "taker_buy_quote_volume",
    "x": "confirmed",
}


def plain_name(text: object) -> str | None:
    """The text as a column's name in Midas; None where it is none."""
    spelled = spelling(text)
    plain = str(text).strip().lower()
    return _BY_SPELLING.get(spelled) or (plain if _IDENTIFIER.fullmatch(plain) else None)


def spelling(column: object) -> str:
    """A column's name as spellings are compared."""
    return re.sub(r"[^a-z0-9]", "", str(column).lower())


def canonical(columns: Iterable[object], said: Mapping[str, str] | None = None) -> dict[object, str]:
    """The name in Midas of every column that is kept.

    A column nobody knows keeps its own name if that is a plain one; it may be a field of the user's.

    Args:
        columns: As the file has them.
        said: What the caller calls some of them.

    Example:
        >>> canonical(["Open Time", "C", "quoteAssetVolume", "my_signal", "Note!"])
        {'Open Time': 'timestamp', 'C': 'close', 'quoteAssetVolume': 'quote_volume', 'my_signal': 'my_signal'}
        >>> canonical(["t", "T", "o", "c", "h", "l"])["T"]
        'close_time'
    """
    every = list(columns)
    letters = {"o", "h", "l", "c"} <= {str(c) for c in every}
    found: dict[str, tuple[int, object]] = {}
    for column in every:
        told = (said or {}).get(str(column))
        lettered = _LETTERS.get(str(column)) if letters else None
        spelled = spelling(column)
        name = told or lettered or (None if letters and len(str(column)) == 1 else _BY_SPELLING.get(spelled))
        if name is None:
            plain = str(column).strip().lower()
            if not _IDENTIFIER.fullmatch(plain) or plain in ("ignore", "unnamed") or (letters and len(plain) == 1):
                continue
            name, order = plain, 0
        else:
            order = -1 if told else 0 if lettered else SPELLINGS[name].index(spelled)
        if name not in found or order < found[name][0]:
            found[name] = (order, column)
    # In the order of the file.
    chosen = {column: name for name, (_, column) in found.items()}
    return {column: chosen[column] for column in every if column in chosen}
