"""Each venue in its own words: every column it gives, against one truth; recorded answers; kinds never mixed."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from midas_engine.errors import FeedError
from midas_engine.market.feeds import ExchangeSource
from midas_engine.market.fetch import Fetch, FolderSink, Order, Plan, Summary, Venue, open_venue
from midas_engine.market.venues.contract import Contract
from tests.helpers_dialects import RECORDED, FakeBybit, FakeHyperliquid, FakeOkx
from tests.helpers_exchange import HOUR
from tests.helpers_venue import COLUMNS, EagerClock, FakeVenue, truth

if TYPE_CHECKING:
    from pathlib import Path

ccxt = pytest.importorskip("ccxt")
NOW = datetime(2025, 3, 1, 12, 30, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
END = NOW_MS // HOUR * HOUR
PRICES = ("open", "high", "low", "close", "volume")


async def fetched(source: Venue, sink: FolderSink, order: Order) -> tuple[Plan, Summary]:
    source.client.enableRateLimit = False
    fetching = Fetch(source, EagerClock(NOW), rng=random.Random(1))
    try:
        plan = await fetching.plan(order)
        return plan, await fetching.run(plan, sink)
    finally:
        await source.close()


SPOKEN: dict[str, tuple[type[FakeVenue], tuple[str, ...], tuple[str, ...]]] = {
    "bybit": (FakeBybit, ("BTCUSDT", "ETHPERP"), (*PRICES, "quote_volume", "mark_close", "open_interest")),
    "okx": (
        FakeOkx,
        ("BTC-USDT-SWAP", "ETH-USDC-SWAP"),
        (*PRICES, "quote_volume", "taker_buy_volume", "mark_close", "open_interest", "open_interest_usd"),
    ),
    "hyperliquid": (FakeHyperliquid, ("BTC", "kPEPE"), (*PRICES, "trades")),
}


@pytest.mark.parametrize(("name", "spoken"), SPOKEN.items(), ids=SPOKEN.keys())
async def test_every_column_a_venue_gives_is_the_truth(
    tmp_path: Path, name: str, spoken: tuple[type[FakeVenue], tuple[str, ...], tuple[str, ...]]
) -> None:
    kind, symbols, columns = spoken
    since = END - 260 * HOUR  # more than one page of each
    async with kind(symbols, lambda: NOW_MS) as exchange:
        sink = FolderSink(tmp_path)
        plan, summary = await fetched(open_venue(name, base_url=exchange.base), sink, Order(symbols, "1h", since))
    assert summary.missing == []
    assert summary.faults == ""
    for symbol in symbols:
        held = sink.held(name, "1h", symbol, COLUMNS)
        expected = truth(symbol, since, END)[list(columns)]
        pd.testing.assert_frame_equal(held[list(columns)], expected, check_freq=False, check_index_type=False)
        assert set(held.columns) == set(columns)
        paid = sink.held(name, "1h", symbol, ("funding_paid",))["funding_paid"]
        assert (paid != 0).any()
    lacking = [c for c in COLUMNS if c not in columns]
    assert all(any(c in note for note in plan.notes) for c in lacking)


@pytest.mark.parametrize(("name", "symbol"), [("bybit", "BTCUSD"), ("okx", "BTC-USD-SWAP")])
async def test_inverse_contracts_count_coins_and_lie_apart(tmp_path: Path, name: str, symbol: str) -> None:
    kind = FakeBybit if name == "bybit" else FakeOkx
    async with kind((symbol,), lambda: NOW_MS) as exchange:
        sink = FolderSink(tmp_path)
        order = Order((symbol,), "1h", END - 10 * HOUR, END)
        plan, _ = await fetched(open_venue(name, base_url=exchange.base), sink, order)
    assert plan.market == f"{name}-inverse"
    held = sink.held(plan.market, "1h", symbol, ("volume", "quote_volume"))
    expected = truth(symbol, END - 10 * HOUR, END)[["volume", "quote_volume"]]
    pd.testing.assert_frame_equal(held, expected, check_freq=False, check_index_type=False)


async def test_inverse_and_linear_are_never_mixed(tmp_path: Path) -> None:
    symbols = ("BTCUSDT", "BTCUSD")
    async with FakeBybit(symbols, lambda: NOW_MS) as exchange:
        source = open_venue("bybit", base_url=exchange.base)
        with pytest.raises(FeedError, match="BTCUSDT is linear and BTCUSD is inverse"):
            await fetched(source, FolderSink(tmp_path), Order(symbols, "1h", END - 10 * HOUR))


async def test_closed_contracts_of_bybit_rank_with_the_others(tmp_path: Path) -> None:
    async with FakeBybit(("BTCUSDT",), lambda: NOW_MS) as exchange:
        exchange.closed = ("LUNAUSDT",)
        source = open_venue("bybit", base_url=exchange.base)
        plan, _ = await fetched(source, FolderSink(tmp_path), Order(("top:2",), "1h", END - 10 * HOUR, END))
    assert {c.name for c in plan.contracts} == {"BTCUSDT", "LUNAUSDT"}
    assert plan.picked == "the most traded of the 30 days before 2025-03-01 02:00"


async def test_any_venue_of_ccxt_gives_what_ccxt_reads(tmp_path: Path) -> None:
    async with FakeVenue(("BTCUSDT",), lambda: NOW_MS) as exchange:
        source = Venue("binanceusdm", urls=exchange.urls)  # the plain one: nothing but ccxt's own methods
        sink = FolderSink(tmp_path)
        await fetched(source, sink, Order(("BTC/USDT:USDT",), "1h", END - 48 * HOUR, END))
    columns = (*PRICES, "mark_close", "open_interest", "open_interest_usd")
    held = sink.held("binanceusdm", "1h", "BTCUSDT", columns)
    pd.testing.assert_frame_equal(
        held, truth("BTCUSDT", END - 48 * HOUR, END)[list(columns)], check_freq=False, check_index_type=False
    )


def _figures(**known: float) -> dict[str, float]:
    return known


# what is asked, the answer, the contract, and what the first row says
ANSWERS: list[tuple[str, str, str, str, int, dict[str, float]]] = [
    ("binance", "candles", "binance klines", "X", 1499040000000, _figures(
        open=0.01634790, high=0.8, low=0.015758, close=0.015771, volume=148976.11427815, quote_volume=2434.19055334,
        trades=308, taker_buy_volume=1756.87402397, taker_buy_quote_volume=28.46694368)),
    ("binance", "mark", "binance mark_price_klines", "X", 1591256460000, _figures(mark_close=9653.07367333)),
    ("binance", "open_interest", "binance open_interest_historical", "BTCUSDT", 1583127900000,
     _figures(open_interest=20403.637, open_interest_usd=150570784.07809979)),
    ("binance", "funding", "binance funding_rate", "BTCUSDT", 1570608000000, _figures(funding_rate=-0.0375)),
    ("bybit", "candles", "bybit klines_linear", "BTCUSDT", 1709891679000, _figures(
        open=27450, high=27460, low=27440, close=27455, volume=123.45, quote_volume=3390000)),
    ("bybit", "funding", "bybit funding_history", "BTCUSDT", 1709884800000, _figures(funding_rate=0.0001)),
    ("okx", "candles", "okx candlesticks_full", "BTC-USDT-SWAP", 1747094040000, _figures(
        open=102806.1, high=102820.4, low=102806.1, close=102820.4, volume=10.4037, quote_volume=1069603.34883)),
    ("okx", "funding", "okx funding_rate_history", "BTC-USDT-SWAP", 1704067200000, _figures(funding_rate=0.00015)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "group", "key", "symbol", "at", "expected"), ANSWERS, ids=lambda v: str(v)[:20])
async def test_recorded_answers_are_read(
    name: str, group: str, key: str, symbol: str, at: int, expected: dict[str, float]
) -> None:
    async with FakeVenue((symbol,), lambda: NOW_MS) as exchange:
        exchange.wrong = lambda path, times, answer: RECORDED[key]
        source = open_venue(name, base_url=exchange.base)
        try:
            found = {g.name: g for g in source.groups(inverse=False)}[group]
            rows = await source.rows(found, Contract(symbol), "1h", at - HOUR, at + HOUR)
        finally:
            await source.close()
    assert rows[0].at_ms == at
    assert {k: v for k, v in rows[0].values.items() if not math.isnan(v)} == pytest.approx(expected)


async def test_the_live_feed_obeys_the_address_and_names_hyperliquid_by_coin() -> None:
    async with FakeVenue(("BTCUSDT",), lambda: NOW_MS) as exchange:
        source = ExchangeSource("binance", ("BTCUSDT",), base_url=exchange.base)
        try:
            assert await source.symbols() == ("BTCUSDT",)
        finally:
            await source.close()


async def test_a_proxy_of_the_environment_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeVenue(("BTCUSDT",), lambda: NOW_MS) as proxy:
        asked: list[Any] = []
        proxy.wrong = lambda name, times, answer: asked.append(name)
        monkeypatch.setenv("HTTP_PROXY", proxy.base)
        monkeypatch.setenv("http_proxy", proxy.base)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        source = open_venue("binance", base_url="http://venue.example")
        source.client.enableRateLimit = False
        try:
            assert [c.name for c in await source.contracts()] == ["BTCUSDT"]
        finally:
            await source.close()
    assert asked == ["exchangeInfo"]
    assert proxy.queries[0][0].endswith("/fapi/v1/exchangeInfo")
