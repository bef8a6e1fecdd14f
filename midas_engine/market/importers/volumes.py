"""What a volume counts: coins, contracts or money, by the price that quote volume / volume must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.market.doctor.report import Defect, defect
from midas_engine.market.importers.columns import spelling
from midas_engine.market.importers.names import DOLLARS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

# A quotient of sums lies inside the bar; the sums are rounded.
SLACK = 2e-3
MOST = 0.9
# How far the quotient may miss the price in one bar and still miss it by one factor in all: a bar's own range.
_ONE_FACTOR = 0.05
_FEWEST = 3
# Names that say little; the figures say whether it is the money of the bar.
_PERHAPS_MONEY = ("cost", "amount", "value", "notional", "volumefrom", "volumeto")
CONTRACT_WORTHS = (1.0, 10.0, 100.0)


def is_quote_of(quote: Values, volume: Values, high: Values, low: Values) -> bool:
    """Whether the quotient of two columns is the price in nearly every bar."""
    with np.errstate(all="ignore"):
        vwap = quote / volume
    sound = np.isfinite(vwap) & (volume > 0) & (quote > 0) & (low > 0)
    inside = sound & (vwap <= high * (1 + SLACK)) & (vwap >= low * (1 - SLACK))
    return bool(sound.any() and inside.sum() >= MOST * sound.sum())


def settle_volumes(columns: dict[str, Any], source: str, found: list[Defect]) -> None:
    """Put coins into `volume` and money into `quote_volume`, in place, where the figures leave no doubt.

    What is mended is told; a volume in contracts of unknown size, beside a quote volume that shows it, is an error.
    """
    coins = columns.pop("coin_volume", None)
    close, volume = columns.get("close"), columns.get("volume")
    if close is None:
        return
    high, low = columns.get("high", close), columns.get("low", close)
    quote = columns.get("quote_volume")
    rows = len(close)
    if quote is None and volume is not None:
        for name in [c for c in _PERHAPS_MONEY if c in columns and is_quote_of(columns[c], volume, high, low)]:
            quote = columns["quote_volume"] = columns.pop(name)
            break
    if volume is None:
        if coins is not None:
            columns["volume"] = coins
        return
    if quote is None and coins is not None:
        if is_quote_of(coins, volume, high, low):  # a spot market: the second figure is money
            columns["quote_volume"] = coins
            return
        factor = _factor(volume, coins)
        if factor is None or abs(factor - 1) <= SLACK:
            return
        _tell(found, f"volume counted {factor:g} for a coin; taken from the column of coins", rows, source)
        columns["volume"] = coins
        return
    if quote is None or is_quote_of(quote, volume, high, low):
        return
    if coins is not None and is_quote_of(quote, coins, high, low):
        _tell(found, "volume counts contracts; coins are taken from their own column", rows, source)
        columns["volume"] = coins
        return
    for worth in CONTRACT_WORTHS:
        # Contracts of so many dollars that settle in coin: the second figure counts coins.
        if is_quote_of(volume * worth, quote, high, low):
            _tell(found, f"volume counts contracts of {worth:g} in money; the second figure counts coins", rows, source)
            columns["volume"], columns["quote_volume"] = quote, volume * worth
            buys, bought = columns.get("taker_buy_volume"), columns.get("taker_buy_quote_volume")
            if buys is not None and bought is not None:
                columns["taker_buy_volume"], columns["taker_buy_quote_volume"] = bought, buys * worth
            return
    factor = _factor(quote, volume * close)
    if factor is not None and abs(factor - 1) > _ONE_FACTOR:
        detail = f"quote volume / volume is {factor:.4g} times the price in nearly every bar: volume counts contracts"
        found.append(
            defect("contracts", f"{detail} of {factor:.4g} coins, or is in another unit", count=rows, place=source)
        )


def _factor(upper: Values, lower: Values) -> float | None:
    """The one factor between two columns; None where there is none."""
    with np.errstate(all="ignore"):
        ratio = upper / lower
    ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
    if len(ratio) < _FEWEST:
        return None
    middle = float(np.median(ratio))
    near = np.abs(ratio / middle - 1) <= _ONE_FACTOR
    return middle if near.mean() >= MOST else None


def _tell(found: list[Defect], detail: str, rows: int, source: str) -> None:
    found.append(defect("mended-volume", detail, count=rows, column="volume", place=source))


def with_named_volumes(frame: pd.DataFrame, symbol: str | None) -> pd.DataFrame:
    """`Volume BTC` and `Volume USDT` under names that are known: base and quote volume."""
    named = {c: coin for c in frame.columns if (coin := _coin_of(c))}
    known = {spelling(c) for c in frame.columns}
    if not named or "volume" in known:
        return frame
    money = [c for c, coin in named.items() if coin in DOLLARS]
    coins = [c for c in named if c not in money]
    if symbol is not None and len(named) > 1 and len(money) != 1:
        coins = [c for c, coin in named.items() if symbol.upper().startswith(coin)][:1]
        money = [c for c in named if c not in coins]
    renamed: dict[Any, str] = {}
    if coins:
        renamed[coins[0]] = "volume"
    if money and "quotevolume" not in known:
        renamed[money[0]] = "quote_volume"
    return frame.rename(columns=renamed)


def _coin_of(column: object) -> str | None:
    """The coin in `Volume BTC`, `volume_btc` or `Volume (BTC)`."""
    words = [w for w in str(column).upper().replace("_", " ").replace("(", " ").replace(")", " ").split() if w]
    if len(words) != 2 or "VOLUME" not in words:
        return None
    coin = words[1 - words.index("VOLUME")]
    return (
        coin if coin.isalnum() and coin not in ("BASE", "QUOTE", "TAKER", "TICK", "BUY", "SELL", "BID", "ASK") else None
    )
