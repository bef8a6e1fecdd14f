"""`ExchangeSource`: public market data of an exchange, through ccxt. Needs no key and places no orders."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from midas_engine.errors import FeedError
from midas_engine.market.feeds.base import Candle, Settlement
from midas_engine.market.feeds.client import BAR_SECONDS, REQUEST_SECONDS, open_client
from midas_engine.market.feeds.faults import as_feed_error, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = 1000
FUNDING_PAGE = 1000
DEFAULT_SYMBOLS = 20
COLUMNS = ("open", "high", "low", "close", "volume")


class ExchangeSource:
    """USDT perpetuals of one exchange.

    Args:
        exchange: A name of `EXCHANGES`, or any ccxt exchange id.
        symbols: Names as the exchange writes them, e.g. BTCUSDT; empty takes the most traded ones.
        timeframe: Bar size, e.g. 1h.
        base_url: Another host for all of the exchange's addresses.
        urls: Replaces single addresses the client calls, by ccxt's names.
        grace_seconds: How long a symbol's late bar is waited for; None leaves it to the feed.

    Raises:
        FeedError: ccxt is not installed, or knows no such exchange or bar size.
    """

    def __init__(
        self,
        exchange: str,
        symbols: Sequence[str] = (),
        *,
        timeframe: str = "1h",
        base_url: str = "",
        urls: dict[str, str] | None = None,
        grace_seconds: float | None = None,
    ) -> None:
        if timeframe not in BAR_SECONDS:
            raise FeedError(f"no bar size {timeframe!r}", hint="one of " + ", ".join(BAR_SECONDS))
        self._client: Any = open_client(exchange, base_url=base_url, urls=urls)
        self._wanted = tuple(symbols)
        self._markets: dict[str, str] = {}
        self._timeframe = timeframe
        self.grace_seconds = grace_seconds
        self.name = exchange
        self.bar_seconds = BAR_SECONDS[timeframe]

    async def symbols(self) -> Sequence[str]:
        """The wanted symbols, checked against the exchange's list; or the most traded USDT perpetuals."""
        what = "its list of markets"
        markets = await self._ask(what, self._client.load_markets())
        with as_feed_error(self.name, what):
            perpetuals = {
                str(m["id"]): str(m["symbol"])
                for m in markets.values()
                if m.get("swap") and m.get("linear") and m.get("settle") == "USDT" and m.get("active") is not False
            }
        if self._wanted:
            missing = [s for s in self._wanted if s not in perpetuals]
            if missing:
                raise FeedError(
                    f"{self.name} has no USDT perpetual {', '.join(missing)}",
                    hint="write it as the exchange does, e.g. " + ", ".join(list(perpetuals)[:3]),
                )
            chosen = list(self._wanted)
        else:
            chosen = await self._most_traded(perpetuals)
        self._markets = {s: perpetuals[s] for s in chosen}
        return tuple(chosen)

    async def _most_traded(self, perpetuals: dict[str, str]) -> list[str]:
        what = "its tickers"
        tickers = await self._ask(what, self._client.fetch_tickers(list(perpetuals.values())))
        with as_feed_error(self.name, what):
            volume = {s: float((tickers.get(u) or {}).get("quoteVolume") or 0.0) for s, u in perpetuals.items()}
        return sorted(perpetuals, key=lambda s: (-volume[s], s))[:DEFAULT_SYMBOLS]

    async def candles(self, symbol: str, since_ms: int) -> Sequence[Candle]:
        """See `BarSource.candles`."""
        what = f"bars of {symbol}"
        with as_feed_error(self.name, what):
            rows = await self._ask(
                what, self._client.fetch_ohlcv(self._markets[symbol], self._timeframe, since=since_ms, limit=PAGE)
            )
            return [self._candle(row, what) for row in self._list(rows, what)]

    def _candle(self, row: Any, what: str) -> Candle:
        if not isinstance(row, list | tuple) or len(row) < 1 + len(COLUMNS):
            raise FeedError(
                f"{self.name} gave {what} with the row {shown(row)}", hint="the time and five numbers belong"
            )
        numbers = {c: float("nan") if v is None else float(v) for c, v in zip(COLUMNS, row[1:6], strict=True)}
        if any(math.isnan(numbers[price]) for price in COLUMNS[:4]):  # a row with a price missing tells nothing
            numbers = dict.fromkeys(COLUMNS, math.nan)
        return Candle(int(row[0]), numbers)

    async def settlements(self, symbol: str, since_ms: int) -> Sequence[Settlement]:
        """See `BarSource.settlements`."""
        if not self._client.has.get("fetchFundingRateHistory"):
            return ()
        what = f"funding of {symbol}"
        found: dict[int, float] = {}
        with as_feed_error(self.name, what):
            while True:
                rows = self._list(
                    await self._ask(
                        what,
                        self._client.fetch_funding_rate_history(
                            self._markets[symbol], since=since_ms, limit=FUNDING_PAGE
                        ),
                    ),
                    what,
                )
                fresh = {int(r["timestamp"]): float(r["fundingRate"]) for r in rows if r.get("fundingRate") is not None}
                if not fresh.keys() - found.keys():
                    break
                found |= fresh
                if len(rows) < FUNDING_PAGE:
                    break
                since_ms = max(fresh) + 1
        # exchanges stamp a settlement some milliseconds after the hour it belongs to
        return [Settlement(t // 60_000 * 60_000, found[t]) for t in sorted(found)]

    async def server_ms(self) -> float | None:
        """The exchange's own time, ms since the epoch; None where it does not say."""
        if not self._client.has.get("fetchTime"):
            return None
        said = await self._ask("its time", self._client.fetch_time())
        return None if said is None else float(said)

    def _list(self, rows: Any, what: str) -> list[Any]:
        if not isinstance(rows, list | tuple):
            raise FeedError(f"{self.name} gave {what} as {shown(rows)}", hint="a list of rows is expected")
        return list(rows)

    async def _ask(self, what: str, call: Any) -> Any:
        with as_feed_error(self.name, what, hint="it is asked again; check the network if this stays"):
            return await asyncio.wait_for(call, REQUEST_SECONDS + 10.0)

    async def close(self) -> None:
        """Close the client's connections."""
        await self._client.close()
