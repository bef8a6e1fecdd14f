"""OKX: linear and inverse swaps. Open interest and taker volumes are in the shapes its documentation gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.market.venues.base import (
    CANDLES,
    FUNDING,
    FUNDING_COLUMNS,
    MARK,
    OPEN_INTEREST,
    PRICES,
    TAKER,
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
    from collections.abc import Mapping

_BARS = {"1h": "1H", "2h": "2H", "4h": "4H", "1d": "1Dutc"}  # its plain day begins at 16:00 UTC
_PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "1d")
_PAGE = 100
_KEPT_STATISTICS = 1440  # rows of its trading statistics
_FUNDING_DAYS = 90.0
_MOST_PAGES = 400


class Okx(Venue):
    """Candles in coins with quote volume, the mark price, funding of three months, statistics of 1,440 bars."""

    def groups(self, *, inverse: bool) -> tuple[Group, ...]:
        """See `Venue.groups`."""
        statistics = {"page": _PAGE, "keeps_bars": _KEPT_STATISTICS, "lengths": _PERIODS}
        own: dict[str, Any] = statistics
        found = [
            Group(CANDLES, (*PRICES, "volume", "quote_volume"), page=_PAGE),
            Group(MARK, ("mark_close",), page=_PAGE),
            Group(OPEN_INTEREST, ("open_interest", "open_interest_usd"), **own),
            Group(FUNDING, FUNDING_COLUMNS, keeps_days=_FUNDING_DAYS),
        ]
        if not inverse:
            found.insert(3, Group(TAKER, ("taker_buy_volume",), **own))
        return tuple(found)

    def unlisted(self, name: str) -> Contract | None:
        """See `Venue.unlisted`."""
        return Contract(name, inverse=name.upper().endswith("-USD-SWAP"), active=False)

    async def rows(self, group: Group, contract: Contract, bar: str, begin: int, end: int) -> list[Row]:
        """See `Venue.rows`."""
        client, size = self.client, _BARS.get(bar, bar)
        asked: dict[str, Any] = {"instId": contract.name}
        if group.name in (CANDLES, MARK):
            # `after` and `before` are earlier and later than, both exclusive
            asked |= {"bar": size, "before": begin - 1, "after": end, "limit": _PAGE}
            recent = begin > client.milliseconds() - 1400 * BAR_SECONDS[bar] * 1000
            kind = "" if group.name == CANDLES else "MarkPrice"
            call = getattr(client, f"publicGetMarket{'' if recent else 'History'}{kind}Candles")
            rows = _data(await call(asked))
            return [_mark(row) if group.name == MARK else _candle(row) for row in rows]
        if group.name in (OPEN_INTEREST, TAKER):
            asked |= {"period": size, "begin": begin - 1, "end": end, "limit": _PAGE}
            if group.name == OPEN_INTEREST:
                rows = _data(await client.publicGetRubikStatContractsOpenInterestHistory(asked))
                return [_interest(row) for row in rows]
            rows = _data(await client.publicGetRubikStatTakerVolumeContract(asked | {"unit": "0"}))
            return [Row(int(cells(row, 3)[0]), {"taker_buy_volume": number(row[2])}) for row in rows]
        found: list[Row] = []
        asked |= {"before": begin - 1, "after": end, "limit": _PAGE}
        for _ in range(_MOST_PAGES):
            page = _data(await client.publicGetPublicFundingRateHistory(asked))
            stamps = [int(cell(row, "fundingTime")) for row in page]
            found += [_settlement(row, contract) for row in page]
            if len(page) < _PAGE or min(stamps) <= begin or min(stamps) >= asked["after"]:
                break
            asked["after"] = min(stamps)
        return found


def _data(answer: Any) -> list[Any]:
    return as_list(cell(answer, "data"))


def _candle(row: Any) -> Row:
    at, *figures = cells(row, 9)[:9]
    opened, high, low, close, _, coins, money = map(number, figures[:7])
    values: Mapping[str, float] = {
        "open": opened, "high": high, "low": low, "close": close, "volume": coins, "quote_volume": money,
    }  # fmt: skip
    return Row(int(at), values, closed=str(figures[7]) == "1")


def _mark(row: Any) -> Row:
    at, *_ = cells(row, 6)
    return Row(int(at), {"mark_close": number(row[4])}, closed=str(row[5]) == "1")


def _interest(row: Any) -> Row:
    at, _, coins, money = cells(row, 4)[:4]
    return Row(int(at), {"open_interest": number(coins), "open_interest_usd": number(money)})


def _settlement(row: Any, contract: Contract) -> Row:
    if row.get("instId", contract.name) != contract.name:
        raise NonsenseError(f"funding of {str(row['instId'])[:40]!r} came")
    paid = row.get("realizedRate") or cell(row, "fundingRate")  # what was paid, beside what was announced
    return settled(cell(row, "fundingTime"), number(paid))
