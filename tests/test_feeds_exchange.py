"""Live bars through the real client library, from an exchange on loopback."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from midas_engine.clock import ManualClock
from midas_engine.errors import FeedError
from midas_engine.market.feeds import ExchangeSource, PollingFeed, is_live, open_source
from tests.helpers_exchange import HOUR, FakeExchange, close_of
from tests.helpers_venue import FakeVenue, truth

ccxt = pytest.importorskip("ccxt")
NOW = datetime(2025, 3, 1, 12, 30, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


async def test_history_of_named_symbols_through_the_client_library() -> None:
    async with FakeExchange(SYMBOLS, lambda: NOW_MS) as exchange:
        source = ExchangeSource("binance", ("ETHUSDT", "BTCUSDT"), urls=exchange.urls, columns=())
        feed = PollingFeed(source, ManualClock(NOW))
        try:
            panel = await feed.history(1200)
        finally:
            await feed.close()
    assert panel.symbols == ("ETHUSDT", "BTCUSDT")
    assert (panel.T, str(panel.timestamps[-1])[:16]) == (1200, "2025-03-01T11:00")
    times = panel.timestamps.astype("datetime64[ms]").astype(int)
    np.testing.assert_array_equal(panel.values("close")[:, 1], [close_of("BTCUSDT", t) for t in times])
    assert (panel.values("funding_paid")[:, 0] != 0).sum() == 1200 // 8
    assert set(np.unique(panel.values("funding_rate"))) == {0.0001}


async def test_without_names_the_most_traded_come() -> None:
    async with FakeExchange(SYMBOLS, lambda: NOW_MS) as exchange:
        source = ExchangeSource("binance", urls=exchange.urls)
        try:
            assert await source.symbols() == SYMBOLS
        finally:
            await source.close()


async def test_an_unknown_symbol_is_named() -> None:
    async with FakeExchange(SYMBOLS, lambda: NOW_MS) as exchange:
        source = ExchangeSource("binance", ("BTCUSD",), urls=exchange.urls)
        try:
            with pytest.raises(FeedError, match="binance has no perpetual BTCUSD in USDT or USDC"):
                await source.symbols()
        finally:
            await source.close()


@pytest.mark.parametrize("status", [418, 429, 500, 503])
async def test_refusals_of_the_exchange_are_feed_errors(status: int) -> None:
    async with FakeExchange(SYMBOLS, lambda: NOW_MS) as exchange:
        source = ExchangeSource("binance", ("BTCUSDT",), urls=exchange.urls)
        try:
            await source.symbols()
            exchange.fail = [status] * 3
            with pytest.raises(FeedError, match="binance did not give bars of BTCUSDT"):
                await source.candles("BTCUSDT", NOW_MS - 7_200_000)
            exchange.fail = []
            assert len(await source.candles("BTCUSDT", NOW_MS - 7_200_000)) == 2
        finally:
            await source.close()


async def test_an_exchange_that_is_not_there_is_a_feed_error() -> None:
    source = ExchangeSource("binance", ("BTCUSDT",), urls={"fapiPublic": "http://127.0.0.1:9/fapi/v1"})
    try:
        with pytest.raises(FeedError, match="binance did not give its list of markets"):
            await source.symbols()
    finally:
        await source.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("live:", "names no feed"),
        ("live:nowhere", "ccxt knows no exchange 'nowhere'"),
        ("live:binance@7h", "no bar size '7h'"),
        ("follow:", "names no feed"),
    ],
)
def test_sources_are_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(FeedError, match=message):
        open_source(text)


async def test_sources_as_a_user_writes_them() -> None:
    source = open_source("live:binance:btcusdt, ETHUSDT@5m")
    assert (source.name, source.bar_seconds) == ("binance", 300)
    await source.close()
    assert is_live("follow:bars.parquet")
    assert not is_live("synthetic:7")


async def test_live_bars_have_every_column_the_venue_gives() -> None:
    async with FakeVenue(("BTCUSDT",), lambda: NOW_MS) as exchange:
        source = ExchangeSource("binance", ("BTCUSDT",), urls=exchange.urls)
        source._client.enableRateLimit = False
        feed = PollingFeed(source, ManualClock(NOW))
        try:
            panel = await feed.history(30)
        finally:
            await feed.close()
    end = NOW_MS // HOUR * HOUR
    for name, values in truth("BTCUSDT", end - 30 * HOUR, end).items():
        assert panel.values(str(name))[:, 0].tolist() == values.tolist(), name
    assert {"vwap", "funding_rate", "funding_paid"} <= set(panel.columns)


async def test_an_outage_of_the_marks_is_none_of_the_bars() -> None:
    async with FakeVenue(("BTCUSDT",), lambda: NOW_MS) as exchange:
        exchange.answers["markPriceKlines"] = lambda _: {"code": 0}
        source = ExchangeSource("binance", ("BTCUSDT",), urls=exchange.urls)
        source._client.enableRateLimit = False
        feed = PollingFeed(source, ManualClock(NOW))
        try:
            panel = await feed.history(30)
        finally:
            await feed.close()
    assert np.isnan(panel.values("mark_close")).all()
    assert np.isfinite(panel.values("open_interest")).all()
