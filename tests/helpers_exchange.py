"""A perpetuals exchange on loopback that answers as Binance USDT-M does: enough REST for public market data.

Shapes follow the exchange's documented replies; the figures are made from the symbol and the hour.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = 3_600_000


def close_of(symbol: str, opened_ms: int) -> float:
    return 100.0 + sum(map(ord, symbol)) % 50 + (opened_ms // HOUR) % 211


class FakeExchange:
    """An HTTP server in the test's own event loop.

    Attributes:
        now_ms: What the exchange thinks the time is.
        fail: Status codes to answer with, next first; then it is well again.
        asked: Paths asked for so far.
        answers: Last part of a path -> what is answered there instead, made from the query.
    """

    def __init__(self, symbols: tuple[str, ...], now_ms: Callable[[], int]) -> None:
        self.symbols, self.now_ms = symbols, now_ms
        self.fail: list[int] = []
        self.asked: list[str] = []
        self.answers: dict[str, Callable[[dict[str, str]], Any]] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> FakeExchange:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._server.close_clients() if hasattr(self._server, "close_clients") else None

    @property
    def urls(self) -> dict[str, str]:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        apis = {f"fapiPublic{v}": f"http://127.0.0.1:{port}/fapi/v{v[1:] or 1}" for v in ("", "V2", "V3")}
        return apis | {"fapiData": f"http://127.0.0.1:{port}/futures/data"}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                target = urlsplit(line.split()[1].decode())
                query = {k: v[0] for k, v in parse_qs(target.query).items()}
                self.asked.append(target.path)
                status = self.fail.pop(0) if self.fail else 200
                body = json.dumps(self._answer(target.path, query) if status == 200 else {"code": -1, "msg": "no"})
                head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write((head + body).encode())
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _answer(self, path: str, query: dict[str, str]) -> Any:
        name = path.rsplit("/", 1)[-1]
        if name in self.answers:
            return self.answers[name](query)
        if name == "exchangeInfo":
            return {"timezone": "UTC", "serverTime": self.now_ms(), "symbols": [_market(s) for s in self.symbols]}
        if name == "24hr":
            return [
                {"symbol": s, "lastPrice": "1", "quoteVolume": str(1000 - i), "closeTime": self.now_ms(), "volume": "1"}
                for i, s in enumerate(self.symbols)
            ]
        if name == "klines":
            return self._klines(query["symbol"], int(query["startTime"]), min(1500, int(query.get("limit", 500))))
        if name == "fundingRate":
            first, step = int(query["startTime"]), 8 * HOUR
            times = range(-(-first // step) * step, self.now_ms(), step)
            return [
                {"symbol": query["symbol"], "fundingTime": t + 3, "fundingRate": "0.0001", "markPrice": "1"}
                for t in times
            ][: int(query.get("limit", 100))]
        return {}

    def _klines(self, symbol: str, since: int, limit: int) -> list[list[Any]]:
        rows = []
        for t in range(-(-since // HOUR) * HOUR, self.now_ms(), HOUR):
            c = str(close_of(symbol, t))
            rows.append([t, c, c, c, c, "5.0", t + HOUR - 1, "500.0", 9, "2.0", "200.0", "0"])
        return rows[:limit]


def _market(symbol: str) -> dict[str, Any]:
    base = symbol.removesuffix("USDT")
    return {
        "symbol": symbol,
        "pair": symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "triggerProtect": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC"],
    }
