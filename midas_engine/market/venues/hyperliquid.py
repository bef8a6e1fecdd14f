"""Hyperliquid: perpetuals in USDC. Its answers are written from its documentation; none was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.market.venues.base import (
    CANDLES,
    FUNDING,
    FUNDING_COLUMNS,
    PRICES,
    Group,
    NonsenseError,
    Row,
    Venue,
    as_list,
    cell,
    number,
    settled,
)
from midas_engine.market.venues.client import BAR_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.market.venues.contract import Contract

_KEPT_CANDLES = 5000
_PAGE = 500
_MOST_PAGES = 400


class Hyperliquid(Venue):
    """The last 5,000 candles with their number of trades, and hourly funding since the beginning."""

    def groups(self, *, inverse: bool) -> tuple[Group, ...]:
        """See `Venue.groups`."""
        return (
            Group(CANDLES, (*PRICES, "volume", "trades"), page=_PAGE, keeps_bars=_KEPT_CANDLES),
            Group(FUNDING, FUNDING_COLUMNS),
        )

    def contract_name(self, market: Mapping[str, Any]) -> str:
        """The coin: ccxt's id is a number, and its symbol loses small letters (kPEPE)."""
        info = market.get("info") or {}
        return str(info.get("name") or market.get("baseName") or market["base"])

    async def rows(self, group: Group, contract: Contract, bar: str, begin: int, end: int) -> list[Row]:
        """See `Venue.rows`."""
        coin = contract.name
        if group.name == CANDLES:
            asked = {"coin": coin, "interval": bar, "startTime": begin, "endTime": end - 1}
            answer = as_list(await self.client.publicPostInfo({"type": "candleSnapshot", "req": asked}))
            return [_candle(row, coin, BAR_SECONDS[bar] * 1000) for row in answer]
        found: list[Row] = []
        since = begin
        for _ in range(_MOST_PAGES):
            page = as_list(
                await self.client.publicPostInfo(
                    {"type": "fundingHistory", "coin": coin, "startTime": since, "endTime": end - 1}
                )
            )
            if any(cell(row, "coin") != coin for row in page):
                raise NonsenseError("funding of another coin came")
            found += [settled(cell(row, "time"), number(cell(row, "fundingRate"))) for row in page]
            last = max((int(row["time"]) for row in page), default=since - 1)
            if len(page) < _PAGE or last < since:
                break
            since = last + 1
        return found


def _candle(row: Any, coin: str, step: int) -> Row:
    if cell(row, "s") != coin:
        raise NonsenseError(f"bars of {str(row['s'])[:40]!r} came")
    keys = dict(zip("ohlcvn", (*PRICES, "volume", "trades"), strict=True))
    at = int(cell(row, "t"))
    if int(cell(row, "T")) - at not in (step - 1, step):
        raise NonsenseError("bars of another length came")
    return Row(at, {name: number(cell(row, key)) for key, name in keys.items()})
