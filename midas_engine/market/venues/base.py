"""`Venue`: a venue's public history through ccxt; what every venue gives. Four have code of their own for more."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from midas_engine.market.venues.client import BAR_SECONDS, open_client
from midas_engine.market.venues.contract import SETTLES, Contract, usable_name
from midas_engine.market.venues.words import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CANDLES, MARK, OPEN_INTEREST, TAKER, FUNDING = "candles", "mark", "open_interest", "taker", "funding"
PRICES = ("open", "high", "low", "close")
# Every column a fetch may bring, in order.
COLUMNS = (
    *PRICES,
    "volume",
    "quote_volume",
    "trades",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "mark_close",
    "open_interest",
    "open_interest_usd",
    "funding_rate",
    "funding_paid",
)
FUNDING_COLUMNS = ("funding_rate", "funding_paid")
_MOST_FUNDING_PAGES = 200


class NonsenseError(ValueError):
    """An answer in another shape than the venue's documented one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One bar, snapshot or settlement of a venue.

    Attributes:
        at_ms: Its stamp; of a bar its open time.
        values: Figures by column.
        closed: Whether the venue calls it final; None where it does not say.
    """

    at_ms: int
    values: Mapping[str, float]
    closed: bool | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Columns that one kind of request brings.

    Attributes:
        name: candles, mark, open_interest, taker or funding.
        columns: What it brings; the first one says whether a bar is there.
        page: Bars that one request may ask for.
        keeps_days: How far back the venue keeps it; None: as far as the contract goes.
        keeps_bars: The same in bars.
        lengths: Bar sizes it is given at; empty: all.
        stamped_at_end: Whether a stamp is the instant of a snapshot, known to the bar that closes then.
    """

    name: str
    columns: tuple[str, ...]
    page: int = 1000
    keeps_days: float | None = None
    keeps_bars: int | None = None
    lengths: tuple[str, ...] = field(default=())
    stamped_at_end: bool = False

    def reaches(self, now_ms: int, bar_seconds: int) -> int:
        """The first instant (ms) the venue still gives; 0 where it keeps all."""
        spans = []
        if self.keeps_days is not None:
            spans.append(self.keeps_days * 86_400_000)
        if self.keeps_bars is not None:
            spans.append(float(self.keeps_bars * bar_seconds * 1000))
        return int(now_ms - min(spans)) if spans else 0


class Venue:
    """Any venue that ccxt knows: candles, and marks, open interest and funding where ccxt reads them.

    Args:
        name: What a person calls it.
        base_url: Another host for its addresses.
        urls: Replaces single addresses, by ccxt's names.

    Attributes:
        lists_closed: Whether it also lists contracts that no longer trade.
    """

    lists_closed = False

    def __init__(self, name: str, *, base_url: str = "", urls: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.client: Any = open_client(name, base_url=base_url, urls=urls)

    def groups(self, *, inverse: bool) -> tuple[Group, ...]:
        """What it can be asked for."""
        has = self.client.has
        found = [Group(CANDLES, (*PRICES, "volume"), page=500)]
        if has.get("fetchMarkOHLCV"):
            found.append(Group(MARK, ("mark_close",), page=200))
        if has.get("fetchOpenInterestHistory"):
            found.append(Group(OPEN_INTEREST, ("open_interest", "open_interest_usd"), page=100, stamped_at_end=True))
        if has.get("fetchFundingRateHistory"):
            found.append(Group(FUNDING, FUNDING_COLUMNS))
        return tuple(found)

    # -- contracts ---------------------------------------------------------------------------------

    def contract_name(self, market: Mapping[str, Any]) -> str:
        """The venue's own name of a market of ccxt's."""
        return str(market["id"])

    async def contracts(self) -> list[Contract]:
        """Every perpetual it lists: linear ones that settle in USDT or USDC, and inverse ones."""
        markets = await self.client.load_markets(True)
        found = []
        for market in markets.values():
            settle, inverse = str(market.get("settle") or ""), bool(market.get("inverse"))
            name = self.contract_name(market)
            if not market.get("swap") or not usable_name(name) or not (inverse or settle in SETTLES):
                continue
            created, size = market.get("created"), market.get("contractSize")
            active = market.get("active") is not False
            listed = int(created) if created else None
            found.append(Contract(name, str(market["symbol"]), settle, inverse, active, listed, float(size or 1.0)))
        if not found:
            raise NonsenseError("it lists no perpetual in USDT, USDC or coin")
        return found

    async def closed_contracts(self) -> list[Contract]:
        """Contracts that no longer trade, where it lists them apart."""
        return []

    def unlisted(self, name: str) -> Contract | None:
        """A contract to try that no list has; None where the venue cannot be asked by name alone."""
        return None

    async def turnover(self) -> dict[str, float]:
        """Quote volume of the last day by ccxt's name of the market."""
        tickers = await self.client.fetch_tickers()
        return {str(name): float((t or {}).get("quoteVolume") or 0.0) for name, t in tickers.items()}

    async def server_ms(self) -> int | None:
        """The venue's own time; None where it does not say."""
        if not self.client.has.get("fetchTime"):
            return None
        said = await self.client.fetch_time()
        if said is None:
            raise NonsenseError("a time belongs, and none came")
        return int(said)

    # -- rows --------------------------------------------------------------------------------------

    async def rows(self, group: Group, contract: Contract, bar: str, begin: int, end: int) -> list[Row]:
        """What it has of `group` from `begin` to before `end` (ms), in any order.

        Raises:
            NonsenseError: The answer has another shape.
            Exception: Whatever ccxt raises; `Asker` gives it a name.
        """
        client, market = self.client, contract.unified
        count = min(group.page, max(1, (end - begin) // (BAR_SECONDS[bar] * 1000)))
        if group.name == CANDLES:
            rows = as_list(await client.fetch_ohlcv(market, bar, begin, count, {"until": end - 1}))
            return [_candle(row) for row in rows]
        if group.name == MARK:
            rows = as_list(await client.fetch_mark_ohlcv(market, bar, begin, count, {"until": end - 1}))
            return [Row(int(cells(row, 5)[0]), {"mark_close": number(row[4])}) for row in rows]
        if group.name == OPEN_INTEREST:
            rows = as_list(await client.fetch_open_interest_history(market, bar, begin, count))
            return [
                Row(
                    int(cell(row, "timestamp")),
                    {
                        "open_interest": number(row.get("openInterestAmount")),
                        "open_interest_usd": number(row.get("openInterestValue")),
                    },
                )
                for row in rows
            ]
        return await self._settlements(market, begin, end)

    async def _settlements(self, market: str, begin: int, end: int) -> list[Row]:
        found: dict[int, Row] = {}
        since = begin
        for _ in range(_MOST_FUNDING_PAGES):
            page = as_list(await self.client.fetch_funding_rate_history(market, since, 1000))
            fresh = {int(cell(r, "timestamp")): number(cell(r, "fundingRate")) for r in page}
            new = {t: settled(t, rate) for t, rate in fresh.items() if t not in found and since <= t < end}
            if not new:
                break
            found |= new
            since = max(found) + 1
        return list(found.values())

    async def close(self) -> None:
        """Let go of its connections."""
        await self.client.close()


# -- reading answers -----------------------------------------------------------------------------------------------


def as_list(answer: Any) -> list[Any]:
    """The answer, where it is a list."""
    if not isinstance(answer, list | tuple):
        raise NonsenseError(f"a list belongs, and {shown(answer)} came")
    return list(answer)


def cells(row: Any, count: int) -> Sequence[Any]:
    """A row of at least `count` cells."""
    if not isinstance(row, list | tuple) or len(row) < count:
        raise NonsenseError(f"a row of {count} cells belongs, and {shown(row)} came")
    return row


def cell(row: Any, key: str) -> Any:
    """A cell of a row with named cells."""
    if not isinstance(row, dict) or key not in row:
        raise NonsenseError(f"a row with {key!r} belongs, and {shown(row)} came")
    return row[key]


def number(value: Any) -> float:
    """A figure; NaN where there is none."""
    return math.nan if value is None or value == "" else float(value)


def settled(at_ms: Any, rate: float) -> Row:
    """A settlement; venues stamp it some milliseconds after the minute it belongs to."""
    return Row(int(at_ms) // 60_000 * 60_000, {"funding_rate": rate})


def _candle(row: Any) -> Row:
    at, *figures = cells(row, 6)[:6]
    return Row(int(at), dict(zip((*PRICES, "volume"), map(number, figures), strict=True)))
