"""A fetch from a venue that goes wrong in every way: what is kept afterwards is the truth, and the fault has a name."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from midas_engine.market.fetch import Fetch, Order, StoreSink, Summary, open_venue
from midas_engine.market.funding import align_funding
from midas_engine.market.panel import Panel
from midas_engine.market.store import MarketStore
from tests.helpers_exchange import HOUR
from tests.helpers_venue import COLUMNS, EagerClock, FakeVenue, Wire, rate, truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ccxt = pytest.importorskip("ccxt")
NOW = datetime(2025, 3, 1, 12, 30, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
END = NOW_MS // HOUR * HOUR
SYMBOLS = ("BTCUSDT", "ETHUSDT")
BARS = 60
SINCE = END - BARS * HOUR


class Desk:
    """One fetch after another into one store."""

    def __init__(self, folder: Path, venue: FakeVenue, *, local: timedelta = timedelta(0)) -> None:
        self.venue = venue
        self.clock = EagerClock(NOW + local)
        self.sink = StoreSink(MarketStore(folder, clock=self.clock), self.clock)
        self.told: list[str] = []

    async def fetch(self, *, again: bool = False, name: str = "binance") -> Summary:
        source = open_venue(name, urls=self.venue.urls)
        source.client.enableRateLimit = False
        source.client.timeout = 300
        fetching = Fetch(source, self.clock, tell=self.told.append, rng=random.Random(1))
        try:
            plan = await fetching.plan(Order(SYMBOLS, "1h", SINCE, END, again=again))
            return await fetching.run(plan, self.sink)
        finally:
            await source.close()

    def true(self) -> None:
        for symbol in SYMBOLS:
            held = self.sink.held("binance", "1h", symbol, COLUMNS)
            pd.testing.assert_frame_equal(held, truth(symbol, SINCE, END), check_freq=False, check_index_type=False)
            paid = self.sink.held("binance", "1h", symbol, ("funding_rate", "funding_paid"))
            pd.testing.assert_frame_equal(paid, settled(SINCE, END), check_freq=False, check_names=False)


def settled(begin: int, end: int) -> pd.DataFrame:
    """What the importer's own alignment makes of the true settlements."""
    times = (begin + np.arange((end - begin) // HOUR) * HOUR).astype("datetime64[ms]").astype("datetime64[ns]")
    stamps = [t for t in range(begin - 72 * HOUR, NOW_MS, HOUR) if t % (8 * HOUR) == 0]
    rows = pd.DataFrame({"timestamp": pd.to_datetime(stamps, unit="ms", utc=True), "symbol": "x"})
    fields = align_funding(Panel(times, ("x",), {}, 3600), rows.assign(funding_rate=[rate(t) for t in stamps]))
    index = pd.DatetimeIndex(times, name="timestamp").tz_localize("UTC")
    return pd.DataFrame({name: values[:, 0] for name, values in fields.items()}, index=index)


def first(count: int, make: Callable[[Any], Any]) -> Callable[[str, int, Any], Any]:
    """The first `count` answers of every kind are wrong, then it is well."""
    return lambda name, times, answer: make(answer) if times <= count else None


def rows_only(count: int, make: Callable[[list[Any]], Any]) -> Callable[[str, int, Any], Any]:
    """The same for lists of rows."""

    def wrong(name: str, times: int, answer: Any) -> Any:
        return make(answer) if isinstance(answer, list) and answer and times <= count else None

    return wrong


def klines(count: int, make: Callable[[list[Any]], Any]) -> Callable[[str, int, Any], Any]:
    """The same for candles alone."""
    return lambda name, times, answer: make(answer) if name == "klines" and answer and times <= count else None


def text(body: str, **more: Any) -> Callable[[Any], Wire]:
    return lambda _: Wire(body.encode(), **more)


def changed(rows: list[Any], place: int, cell: int, value: Any) -> list[Any]:
    out = [list(row) for row in rows]
    out[place][cell] = value
    return out


def shuffled(rows: list[Any]) -> list[Any]:
    out = list(rows)
    random.Random(3).shuffle(out)
    return out


ALWAYS = 10_000
SCRIPTS: dict[str, tuple[Callable[[str, int, Any], Any], str]] = {
    "cut before the first byte": (first(2, lambda _: Wire(raw=b"")), "cut off"),
    "cut inside the head": (first(2, lambda _: Wire(raw=b"HTTP/1.1 200 OK\r\nContent-Ty")), "cut off"),
    "cut inside the body": (
        first(2, lambda a: Wire(json.dumps(a).encode()[:40], length=len(json.dumps(a)))),
        "cut off",
    ),
    "no HTTP at all": (first(2, lambda _: Wire(raw=b"SSH-2.0-OpenSSH_9.6\r\n\r\n")), "cut off"),
    "429 with a time": (first(2, text("{}", status=429, headers="Retry-After: 7\r\n")), "fewer requests"),
    "429 without": (first(2, text("{}", status=429)), "fewer requests"),
    "418 with a time": (first(1, text("{}", status=418, headers="Retry-After: 120\r\n")), "fewer requests"),
    "429 in the body": (first(2, text('{"code":-1003,"msg":"Too many requests"}', status=400)), "fewer requests"),
    "500": (first(2, text("oops", status=500)), "out of order"),
    "502 with a page": (first(2, text("<html>bad gateway</html>", status=502, kind="text/html")), "out of order"),
    "503 and nothing": (first(2, text("", status=503)), "out of order"),
    "an object": (first(2, lambda _: {"code": 0}), "not its own"),
    "an object of the exchange's": (first(1, lambda _: {"code": -1121, "msg": "Invalid symbol."}), "no such contract"),
    "null": (first(2, text("null")), "not its own"),
    "a text": (first(2, text('"maintenance"')), "not its own"),
    "a number": (first(2, text("0")), "not its own"),
    "half a JSON": (first(2, text('[[1740787200000, "1", "1"')), "not its own"),
    "a page of HTML as 200": (first(2, text("<html>login</html>", kind="text/html")), "not its own"),
    "rows that are null": (rows_only(2, lambda rows: [None] * len(rows)), "not its own"),
    "rows that are too short": (klines(2, lambda rows: [r[:3] for r in rows]), "not its own"),
    "stamps in seconds": (klines(2, lambda rows: [[r[0] // 1000, *r[1:]] for r in rows]), "not its own"),
    "stamps that are null": (klines(2, lambda rows: [[None, *r[1:]] for r in rows]), "not its own"),
    "words for figures": (klines(2, lambda rows: changed(rows, 3, 4, "dear")), "not its own"),
    "a price of nothing": (klines(2, lambda rows: changed(rows, 3, 4, "0.0")), "cannot be"),
    "a price below zero": (klines(2, lambda rows: changed(rows, 5, 3, "-3")), "cannot be"),
    "NaN for a price": (klines(2, lambda rows: changed(rows, 5, 1, "NaN")), "cannot be"),
    "a high below the low": (klines(2, lambda rows: changed(rows, 9, 2, "0.5")), "cannot be"),
    "a bar twice, with other figures": (klines(2, lambda rows: [*rows, *changed(rows[:1], 0, 5, "77")]), "cannot be"),
    "every bar twice": (rows_only(ALWAYS, lambda rows: [r for r in rows for _ in (0, 1)]), "duplicate"),
    "newest first": (rows_only(ALWAYS, lambda rows: rows[::-1]), ""),
    "in no order": (rows_only(ALWAYS, shuffled), "disordered"),
    "nothing, at first": (rows_only(1, lambda _: []), ""),
    "half of it, at first": (rows_only(1, lambda rows: rows[: len(rows) // 2]), ""),
    "a hole, at first": (rows_only(1, lambda rows: [*rows[:1], *rows[3:]]), ""),
    "bars off the grid": (klines(ALWAYS, lambda rows: [*rows, [rows[-1][0] + 7, *rows[-1][1:]]]), "off-grid"),
    "bars of another year": (klines(ALWAYS, lambda rows: [[r[0] - 365 * 24 * HOUR, *r[1:]] for r in rows] + rows),
                             "foreign"),
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "word"), SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_what_is_kept_is_the_truth(tmp_path: Path, wrong: Callable[[str, int, Any], Any], word: str) -> None:
    async with FakeVenue(SYMBOLS, lambda: NOW_MS) as venue:
        desk = Desk(tmp_path, venue)
        venue.wrong = wrong
        summary = await desk.fetch()
        if summary.missing:  # an answer that was short in every way there is: the next run has it
            summary = await desk.fetch()
        desk.true()
        assert summary.missing == []
        assert summary.complete
        assert word in " ".join([*desk.told, summary.faults])


@pytest.mark.parametrize("local", [-72, -2, 2, 72], ids=lambda h: f"{h:+d} h")
async def test_a_wrong_clock_of_this_machine_keeps_no_running_bar(tmp_path: Path, local: int) -> None:
    async with FakeVenue(SYMBOLS, lambda: NOW_MS) as venue:
        desk = Desk(tmp_path, venue, local=timedelta(hours=local))
        await desk.fetch()
        desk.true()
