"""A venue with a known truth on loopback, speaking Binance USDT-M, and able to go wrong on the wire.

Shapes follow the exchange's recorded answers (tests/data/venues.json); the figures are made from symbol and hour.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from midas_engine.clock import ManualClock
from tests.helpers_exchange import HOUR, FakeExchange, close_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COLUMNS = (
    "open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume",
    "mark_close", "open_interest", "open_interest_usd",
)  # fmt: skip


class EagerClock(ManualClock):
    """Time that passes as soon as somebody waits for it."""

    async def sleep(self, seconds: float) -> None:
        self.advance(max(0.0, seconds))
        await asyncio.sleep(0)


def figures(symbol: str, opened: int) -> dict[str, float]:
    """The true bar of a symbol."""
    k = opened // HOUR
    close = close_of(symbol, opened) + (k * (sum(map(ord, symbol)) % 13 + 1)) % 17 / 4  # symbols move on their own
    first = close + (k % 3 - 1) * 0.5
    volume, buys = 5.0 + k % 7, 2.0 + k % 3
    interest = 1000.0 + k % 97
    row = (first, max(first, close) + 1, min(first, close) - 1, close, volume, volume * close, 9.0 + k % 5, buys)
    return dict(zip(COLUMNS, (*row, buys * close, close + 0.25, interest, interest * close), strict=True))


def rate(at: int) -> float:
    """The true funding rate of a settlement."""
    return 0.0001 * (at // (8 * HOUR) % 5 - 2)


def truth(symbol: str, begin: int, end: int, columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
    """The true bars from `begin` to before `end` (ms)."""
    stamps = np.arange(begin, end, HOUR)
    index = pd.DatetimeIndex(stamps.astype("datetime64[ms]").astype("datetime64[ns]"), name="timestamp", tz="UTC")
    rows = [figures(symbol, int(t)) for t in stamps]
    return pd.DataFrame(rows, index=index, columns=list(columns), dtype=np.float64)


class Wire:
    """What goes over the connection instead of a sound answer."""

    def __init__(
        self,
        body: bytes | None = None,
        *,
        status: int = 200,
        headers: str = "",
        kind: str = "application/json",
        length: int | None = None,
        raw: bytes | None = None,
    ) -> None:
        content = b"" if body is None else body
        said = len(content) if length is None else length
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{headers}Content-Length: {said}\r\n\r\n"
        self.bytes = raw if raw is not None else head.encode() + content
        self.cuts = raw is not None or said != len(content)


class FakeVenue(FakeExchange):
    """Binance's public answers with the truth in them, or what `wrong` makes of them.

    Attributes:
        wrong: (path's last part, how often it was asked, sound answer) -> another answer, a `Wire`, or None for sound.
        listed: When every contract began, ms.
        server_ms: What it says its time is; None: the true time.
        page: Most rows of an answer.
        silent: Answers nothing to so many requests.
    """

    def __init__(self, symbols: tuple[str, ...], now_ms: Callable[[], int], *, listed: int = 0) -> None:
        super().__init__(symbols, now_ms)
        self.wrong: Callable[[str, int, Any], Any] | None = None
        self.listed, self.server_ms = listed, None
        self.page = 1500
        self.times: Counter[str] = Counter()
        self.queries: list[tuple[str, dict[str, str]]] = []
        self.on_request: Callable[[int], None] | None = None

    @property
    def base(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                length = 0
                while head := (await reader.readline()).strip():
                    if head.lower().startswith(b"content-length:"):
                        length = int(head.split(b":")[1])
                body = await reader.readexactly(length)
                target = line.split()[1].decode()
                wire = self._wire(target, body)
                writer.write(wire.bytes)
                await writer.drain()
                if wire.cuts:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _wire(self, target: str, body: bytes) -> Wire:
        from urllib.parse import parse_qs, urlsplit

        parts = urlsplit(target)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        if body:
            query |= {"body": body.decode()}
        self.asked.append(parts.path)
        self.queries.append((parts.path, query))
        if self.on_request is not None:
            self.on_request(len(self.asked))
        name = parts.path.rsplit("/", 1)[-1]
        self.times[name] += 1
        if self.fail:
            return Wire(b"{}", status=self.fail.pop(0))
        answer = self._answer(parts.path, query)
        if self.wrong is not None:
            other = self.wrong(name, self.times[name], answer)
            answer = answer if other is None else other
        return answer if isinstance(answer, Wire) else Wire(json.dumps(answer).encode())

    def _answer(self, path: str, query: dict[str, str]) -> Any:
        name = path.rsplit("/", 1)[-1]
        if name in self.answers:
            return self.answers[name](query)
        if name == "time":
            return {"serverTime": self.now_ms() if self.server_ms is None else self.server_ms}
        if name == "exchangeInfo":
            whole = super()._answer(path, query)
            for market in whole["symbols"]:
                market["onboardDate"] = self.listed or market["onboardDate"]
            return whole
        symbol = query.get("symbol", "")
        begin, limit = int(query.get("startTime", 0)), min(self.page, int(query.get("limit", 500)))
        end = min(int(query.get("endTime", self.now_ms())), self.now_ms())
        step = 24 * HOUR if query.get("interval") == "1d" else HOUR
        stamps = [t for t in range(-(-begin // step) * step, end + 1, step) if t >= self.listed][:limit]
        if name in ("klines", "markPriceKlines"):
            return [self._kline(name, symbol, t) for t in stamps]
        if name == "openInterestHist":
            kept = [t for t in stamps if t > self.now_ms() - 30 * 24 * HOUR]
            return [self._interest(symbol, t) for t in kept]
        if name == "fundingRate":
            every = [t for t in range(-(-begin // HOUR) * HOUR, end + 1, HOUR) if t % (8 * HOUR) == 0]
            return [
                {"symbol": symbol, "fundingTime": t + 3, "fundingRate": repr(rate(t)), "markPrice": "1"}
                for t in every
                if t >= self.listed
            ][:limit]
        return super()._answer(path, query)

    def _kline(self, name: str, symbol: str, t: int) -> list[Any]:
        f = figures(symbol, t)
        if t + HOUR > self.now_ms():  # it still runs: its figures are not the final ones
            f = {**f, "close": f["open"], "volume": f["volume"] / 2, "mark_close": f["mark_close"] + 1}
        if name == "markPriceKlines":
            mark = repr(f["mark_close"])
            return [t, mark, mark, mark, mark, "0", t + HOUR - 1, "0", 3600, "0", "0", "0"]
        o, h, low, c, volume, quote = (repr(f[k]) for k in COLUMNS[:6])
        buys, bought = repr(f["taker_buy_volume"]), repr(f["taker_buy_quote_volume"])
        return [t, o, h, low, c, volume, t + HOUR - 1, quote, int(f["trades"]), buys, bought, "0"]

    def _interest(self, symbol: str, t: int) -> dict[str, Any]:
        f = figures(symbol, t - HOUR)  # a snapshot at t is what the bar that closes at t knows
        usd = repr(f["open_interest_usd"])
        return {"symbol": symbol, "sumOpenInterest": repr(f["open_interest"]), "sumOpenInterestValue": usd,
                "timestamp": t}  # fmt: skip


class InThread:
    """A venue served from a thread of its own, for programs in other processes."""

    def __init__(self, venue: FakeVenue) -> None:
        self.venue = venue
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> FakeVenue:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.venue.__aenter__(), self._loop).result(110)
        return self.venue

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            await self.venue.__aexit__()
            others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(110)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(110)
        self._loop.close()
