"""Binance: USDT and USDC margined perpetuals (`binance`), coin margined ones (`binancecoinm`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.market.venues.base import (
    CANDLES,
    FUNDING,
    FUNDING_COLUMNS,
    MARK,
    OPEN_INTEREST,
    PRICES,
    Group,
    NonsenseError,
    Row,
    Venue,
    as_list,
    cell,
    cells,
    number,
    settled,
)
from midas_engine.market.venues.client import BAR_SECONDS
from midas_engine.market.venues.contract import Contract

if TYPE_CHECKING:
    from collections.abc import Sequence

_FLOW = ("volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume")
_INTEREST_DAYS = 30.0
_MOST_COIN_DAYS = 199  # a window of a coin margined request
_SETTLEMENTS = 1000


class Binance(Venue):
    """Every kline column, the mark price, open interest of the last 30 days, and funding."""

    @property
    def _coin(self) -> bool:
        return self.name == "binancecoinm"

    def groups(self, *, inverse: bool) -> tuple[Group, ...]:
        """See `Venue.groups`."""
        return (
            Group(CANDLES, (*PRICES, *_FLOW)),
            Group(MARK, ("mark_close",)),
            Group(
                OPEN_INTEREST,
                ("open_interest", "open_interest_usd"),
                page=500,
                keeps_days=_INTEREST_DAYS,
                lengths=("5m", "15m", "30m", "1h", "2h", "4h", "1d"),
                stamped_at_end=True,
            ),
            Group(FUNDING, FUNDING_COLUMNS),
        )

    def unlisted(self, name: str) -> Contract | None:
        """Contracts that are delisted leave the list one day; their bars stay."""
        if not self._coin and "_PERP" in name:
            return None  # coin margined: it is asked for at binancecoinm
        return Contract(name, inverse=self._coin, active=False)

    async def rows(self, group: Group, contract: Contract, bar: str, begin: int, end: int) -> list[Row]:
        """See `Venue.rows`."""
        step = BAR_SECONDS[bar] * 1000
        if self._coin:
            end = min(end, begin + _MOST_COIN_DAYS * 86_400_000)
        asked: dict[str, Any] = {"symbol": contract.name, "startTime": begin, "endTime": end - 1}
        count = min(group.page, max(1, (end - begin) // step))
        market = "dapi" if self._coin else "fapi"
        if group.name in (CANDLES, MARK):
            call = f"{market}PublicGet{'Klines' if group.name == CANDLES else 'MarkPriceKlines'}"
            answer = await self._ask(call, asked | {"interval": bar, "limit": count})
            rows = [cells(row, 11) for row in as_list(answer)]
            if group.name == MARK:
                return [Row(int(row[0]), {"mark_close": number(row[4])}) for row in rows]
            return [Row(int(row[0]), self._figures(row, contract)) for row in rows]
        if group.name == OPEN_INTEREST:
            asked |= {"period": bar, "limit": count}
            if self._coin:
                asked = {k: v for k, v in asked.items() if k != "symbol"}
                asked |= {"pair": contract.name.partition("_")[0], "contractType": "PERPETUAL"}
            answer = await self._ask(f"{market}DataGetOpenInterestHist", asked)
            return [self._interest(row, contract) for row in as_list(answer)]
        return await self._settled(f"{market}PublicGetFundingRate", asked)

    async def _ask(self, call: str, asked: dict[str, Any]) -> Any:
        return await getattr(self.client, call)(asked)

    def _figures(self, row: Sequence[Any], contract: Contract) -> dict[str, float]:
        prices = dict(zip(PRICES, map(number, row[1:5]), strict=True))
        volume, quote, trades, buys, bought = (number(row[i]) for i in (5, 7, 8, 9, 10))
        if self._coin:  # contracts of so many dollars, and the coins they are worth
            volume, quote, buys, bought = quote, volume * contract.size, bought, buys * contract.size
        return prices | dict(zip(_FLOW, (volume, quote, trades, buys, bought), strict=True))

    def _interest(self, row: Any, contract: Contract) -> Row:
        amount, value = number(cell(row, "sumOpenInterest")), number(cell(row, "sumOpenInterestValue"))
        if self._coin:
            amount, value = value, amount * contract.size
        elif row.get("symbol", contract.name) != contract.name:
            raise NonsenseError(f"open interest of {row['symbol']!r} came")
        return Row(int(cell(row, "timestamp")), {"open_interest": amount, "open_interest_usd": value})

    async def _settled(self, call: str, asked: dict[str, Any]) -> list[Row]:
        found: list[Row] = []
        since, end = asked["startTime"], asked["endTime"]
        while since < end:
            page = as_list(await self._ask(call, asked | {"startTime": since, "limit": _SETTLEMENTS}))
            for row in page:
                if row is None or row.get("symbol", asked["symbol"]) != asked["symbol"]:
                    raise NonsenseError(f"funding of another contract came: {row!r:.80}")
            found += [settled(cell(r, "fundingTime"), number(cell(r, "fundingRate"))) for r in page]
            last = max((int(r["fundingTime"]) for r in page), default=since - 1)
            if len(page) < _SETTLEMENTS or last < since:
                break
            since = last + 1
        return found
