"""Bybit, OKX and Hyperliquid on loopback, with the same truth as `FakeVenue`, each in its own words.

Bybit's and OKX's words are those of tests/data/venues.json; Hyperliquid's are written from its documentation.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.helpers_cli import ROOT
from tests.helpers_exchange import HOUR
from tests.helpers_venue import FakeVenue, figures, rate

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDED: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "venues.json").read_text(encoding="utf-8"))


def bars(begin: int, end: int, now: int, limit: int, *, newest_first: bool = True) -> list[int]:
    """Open times that a question for [begin, end] (ms, inclusive) is answered with."""
    found = list(range(-(-begin // HOUR) * HOUR, min(end, now) + 1, HOUR))
    return found[::-1][:limit] if newest_first else found[:limit]


def settlements(begin: int, end: int, now: int, limit: int, *, newest_first: bool = True) -> list[int]:
    return [t for t in bars(begin, end, now, 10**6, newest_first=newest_first) if t % (8 * HOUR) == 0][:limit]


def price(symbol: str, t: int, now: int) -> list[str]:
    f = figures(symbol, t)
    close = f["close"] if t + HOUR <= now else f["open"]
    return [repr(f["open"]), repr(f["high"]), repr(f["low"]), repr(close)]


class FakeBybit(FakeVenue):
    """Bybit v5: newest first, an envelope with a return code, closed contracts apart."""

    closed: tuple[str, ...] = ()

    def _answer(self, path: str, query: dict[str, str]) -> Any:
        name = path.rsplit("/", 1)[-1]
        now, symbol = self.now_ms(), query.get("symbol", "")
        if name == "time":
            return self._said({"timeSecond": str(now // 1000), "timeNano": f"{now}000000"})
        if name == "instruments-info":
            names = self.closed if query.get("status") == "Closed" else self.symbols
            inverse = query["category"] == "inverse"
            listed = [self._instrument(s) for s in names if s.endswith("USD") == inverse]
            return self._said({"category": query["category"], "list": listed, "nextPageCursor": ""})
        begin = int(query.get("start", query.get("startTime", 0)))
        end = int(query.get("end", query.get("endTime", now)))
        asked = bars(begin, end, now, int(query.get("limit", 200)))
        if name == "kline":
            rows = [[str(t), *price(symbol, t, now), *self._volumes(symbol, t)] for t in asked]
        elif name == "mark-price-kline":
            rows = [[str(t), *[repr(figures(symbol, t)["mark_close"])] * 4] for t in asked]
        elif name == "open-interest":
            column = "open_interest_usd" if symbol.endswith("USD") else "open_interest"
            known = [(t, repr(figures(symbol, t - HOUR)[column])) for t in asked]
            return self._said(
                {"symbol": symbol, "category": "linear", "nextPageCursor": "",
                 "list": [{"openInterest": value, "timestamp": str(t)} for t, value in known]}
            )  # fmt: skip
        else:
            paid = settlements(begin, end, now, min(200, int(query.get("limit", 200))))
            listed = [{"symbol": symbol, "fundingRate": repr(rate(t)), "fundingRateTimestamp": str(t)} for t in paid]
            return self._said({"category": "linear", "list": listed})
        return self._said({"category": "linear", "symbol": symbol, "list": rows})

    def _volumes(self, symbol: str, t: int) -> list[str]:
        f = figures(symbol, t)
        coins, money = repr(f["volume"]), repr(f["quote_volume"])
        return [money, coins] if symbol.endswith("USD") else [coins, money]

    def _instrument(self, symbol: str) -> dict[str, Any]:
        whole = dict(RECORDED["bybit instruments_linear"]["result"]["list"][0])
        inverse, dollar = symbol.endswith("USD"), symbol.endswith("PERP")
        base = symbol.removesuffix("PERP").removesuffix("USDT").removesuffix("USD")
        return whole | {
            "symbol": symbol,
            "contractType": "InversePerpetual" if inverse else "LinearPerpetual",
            "status": "Closed" if symbol in self.closed else "Trading",
            "baseCoin": base,
            "quoteCoin": "USD" if inverse else "USDC" if dollar else "USDT",
            "settleCoin": base if inverse else "USDC" if dollar else "USDT",
            "launchTime": "1585526400000",
            "deliveryTime": "0",
        }

    def _said(self, result: Any) -> dict[str, Any]:
        return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": self.now_ms()}


class FakeOkx(FakeVenue):
    """OKX v5: newest first, bounds that are exclusive, coins beside contracts, a mark on closed candles."""

    def _answer(self, path: str, query: dict[str, str]) -> Any:
        name, now = path.rsplit("/", 1)[-1], self.now_ms()
        symbol = query.get("instId", "")
        if name == "time":
            return self._said([{"ts": str(now)}])
        if name == "instruments":
            return self._said([self._instrument(s) for s in self.symbols])
        begin = int(query.get("before", query.get("begin", 0))) + 1
        end = int(query.get("after", query.get("end", now + 1))) - 1
        limit = min(100, int(query.get("limit", 100)))
        asked = bars(begin, end, now, limit)
        closed = {t: "1" if t + HOUR <= now else "0" for t in asked}
        if name == "funding-rate-history":
            return self._said(
                [
                    {"instType": "SWAP", "instId": symbol, "fundingRate": "0.5", "realizedRate": repr(rate(t)),
                     "fundingTime": str(t)}
                    for t in settlements(begin, end, now, limit)
                    if t > now - 92 * 24 * HOUR
                ]
            )  # fmt: skip
        known = {t: figures(symbol, t) for t in asked}
        if name.endswith("mark-price-candles"):
            return self._said([[str(t), *[repr(f["mark_close"])] * 4, closed[t]] for t, f in known.items()])
        if name == "open-interest-history":
            return self._said(
                [[str(t), "1", repr(f["open_interest"]), repr(f["open_interest_usd"])] for t, f in known.items()]
            )
        if name == "taker-volume-contract":
            return self._said([[str(t), "9", repr(f["taker_buy_volume"])] for t, f in known.items()])
        return self._said(
            [
                [str(t), *price(symbol, t, now), "777", repr(f["volume"]), repr(f["quote_volume"]), closed[t]]
                for t, f in known.items()
            ]
        )

    def _instrument(self, symbol: str) -> dict[str, Any]:
        whole = dict(RECORDED["okx instruments_swap"]["data"][0])
        base, quote, _ = symbol.split("-")
        inverse = quote == "USD"
        return whole | {
            "instId": symbol, "uly": f"{base}-{quote}", "instFamily": f"{base}-{quote}", "listTime": "1535424203000",
            "ctType": "inverse" if inverse else "linear", "ctVal": "100" if inverse else "0.01",
            "ctValCcy": "USD" if inverse else base, "settleCcy": base if inverse else quote,
        }  # fmt: skip

    def _said(self, data: Any) -> dict[str, Any]:
        return {"code": "0", "msg": "", "data": data}


class FakeHyperliquid(FakeVenue):
    """Hyperliquid: one address, questions in the body; from its documentation, not recorded."""

    def __init__(self, symbols: tuple[str, ...], now_ms: Callable[[], int]) -> None:
        super().__init__(symbols, now_ms)

    def _answer(self, path: str, query: dict[str, str]) -> Any:
        asked, now = json.loads(query.get("body", "{}")), self.now_ms()
        if asked["type"] == "exchangeStatus":
            return {"specialStatuses": None, "time": now}
        if asked["type"] == "metaAndAssetCtxs":
            universe = [{"name": s, "szDecimals": 5, "maxLeverage": 50, "onlyIsolated": False} for s in self.symbols]
            context = {"dayNtlVlm": "1169046.29", "funding": "0.0000125", "markPx": "14.3", "midPx": "14.3",
                       "openInterest": "688.11", "oraclePx": "14.32", "premium": "0.0003", "prevDayPx": "15.322",
                       "impactPxs": ["14.3", "14.4"], "dayBaseVlm": "1"}  # fmt: skip
            return [{"universe": universe}, [context for _ in self.symbols]]
        if asked["type"] == "candleSnapshot":
            coin, begin, end = (asked["req"][k] for k in ("coin", "startTime", "endTime"))
            kept = bars(max(begin, now - 5000 * HOUR), end, now, 5000, newest_first=False)
            return [self._candle(coin, t) for t in kept]
        paid = bars(asked["startTime"], asked["endTime"], now, 500, newest_first=False)
        return [{"coin": asked["coin"], "fundingRate": repr(rate(t)), "premium": "0.0001", "time": t + 4} for t in paid]

    def _candle(self, coin: str, t: int) -> dict[str, Any]:
        o, h, low, c = price(coin, t, self.now_ms())
        f = figures(coin, t)
        return {"T": t + HOUR - 1, "c": c, "h": h, "i": "1h", "l": low, "n": int(f["trades"]), "o": o, "s": coin,
                "t": t, "v": repr(f["volume"])}  # fmt: skip
