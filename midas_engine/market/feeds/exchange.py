"""`ExchangeSource`: public market data of an exchange, through ccxt. Needs no key and places no orders."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from midas_engine.errors import FeedError
from midas_engine.market.feeds.base import Candle, Settlement
from midas_engine.market.feeds.faults import as_feed_error
from midas_engine.market.venues import open_venue
from midas_engine.market.venues.base import CANDLES, FUNDING, MARK, OPEN_INTEREST, PRICES, TAKER
from midas_engine.market.venues.client import BAR_SECONDS, REQUEST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from midas_engine.market.venues.base import Group, Row
    from midas_engine.market.venues.contract import Contract

DEFAULT_SYMBOLS = 20
COLUMNS = (*PRICES, "volume")
# Windows without a bar that are passed over where a contract is younger than the history asked for.
_MOST_EMPTY = 8
_FUNDING_DAYS = 90


class ExchangeSource:
    """Linear perpetuals of one exchange, in USDT or USDC, with every column that its live bars have.

    Args:
        exchange: A name of `EXCHANGES`, or any ccxt exchange id.
        symbols: Names as the exchange writes them, e.g. BTCUSDT; empty takes the most traded ones.
        timeframe: Bar size, e.g. 1h.
        base_url: Another host for all of the exchange's addresses.
        urls: Replaces single addresses the client calls, by ccxt's names.
        grace_seconds: How long a symbol's late bar is waited for; None leaves it to the feed.
        columns: Columns wanted beside prices and volume; None: all. A mark price or open interest costs a request
            each a symbol and bar.

    Raises:
        FeedError: ccxt is not installed, or knows no such exchange or bar size.
    """

    vouches = True  # what a venue gives is what it calls it

    def __init__(
        self,
        exchange: str,
        symbols: Sequence[str] = (),
        *,
        timeframe: str = "1h",
        base_url: str = "",
        urls: Mapping[str, str] | None = None,
        grace_seconds: float | None = None,
        columns: Collection[str] | None = None,
    ) -> None:
        if timeframe not in BAR_SECONDS:
            raise FeedError(f"no bar size {timeframe!r}", hint="one of " + ", ".join(BAR_SECONDS))
        self._venue = open_venue(exchange, base_url=base_url, urls=urls)
        self._client: Any = self._venue.client
        self._wanted = tuple(symbols)
        self._contracts: dict[str, Contract] = {}
        self._timeframe = timeframe
        groups = {g.name: g for g in self._venue.groups(inverse=False)}
        self._candles = groups[CANDLES]
        self._funding = groups.get(FUNDING)
        self._beside = [
            g
            for name in (MARK, OPEN_INTEREST, TAKER)
            if (g := groups.get(name)) is not None
            and (not g.lengths or timeframe in g.lengths)
            and (columns is None or set(g.columns) & set(columns))
        ]
        self._said_ms: int | None = None
        self.grace_seconds = grace_seconds
        self.name = exchange
        self.bar_seconds = BAR_SECONDS[timeframe]

    async def symbols(self) -> Sequence[str]:
        """The wanted symbols, checked against the exchange's list; or the most traded perpetuals."""
        what = "its list of markets"
        listed = await self._ask(what, self._venue.contracts())
        linear = {c.name: c for c in listed if not c.inverse and c.active}
        if self._wanted:
            alike: dict[str, list[str]] = {}
            for name in linear:
                alike.setdefault(name.upper(), []).append(name)
            found = {s: [s] if s in linear else alike.get(s.upper(), []) for s in self._wanted}
            missing = [s for s, names in found.items() if len(names) != 1]
            if missing:
                raise FeedError(
                    f"{self.name} has no perpetual {', '.join(missing)} in USDT or USDC",
                    hint="write it as the exchange does, e.g. " + ", ".join(list(linear)[:3]),
                )
            chosen = [found[s][0] for s in self._wanted]
        else:
            chosen = await self._most_traded(linear)
        self._contracts = {s: linear[s] for s in chosen}
        return tuple(chosen)

    async def _most_traded(self, linear: Mapping[str, Contract]) -> list[str]:
        tethered = {s: c for s, c in linear.items() if c.settle == "USDT"} or linear
        turnover = await self._ask("its tickers", self._venue.turnover())
        return sorted(tethered, key=lambda s: (-turnover.get(tethered[s].unified, 0.0), s))[:DEFAULT_SYMBOLS]

    async def candles(self, symbol: str, since_ms: int) -> Sequence[Candle]:
        """See `BarSource.candles`. What stands beside the candles is NaN where it is not told yet."""
        what = f"bars of {symbol}"
        contract = self._contracts[symbol]
        step = self.bar_seconds * 1000
        begin = max(since_ms, (contract.listed_ms or 0) // step * step)
        rows: list[Row] = []
        for _ in range(_MOST_EMPTY):
            end = begin + self._candles.page * step
            rows = await self._ask(what, self._venue.rows(self._candles, contract, self._timeframe, begin, end))
            if rows or contract.listed_ms or end > self._now_ms():
                break
            begin = end
        if not rows:
            return []
        with as_feed_error(self.name, what):
            first, last = min(r.at_ms for r in rows), max(r.at_ms for r in rows)
        beside = await self._columns_beside(contract, first, last + step) if first >= since_ms else {}
        return [Candle(r.at_ms, {**_whole(r.values), **beside.get(r.at_ms, {})}) for r in rows]

    async def _columns_beside(self, contract: Contract, begin: int, end: int) -> dict[int, dict[str, float]]:
        """Mark, open interest and taker volumes by the open time of their bar; every column in every bar."""
        unknown = {c: math.nan for g in self._beside for c in g.columns}
        found: dict[int, dict[str, float]] = {}
        step = self.bar_seconds * 1000
        for group in self._beside:
            shift = step if group.stamped_at_end else 0
            for since in range(begin, end, group.page * step):
                upto = min(end, since + group.page * step)
                for row in await self._group(group, contract, since + shift, upto + shift):
                    if row.closed is not False:
                        found.setdefault(row.at_ms - shift, dict(unknown)).update(row.values)
        return {at: found.get(at, unknown) for at in range(begin, end, step)} if unknown else {}

    async def _group(self, group: Group, contract: Contract, begin: int, end: int) -> Sequence[Row]:
        reach = group.reaches(self._now_ms(), self.bar_seconds)
        if end <= reach:
            return ()
        what = f"{group.name.replace('_', ' ')} of {contract.name}"
        try:
            call = self._venue.rows(group, contract, self._timeframe, max(begin, reach), end)
            rows: list[Row] = await self._ask(what, call)
        except FeedError:
            return ()  # unknown is what it is then; an outage of the marks is none of the bars
        return rows

    async def settlements(self, symbol: str, since_ms: int) -> Sequence[Settlement]:
        """See `BarSource.settlements`."""
        if self._funding is None:
            return ()
        contract, what = self._contracts[symbol], f"funding of {symbol}"
        found: dict[int, float] = {}
        now = self._now_ms() + 86_400_000
        begin = since_ms
        while begin < now:
            end = begin + _FUNDING_DAYS * 86_400_000
            rows = await self._ask(what, self._venue.rows(self._funding, contract, self._timeframe, begin, end))
            found |= {row.at_ms: row.values["funding_rate"] for row in rows}
            begin = end
        return [Settlement(t, found[t]) for t in sorted(found)]

    async def server_ms(self) -> float | None:
        """The exchange's own time, ms since the epoch; None where it does not say."""
        said = await self._ask("its time", self._venue.server_ms())
        self._said_ms = said
        return None if said is None else float(said)

    def _now_ms(self) -> int:
        return int(self._client.milliseconds() if self._said_ms is None else self._said_ms)

    async def _ask(self, what: str, call: Any) -> Any:
        with as_feed_error(self.name, what, hint="it is asked again; check the network if this stays"):
            return await asyncio.wait_for(call, REQUEST_SECONDS + 10.0)

    async def close(self) -> None:
        """Close the client's connections."""
        await self._venue.close()


def _whole(values: Mapping[str, float]) -> dict[str, float]:
    """The figures; a row with a price missing tells nothing."""
    if any(math.isnan(values[price]) for price in PRICES):
        return dict.fromkeys(values, math.nan)
    return dict(values)
