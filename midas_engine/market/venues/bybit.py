"""Bybit: linear perpetuals in USDT and USDC, and inverse ones; it also lists those that are closed."""

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
from midas_engine.market.venues.contract import SETTLES, Contract, usable_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_INTERVALS = {"1m": "1", "3m": "3", "5m": "5", "15m": "15", "30m": "30", "1h": "60", "2h": "120", "4h": "240"}
_PERIODS = {"5m": "5min", "15m": "15min", "30m": "30min", "1h": "1h", "4h": "4h", "1d": "1d"}
_PAGE, _SMALL_PAGE = 1000, 200
_MOST_PAGES = 100


class Bybit(Venue):
    """Candles with turnover, the mark price, open interest and funding; no trades and no taker volumes."""

    lists_closed = True

    def groups(self, *, inverse: bool) -> tuple[Group, ...]:
        """See `Venue.groups`."""
        interest = "open_interest_usd" if inverse else "open_interest"
        return (
            Group(CANDLES, (*PRICES, "volume", "quote_volume"), page=_PAGE),
            Group(MARK, ("mark_close",), page=_PAGE),
            Group(OPEN_INTEREST, (interest,), page=_SMALL_PAGE, lengths=tuple(_PERIODS), stamped_at_end=True),
            Group(FUNDING, FUNDING_COLUMNS),
        )

    def unlisted(self, name: str) -> Contract | None:
        """See `Venue.unlisted`."""
        return Contract(name, inverse=name.upper().endswith("USD"), active=False)

    async def closed_contracts(self) -> list[Contract]:
        """Those that were settled and taken down."""
        found: list[Contract] = []
        for category in ("linear", "inverse"):
            cursor = ""
            for _ in range(_MOST_PAGES):
                asked = {"category": category, "status": "Closed", "limit": 1000}
                answer = await self.client.publicGetV5MarketInstrumentsInfo(
                    asked | ({"cursor": cursor} if cursor else {})
                )
                result = _result(answer)
                found += [c for row in as_list(result.get("list")) if (c := _closed(row, category == "inverse"))]
                cursor = str(result.get("nextPageCursor") or "")
                if not cursor:
                    break
        return found

    async def rows(self, group: Group, contract: Contract, bar: str, begin: int, end: int) -> list[Row]:
        """See `Venue.rows`."""
        asked: dict[str, Any] = {"category": contract.kind, "symbol": contract.name}
        count = min(group.page, max(1, (end - begin) // (BAR_SECONDS[bar] * 1000)))
        client = self.client
        if group.name in (CANDLES, MARK):
            asked |= {"interval": _INTERVALS.get(bar, "D"), "start": begin, "end": end - 1, "limit": count}
            call = client.publicGetV5MarketKline if group.name == CANDLES else client.publicGetV5MarketMarkPriceKline
            rows = _list_of(await call(asked), contract)
            if group.name == MARK:
                return [Row(int(cells(row, 5)[0]), {"mark_close": number(row[4])}) for row in rows]
            return [_candle(row, contract) for row in rows]
        asked |= {"startTime": begin, "endTime": end - 1, "limit": _SMALL_PAGE}
        if group.name == OPEN_INTEREST:
            answer = await client.publicGetV5MarketOpenInterest(asked | {"intervalTime": _PERIODS[bar]})
            column = group.columns[0]
            return [
                Row(int(cell(row, "timestamp")), {column: number(cell(row, "openInterest"))})
                for row in _list_of(answer, contract)
            ]
        found: list[Row] = []
        for _ in range(_MOST_PAGES):  # newest first: each next page ends where the last one began
            page = _list_of(await client.publicGetV5MarketFundingHistory(asked), contract)
            stamps = [int(cell(row, "fundingRateTimestamp")) for row in page]
            found += [settled(at, number(cell(row, "fundingRate"))) for at, row in zip(stamps, page, strict=True)]
            if len(page) < _SMALL_PAGE or min(stamps) <= begin or min(stamps) >= asked["endTime"]:
                break
            asked["endTime"] = min(stamps) - 1
        return found


def _result(answer: Any) -> Mapping[str, Any]:
    result = cell(answer, "result")
    if not isinstance(result, dict):
        raise NonsenseError("a result belongs, and none came")
    return result


def _list_of(answer: Any, contract: Contract) -> list[Any]:
    result = _result(answer)
    said = str(result.get("symbol") or contract.name)
    if said != contract.name:
        raise NonsenseError(f"an answer about {said[:40]!r} came")
    rows = as_list(result.get("list"))
    for row in rows:
        if isinstance(row, dict) and row.get("symbol", contract.name) != contract.name:
            raise NonsenseError(f"a row about {str(row['symbol'])[:40]!r} came")
    return rows


def _candle(row: Any, contract: Contract) -> Row:
    at, *figures = cells(row, 7)[:7]
    values = dict(zip((*PRICES, "volume", "quote_volume"), map(number, figures), strict=True))
    if contract.inverse:  # it counts dollars, and turns over coins
        values["volume"], values["quote_volume"] = values["quote_volume"], values["volume"]
    return Row(int(at), values)


def _closed(row: Any, inverse: bool) -> Contract | None:
    name, settle = str(cell(row, "symbol")), str(row.get("settleCoin") or "")
    perpetual = str(row.get("contractType") or "").endswith("Perpetual")
    if not perpetual or not usable_name(name) or not (inverse or settle in SETTLES):
        return None
    return Contract(name, "", settle, inverse, active=False, listed_ms=int(row.get("launchTime") or 0) or None)
