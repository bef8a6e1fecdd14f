"""Fills come in: each once, what cannot be right is said, and slippage per feature reaches the monitor."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock
from midas_engine.errors import DataError, SettingsError
from midas_engine.events import FaultReported
from midas_engine.kb import KnowledgeBase
from midas_engine.market import Panel
from midas_engine.outbound import Source
from midas_engine.outbound.destination import Address
from midas_engine.outbound.fill_input import FillInput
from midas_engine.outbound.fill_sources import FillDoor, FillFile, FillTrades
from midas_engine.outbound.fills import cost_of, read_fill
from midas_engine.outbound_settings import OutboundSettings
from midas_engine.runtime import Runtime
from midas_engine.settings import CostSettings
from tests.helpers_cli import call_midas
from tests.helpers_exchange import FakeExchange
from tests.helpers_outbound import SECRET
from tests.test_runtime_live import LiveRuntime, _at, market

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

__all__ = ["market"]  # a fixture

NOW = datetime(2026, 1, 3, tzinfo=UTC)


def bars(count: int = 60, symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")) -> Panel:
    """Hourly closes that move by 1 % up and down about 100; 400 are traded in each."""
    times = np.datetime64("2026-01-03") - np.arange(count)[::-1] * np.timedelta64(3600, "s") - np.timedelta64(3600, "s")
    close = np.where(np.arange(count) % 2, 101.0, 100.0)[:, None] * np.ones(len(symbols))
    fields = {"close": close, "volume": np.full(close.shape, 400.0)}
    return Panel(times.astype("datetime64[ns]"), symbols, fields, 3600)


def fill(**changes: Any) -> dict[str, Any]:
    body = {"id": "f1", "time": (NOW - timedelta(seconds=1)).isoformat(), "symbol": "BTC/USDT:USDT", "side": "buy"}
    return {**body, "price": 100.5, "qty": 4, "feature": "carry", **changes}


def test_realised_and_expected_come_from_price_spread_and_size() -> None:
    panel, costs = bars(), CostSettings(half_spread_bps=1.5, slippage_bps=9.0)
    last = float(panel.values("close")[-2, 0])  # the newest bar closes at NOW
    found, strange = read_fill(fill(), NOW)
    realised, expected = cost_of(found, panel, costs)
    assert strange == []
    assert realised == pytest.approx((100.5 / last - 1) * 1e4)
    moves = np.diff(np.log(panel.values("close")[-49:-1, 0]))
    assert expected == pytest.approx(1.5 + moves.std() * 1e4 * np.sqrt(4 / 400))
    sold, _ = read_fill(fill(side="SELL"), NOW)
    assert cost_of(sold, panel, costs)[0] == pytest.approx(-realised)
    larger, _ = read_fill(fill(qty=16), NOW)
    assert cost_of(larger, panel, costs)[1] - 1.5 == pytest.approx(2 * (expected - 1.5))
    spread = Panel(panel.timestamps, panel.symbols, {**panel.fields, "spread_bps": np.full((60, 2), 8.0)}, 3600)
    assert cost_of(found, spread, costs)[1] == pytest.approx(expected + 2.5)
    bare = Panel(panel.timestamps, panel.symbols, {"close": panel.values("close")}, 3600)
    assert cost_of(found, bare, costs)[1] == pytest.approx(10.5)
    given, _ = read_fill(fill(slippage_bps=3.0, expected_bps=2.0), NOW)
    assert cost_of(given, panel, costs) == (3.0, 2.0)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"price": None}, "without price"),
        ({"side": "up"}, "neither buy nor sell"),
        ({"price": "12,5"}, "no number"),
        ({"price": -1}, "cannot be right"),
        ({"qty": 0}, "cannot be right"),
        ({"qty": "nan"}, "cannot be right"),
        ({"price": 10050.0}, "bps from the last close"),
        ({"price": 0.01005}, "bps from the last close"),
        ({"slippage_bps": 5000}, "more than 1000 bps"),
        ({"time": "2027-01-01"}, "cannot be right"),
        ({"time": 12}, "cannot be right"),
        ({"time": "noon"}, "cannot be read"),
        ({"time": "2025-06-01T00:00:00Z"}, "no bar of BTCUSDT had closed"),
        ({"symbol": "DOGEUSDT"}, "not on the market"),
        ({"qty": 4001}, "10 times the largest of the last 48 bars"),
        ({"qty": 1e30}, "no fill is that large"),
        ({"qty": -1e9}, "no fill is that large"),
        ({"feature": ["carry"]}, "is no name"),
        ({"feature": 3}, "is no name"),
        ({"price": None, "prize": 100.5}, r"without price \(keys that mean nothing here: prize\)"),
    ],
)
def test_what_cannot_be_right_is_refused(changes: dict[str, Any], wanted: str) -> None:
    with pytest.raises(DataError, match=wanted):
        cost_of(read_fill(fill(**changes), NOW)[0], bars(), CostSettings())


def test_times_come_in_any_unit() -> None:
    moment = NOW - timedelta(hours=1)
    for unit in (1, 1_000, 1_000_000, 1_000_000_000):
        assert read_fill(fill(time=int(moment.timestamp() * unit)), NOW)[0].at == moment


class Desk:
    """The input with a market and a monitor that watches carry and trend."""

    def __init__(self, folder: Path, panel: Panel) -> None:
        bus, self.live = EventBus(), SimpleNamespace(fills=None)
        fleet = SimpleNamespace(names=["carry", "trend"])
        self.source = Source(
            KnowledgeBase(folder / "kb"),
            bus,
            ManualClock(NOW),
            panel=lambda: panel,
            monitor=lambda: SimpleNamespace(fleet=fleet),
            live=lambda: self.live,
        )
        self.faults = bus.subscribe("test", FaultReported)

    def said(self) -> list[str]:
        return [e.message for e in self.faults.take() if isinstance(e, FaultReported)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is a file, or another thread
            await asyncio.sleep(0.005)


async def test_a_file_is_followed_each_fill_once_over_restarts(tmp_path: Path) -> None:
    path, desk = tmp_path / "fills.jsonl", Desk(tmp_path, bars())
    path.write_text(json.dumps(fill()) + "\n" + json.dumps(fill(id="f2", feature="trend", colour="red")) + "\n{oops\n")
    for turn in range(2):
        inputs = FillInput(desk.source, [FillFile(Address("desk", "file", str(path)), desk.source)])
        await inputs.start()
        if not turn:
            await until(lambda i=inputs: i.taken == 2 and i.refused == 1)
            with path.open("a") as file:
                file.write(json.dumps(fill()) + "\n" + json.dumps(fill(id="f3", price=101.0, qty=12)) + "\n")
                file.write(json.dumps(fill(id="f4", feature="nobody")) + "\n" + '{"half": ')
            await until(lambda i=inputs: i.taken == 3 and i.refused == 2)
            inputs._hear(FaultReported(at=NOW, where="x", message="x"))
            assert desk.live.fills == inputs.for_bar
            carry, trend = inputs.for_bar()
            assert (carry["feature"], trend["feature"]) == ("carry", "trend")
            assert carry["slippage_bps"] == pytest.approx((50 * 402 + 100 * 1212) / 1614, abs=0.5)
            assert inputs.for_bar() == []
            said = desk.said()
            assert any("colour" in text for text in said)
            assert any("'nobody', which nobody watches" in text for text in said)
        else:
            await until(lambda i=inputs: i.refused == 2)
            assert (inputs.taken, inputs.for_bar()) == (0, [])
        await inputs.close()


async def test_a_fill_that_no_bar_had_is_given_after_a_restart(tmp_path: Path) -> None:
    desk = Desk(tmp_path, bars())
    inputs = FillInput(desk.source, [])
    await inputs.start()
    assert await inputs.take(fill()) == ""
    await inputs.close()
    again = FillInput(desk.source, [])
    await again.start()
    assert [f["feature"] for f in again.for_bar()] == ["carry"]
    await again.close()


@pytest.fixture
async def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[FillDoor, FillInput]]:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    desk = Desk(tmp_path, bars())
    side = FillDoor(Address("desk", "webhook", "127.0.0.1:0"), desk.source)
    inputs = FillInput(desk.source, [side])
    await inputs.start()
    yield side, inputs
    await inputs.close()


async def post(side: FillDoor, body: bytes, *, method: str = "POST", **headers: str) -> tuple[int, Any]:
    named = {"Host": f"127.0.0.1:{side.http.address.port}", "Authorization": f"Bearer {SECRET}"}
    named |= {"Content-Length": str(len(body)), **headers}
    reader, writer = await asyncio.open_connection("127.0.0.1", side.http.address.port)
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value)
    with contextlib.suppress(ConnectionError):
        writer.write(f"{method} / HTTP/1.1\r\n{lines}\r\n".encode() + body)
        await writer.drain()
    said = await reader.read()
    writer.close()
    return int(said.split()[1]), json.loads(said.partition(b"\r\n\r\n")[2])


async def test_the_door_takes_fills_and_says_what_is_wrong_with_one(door: tuple[FillDoor, FillInput]) -> None:
    side, inputs = door
    assert await post(side, json.dumps([fill(), fill(id="f2")]).encode()) == (200, {"taken": 2})
    status, said = await post(side, json.dumps(fill(id="f3", price=1.0)).encode())
    assert (status, "bps from the last close" in said["error"][0]) == (400, True)
    assert (inputs.taken, inputs.refused) == (2, 1)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Content-Length": "10000000"}, 413),
        ({"Content-Length": "-1"}, 405),
        ({"Content-Length": "9" * 30}, 413),
        ({"X-Long": "x" * 9000}, 0),
    ],
)
async def test_the_door_refuses(door: tuple[FillDoor, FillInput], headers: dict[str, str], status: int) -> None:
    side, inputs = door
    if status:
        assert (await post(side, b"{}", **headers))[0] == status
    else:
        with pytest.raises((IndexError, ConnectionError)):  # it closes without a word
            await post(side, b"{}", **headers)
    assert inputs.taken == 0


async def test_the_door_bounds_who_says_nothing_and_a_thousand_of_them(
    door: tuple[FillDoor, FillInput], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midas_engine.loopback.http.READ_SECONDS", 0.5)
    side = door[0]
    crowd = [await asyncio.open_connection("127.0.0.1", side.http.address.port) for _ in range(200)]
    await until(lambda: side.http.refused_count >= 184)
    await until(lambda: not side.http.writers)
    for _, writer in crowd:
        writer.close()
    assert (await post(side, json.dumps(fill()).encode()))[0] == 200


async def test_an_account_s_trades_are_asked_for_with_a_key_that_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    desk = Desk(tmp_path, bars(symbols=("BTCUSDT",)))
    asked: list[dict[str, str]] = []

    def trades(query: dict[str, str]) -> list[dict[str, Any]]:
        asked.append(query)
        at = int((NOW - timedelta(seconds=1)).timestamp() * 1e3)
        one = {"symbol": query["symbol"], "id": 7, "orderId": 8, "side": "BUY", "price": "100.5", "qty": "4"}
        more = {"quoteQty": "402", "commission": "0.1", "commissionAsset": "USDT", "time": at, "buyer": True}
        return [{**one, **more, "maker": False, "realizedPnl": "0", "positionSide": "BOTH"}]

    async with FakeExchange(("BTCUSDT", "ETHUSDT"), lambda: int(NOW.timestamp() * 1e3)) as venue:
        venue.answers["userTrades"] = trades
        urls = {**venue.urls, "fapiPrivate": venue.urls["fapiPublic"]}
        with pytest.raises(SettingsError, match="no key"):
            FillTrades(Address("desk", "ccxt", "binance"), desk.source)
        side = FillTrades(Address("desk", "ccxt", "binance", {"key": "read-only-key"}), desk.source, urls)
        inputs = FillInput(desk.source, [side])
        await inputs.start()
        await until(lambda: inputs.taken == 1 or bool(side._failing))
        assert side._failing == ""
        await inputs.close()
    assert {q["symbol"] for q in asked} == {"BTCUSDT"}
    assert all("signature" in q for q in asked)
    assert not any(path.endswith("order") for path in venue.asked)


async def test_slippage_per_feature_reaches_the_monitor_of_a_runtime(tmp_path: Path, market: Panel) -> None:
    desk, path = LiveRuntime(tmp_path, market, bars=650), tmp_path / "fills.csv"
    settings = replace(desk.runtime.settings, outbound=OutboundSettings(fills={"desk": f"file:{path}"}))
    desk.runtime = Runtime(settings, clock=desk.clock)
    desk.runtime.bus.tap(desk.seen.append)
    symbol, close = market.symbols[0], float(market.values("close")[649, 0])
    at = _at(market, 650).isoformat()  # it stands there before there is a market to hold it against
    path.write_text(f"id,time,symbol,side,price,amount,strategy\n1,{at},{symbol},buy,{close * 1.0005},1,carry\n")
    async with desk.runtime as midas:
        (inputs,) = midas.leaving.outputs.outputs
        assert isinstance(inputs, FillInput)
        await desk.until(lambda: inputs.taken == 1)
        await desk.grow(2)
        found = midas.queries.metrics()["carry"]
    assert found.slippage_bps == pytest.approx(5.0, rel=1e-6)
    assert found.expected_slippage_bps > 1.0


def test_a_file_of_fills_is_measured_by_the_command_line(tmp_path: Path, capsys: Any) -> None:
    bars().save(tmp_path / "bars.parquet")
    path = tmp_path / "fills.csv"
    rows = ["id,time,symbol,side,price,qty,feature,mood", "1,2026-01-02T23:59:59Z,BTCUSDT,buy,100.5,4,carry,good"]
    path.write_text("\n".join([*rows, "2,2026-01-02T23:59:59Z,BTCUSDT,buy,1,4,carry,", rows[1]]) + "\n")
    found = call_midas(capsys, "fills", str(path), "--data", str(tmp_path / "bars.parquet"), "--json").document
    assert found["features"]["carry"]["fills"] == 1
    assert found["features"]["carry"]["realised_bps"] == pytest.approx(50.0)
    assert found["unknown_keys"] == {"mood": 3}
    assert sorted(found["refused"].values()) == [1, 1]
    shown = call_midas(capsys, "fills", str(path), "--data", str(tmp_path / "bars.parquet")).out
    assert "carry" in shown
    assert "it came before" in shown
