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
        "eventtime",
    ),
    "symbol": ("symbol", "instid", "instrument", "instrumentid", "pair", "ticker", "market", "contract"),
    "coin": ("coin", "asset", "basecoin"),
    "venue": ("venue", "exchange"),
    "interval": ("interval", "timeframe", "barsize"),
    "open": ("open", "openprice", "o"),
    "high": ("high", "highprice", "h"),
    "low": ("low", "lowprice", "l"),
    "close": ("close", "closeprice", "c"),
    "volume": ("volume", "basevolume", "volumebase", "vol", "v"),
    "close_time": ("closetime", "endtime"),
    "quote_volume": (
        "quotevolume",
        "quoteassetvolume",
        "quotevol",
        "volumequote",
        "volumeusdt",
        "turnover",
        "volccyquote",
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
# Rows without a header, by their number of cells.
HEADLESS: Mapping[int, tuple[str, ...]] = {
    12: KLINE,
    11: KLINE[:11],
    6: KLINE[:6],  # ccxt and freqtrade
    7: (*KLINE[:6], "quote_volume"),  # Bybit
    9: (*KLINE[:6], "contracts", "quote_volume", "confirmed"),  # OKX: contracts, coins, quote, closed or not
    3: ("timestamp", "funding_interval_hours", "funding_rate"),
}
_BY_SPELLING = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings}
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,40}")


def canonical(columns: Iterable[object]) -> dict[object, str]:
    """The name in Midas of every column that is kept.

    A column nobody knows keeps its own name if that is a plain one; it may be a field of the user's.

    Example:
        >>> canonical(["Open Time", "C", "quoteAssetVolume", "my_signal", "Note!"])
        {'Open Time': 'timestamp', 'C': 'close', 'quoteAssetVolume': 'quote_volume', 'my_signal': 'my_signal'}
    """
    found: dict[str, tuple[int, object]] = {}
    for column in columns:
        spelled = re.sub(r"[^a-z0-9]", "", str(column).lower())
        name = _BY_SPELLING.get(spelled)
        if name is None:
            plain = str(column).strip().lower()
            if not _IDENTIFIER.fullmatch(plain) or plain in ("ignore", "unnamed"):
                continue
            name, order = plain, 0
        else:
            order = SPELLINGS[name].index(spelled)
        if name not in found or order < found[name][0]:
            found[name] = (order, column)
    # In the order of the file.
    chosen = {column: name for name, (_, column) in found.items()}
    return {column: chosen[column] for column in columns if column in chosen}
