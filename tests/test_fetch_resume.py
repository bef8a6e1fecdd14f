"""A fetch that is killed, goes on, finds restated bars, is refused: with the real program and in this process."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from midas_engine.errors import FeedError
from midas_engine.market import load_panel
from midas_engine.market.fetch import Fetch, FolderSink, Order, open_venue
from tests.helpers_cli import ROOT, run_midas
from tests.helpers_exchange import HOUR
from tests.helpers_venue import COLUMNS, EagerClock, FakeVenue, InThread, Wire, truth

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ccxt = pytest.importorskip("ccxt")
NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)  # the program goes by the real time
NOW_MS = int(NOW.timestamp() * 1000)
END = NOW_MS // HOUR * HOUR
SINCE = END - 48 * HOUR
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def command(venue: FakeVenue, out: Path, *more: str) -> tuple[list[str], dict[str, str]]:
    since, until = (f"{datetime.fromtimestamp(t / 1000, UTC):%Y-%m-%dT%H:%M}" for t in (SINCE, END))
    args = ["data", "fetch", "binance", "--symbols", ",".join(SYMBOLS), "--since", since, "--until", until]
    return [*args, *more], {"MIDAS_VENUE_URL": venue.base, "MIDAS_STORE": str(out)}


def test_killed_anywhere_the_next_run_goes_on_to_the_same_panel(tmp_path: Path) -> None:
    with InThread(FakeVenue(SYMBOLS, lambda: NOW_MS)) as venue:
        for after in (5, 9):
            args, env = command(venue, tmp_path)
            child = subprocess.Popen(
                [sys.executable, "-m", "midas", *args],
                env={**os.environ, **env, "PYTHONPATH": str(ROOT)},
                cwd=tmp_path,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            seen = len(venue.asked)

            def kill(count: int, child: Any = child, last: int = seen + after) -> None:
                if count == last:
                    os.kill(child.pid, signal.SIGKILL)

            venue.on_request = kill
            assert child.wait(110) == -signal.SIGKILL
        venue.on_request = None
        args, env = command(venue, tmp_path, "--json")
        done = run_midas(*args, cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    assert done.document["complete"] is True
    assert done.document["source"] == "store:binance@1h"
    panel = load_panel("store:binance@1h", store=tmp_path)
    assert panel.symbols == SYMBOLS
    for symbol in SYMBOLS:
        column = panel.symbols.index(symbol)
        for name, values in truth(symbol, SINCE, END).items():
            assert panel.values(str(name))[:, column].tolist() == values.tolist()
    assert (panel.values("funding_paid") != 0).sum(axis=0).tolist() == [
        sum(t % (8 * HOUR) == 0 and (t // (8 * HOUR)) % 5 != 2 for t in range(SINCE + HOUR, END + HOUR, HOUR))
    ] * 2


class DyingSink(FolderSink):
    """Dies before, or in the middle of, its n-th write."""

    def __init__(self, root: Path, left: int) -> None:
        super().__init__(root)
        self.left = left

    def write(
        self, venue: str, bar: str, symbol: str, frame: pd.DataFrame, provenance: Mapping[str, str | int]
    ) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(28, "No space left on device")
        super().write(venue, bar, symbol, frame, provenance)


async def fetch(venue: FakeVenue, sink: FolderSink, order: Order, **more: Any) -> Any:
    source = open_venue(more.pop("name", "binance"), urls=venue.urls)
    source.client.enableRateLimit = False
    fetching = Fetch(source, EagerClock(NOW), rng=random.Random(1), **more)
    try:
        plan = await fetching.plan(order)
        return plan, await fetching.run(plan, sink)
    finally:
        await source.close()


async def test_a_restated_bar_is_said_and_the_new_one_kept(tmp_path: Path) -> None:
    order = Order(SYMBOLS, "1h", SINCE, END)
    at = END - 5 * HOUR

    def restate(name: str, times: int, answer: Any) -> Any:
        rows = [list(r) for r in answer] if name == "klines" else []
        for row in rows:
            if row[0] == at:
                row[5] = "123.0"
        return rows or None

    async with FakeVenue(SYMBOLS, lambda: NOW_MS) as venue:
        sink = FolderSink(tmp_path)
        _, first = await fetch(venue, sink, order)
        asked = len(venue.asked)
        _, second = await fetch(venue, sink, order)
        assert (first.restated, second.restated) == ([], [])
        assert sum(second.rows.values()) == 0
        assert len(venue.asked) - asked <= asked
        venue.wrong = restate
        _, third = await fetch(venue, sink, order)
    assert [(s, n, t) for s, _, n, t in third.restated] == [(s, 1, at) for s in SYMBOLS]
    for symbol in SYMBOLS:
        expected = truth(symbol, SINCE, END)
        expected.loc[pd.Timestamp(at, unit="ms", tz="UTC"), "volume"] = 123.0
        pd.testing.assert_frame_equal(sink.held("binance", "1h", symbol, COLUMNS), expected, check_freq=False,
                                      check_index_type=False)  # fmt: skip
    said = (tmp_path / "provenance.jsonl").read_text().splitlines()
    assert '"restated": 1' in said[-1]


@pytest.mark.parametrize("writes", [0, 1, 3])
async def test_ended_at_a_write_the_next_run_is_whole(tmp_path: Path, writes: int) -> None:
    order = Order(SYMBOLS, "1h", SINCE, END)
    async with FakeVenue(SYMBOLS, lambda: NOW_MS) as venue:
        with pytest.raises(OSError, match="No space"):
            await fetch(venue, DyingSink(tmp_path, writes), order)
        sink = FolderSink(tmp_path)
        await fetch(venue, sink, order)
    for symbol in SYMBOLS:
        pd.testing.assert_frame_equal(sink.held("binance", "1h", symbol, COLUMNS), truth(symbol, SINCE, END),
                                      check_freq=False, check_index_type=False)  # fmt: skip


@pytest.mark.parametrize("status", [403, 451])
async def test_a_venue_that_does_not_serve_here_is_named_with_the_way_out(tmp_path: Path, status: int) -> None:
    async with FakeVenue(SYMBOLS, lambda: NOW_MS) as venue:
        venue.wrong = lambda name, times, answer: Wire(b"restricted location", status=status)
        with pytest.raises(FeedError, match=f"binance refuses this address.*HTTP {status}") as caught:
            await fetch(venue, FolderSink(tmp_path), Order(SYMBOLS, "1h", SINCE, END))
    assert len(venue.asked) == 1  # it is not asked again
    assert all(word in caught.value.hint for word in ("HTTPS_PROXY", "venue_url", "midas data import"))


async def test_a_ban_of_hours_is_not_waited_for(tmp_path: Path) -> None:
    async with FakeVenue(SYMBOLS, lambda: NOW_MS) as venue:
        venue.wrong = lambda name, times, answer: Wire(b"{}", status=418, headers="Retry-After: 7200\r\n")
        with pytest.raises(FeedError, match="asks for fewer requests.*7200 s"):
            await fetch(venue, FolderSink(tmp_path), Order(SYMBOLS, "1h", SINCE, END))


async def test_what_a_venue_cannot_give_is_said_before_the_start(tmp_path: Path) -> None:
    async with FakeVenue(SYMBOLS, lambda: NOW_MS, listed=END - 100 * HOUR) as venue:
        plan, summary = await fetch(venue, FolderSink(tmp_path), Order(SYMBOLS, "1h", END - 60 * 24 * HOUR, END))
    assert [n for n in plan.notes if "open_interest, open_interest_usd before" in n and "keeps 30 days" in n]
    # before their listing nothing is missing
    assert summary.missing == []


async def test_the_most_traded_as_of_the_first_day_and_with_hindsight(tmp_path: Path) -> None:
    order = Order(("top:1",), "1h", SINCE, END)
    async with FakeVenue(("AAAUSDT", "ZZZUSDT"), lambda: NOW_MS) as venue:
        plan, _ = await fetch(venue, FolderSink(tmp_path / "a"), order)
        turnover = {s: sum(truth(s, SINCE - 24 * HOUR, SINCE)["quote_volume"]) for s in venue.symbols}
        assert [c.name for c in plan.contracts] == [max(turnover, key=lambda s: turnover[s])]
        assert plan.picked.startswith("the most traded of the 30 days before")
        assert any("knows who survived" in n for n in plan.notes)
        venue.listed = END - 30 * HOUR  # nobody traded before the first day: only today's turnover is left
        plan, _ = await fetch(venue, FolderSink(tmp_path / "b"), order)
        assert [c.name for c in plan.contracts] == ["AAAUSDT"]
        assert plan.picked.startswith("picked with hindsight")
    assert "picked with hindsight" in (tmp_path / "b" / "provenance.jsonl").read_text()


async def test_a_delisted_contract_can_be_named_and_an_unknown_one_is_not_made_up(tmp_path: Path) -> None:
    async with FakeVenue(("BTCUSDT",), lambda: NOW_MS) as venue:
        plan, summary = await fetch(venue, FolderSink(tmp_path), Order(("LUNAUSDT",), "1h", SINCE, END))
        assert summary.rows["LUNAUSDT"] > 0
        assert any("trades no more" in n for n in plan.notes)
        venue.answers["klines"] = lambda q: []
        with pytest.raises(FeedError, match="binance knows no perpetual 'BTCUSD'") as caught:
            await fetch(venue, FolderSink(tmp_path), Order(("BTCUSD",), "1h", SINCE, END))
        assert "BTCUSDT" in caught.value.hint


def test_twenty_symbols_to_a_verdict_in_two_commands(tmp_path: Path) -> None:
    names = tuple(f"C{i:02d}USDT" for i in range(20))
    since = f"{datetime.fromtimestamp((END - 300 * HOUR) / 1000, UTC):%Y-%m-%d}"
    with InThread(FakeVenue(names, lambda: NOW_MS)) as venue:
        env = {"MIDAS_VENUE_URL": venue.base, "MIDAS_STORE": str(tmp_path / "store"), "MIDAS_KB": str(tmp_path / "kb")}
        got = run_midas("data", "fetch", "binance", "--symbols", "top:20", "--since", since, cwd=tmp_path, env=env)
        assert got.code == 0, got.err
        assert "about" not in got.out  # progress is not the result
        assert "no open_interest" not in got.err
    verdict = run_midas("evaluate", "cs_rank(delta(mark_close, 24))", "--data", "store:binance@1h", "--json",
                        cwd=tmp_path, env=env)  # fmt: skip
    assert verdict.code == 0, verdict.err
    assert len(verdict.document["verdicts"]) == 6
    assert verdict.document["evaluation"]["bars_scored"] > 0


async def test_progress_knows_from_the_first_answer_how_much_there_is(tmp_path: Path) -> None:
    seen: list[Any] = []
    async with FakeVenue(SYMBOLS, lambda: NOW_MS) as venue:
        order = Order(SYMBOLS, "1h", END - 1500 * HOUR, END)
        _, summary = await fetch(venue, FolderSink(tmp_path), order, progress=seen.append)
    assert len(seen) == summary.requests
    assert {p.total for p in seen} == {summary.requests}
    assert seen[-1].seconds_left == 0.0
    assert seen[0].seconds_left is not None
