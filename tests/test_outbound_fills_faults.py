"""Fills under faults: files that are rotated, truncated or replaced, records of any type, a market that comes late."""

from __future__ import annotations

import asyncio
import json
import os
import random
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.errors import DataError
from midas_engine.kb.sealed_lines import opened
from midas_engine.outbound.destination import Address
from midas_engine.outbound.fill_input import FillInput
from midas_engine.outbound.fill_sources import FillDoor, FillFile, FillLines, FillTrades
from midas_engine.outbound.fills import read_fill
from midas_engine.outbound.growing_file import GrowingFile
from tests.helpers_exchange import FakeExchange
from tests.helpers_outbound import SECRET
from tests.test_outbound_fills import NOW, Desk, bars, fill, post, until

if TYPE_CHECKING:
    from pathlib import Path


def _lines(*numbers: int, feature: str = "carry") -> str:
    return "".join(json.dumps(fill(id=f"f{n}", feature=feature)) + "\n" for n in numbers)


async def _followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path) -> tuple[Desk, FillInput]:
    monkeypatch.setattr("midas_engine.outbound.fill_sources.LOOK_SECONDS", 0.01)
    desk = Desk(tmp_path, bars())
    inputs = FillInput(desk.source, [FillFile(Address("desk", "file", str(path)), desk.source)])
    await inputs.start()
    return desk, inputs


async def test_a_file_that_is_rotated_truncated_or_replaced_costs_and_doubles_no_fill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fills.jsonl"
    path.write_text(_lines(1, 2))
    _, inputs = await _followed(tmp_path, monkeypatch, path)
    await until(lambda: inputs.taken == 2)
    with path.open("a") as old:  # rotated by name: who writes has the old one open for a while
        path.rename(tmp_path / "fills.jsonl.1")
        path.write_text(_lines(3, 4, 5, 6, 7))  # and the new one is longer than the old one was
        old.write(_lines(8) + _lines(9).rstrip())  # its last line has no end
    await until(lambda: inputs.taken == 9)
    path.write_text(_lines(10))  # truncated in place, and shorter
    await until(lambda: inputs.taken == 10)
    other = tmp_path / "other"
    other.write_text(_lines(*range(11, 40)))
    os.replace(other, path)  # replaced, and longer
    await until(lambda: inputs.taken == 39)
    with path.open("r+") as file:  # truncated and written anew at once, and longer
        file.truncate(0)
        file.write(_lines(*range(40, 90)))
    await until(lambda: inputs.taken == 89)
    path.unlink()
    await asyncio.sleep(0.05)
    path.write_text(_lines(1, 2, 90))
    await until(lambda: inputs.taken == 90)
    await inputs.close()
    assert inputs.refused == 0


async def test_a_table_goes_on_without_its_head_and_strange_lines_end_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, at = tmp_path / "fills.csv", (NOW - timedelta(seconds=1)).isoformat()
    path.write_text(f"id,time,symbol,side,price,qty\r\n1,{at},BTCUSDT,buy,100.5,4\r\n")
    desk, inputs = await _followed(tmp_path, monkeypatch, path)
    await until(lambda: inputs.taken == 1)
    path.rename(tmp_path / "old.csv")
    path.write_text(f"2,{at},BTCUSDT,buy,100.5,4\n" + "x" * 200_000 + "\n" + f"3,{at},BTCUSDT,sell,100.5,4\n")
    await until(lambda: inputs.taken == 3)
    assert inputs.refused == 1
    os.replace(tmp_path / "old.csv", path)
    with path.open("a") as file:
        file.write('{"id": [1], "time": {}, "price": 1e999, "qty": "nan", "symbol": 3, "side": null}\n')
        file.write(f"4,{at},BTCUSDT,sell,100.5,4\n")
    await until(lambda: inputs.taken == 4)
    assert any("a fill without" in text for text in desk.said())
    await inputs.close()


async def test_fills_wait_for_a_market_and_for_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    path = tmp_path / "fills.jsonl"
    path.write_text(_lines(1, 2, 3))
    monkeypatch.setattr("midas_engine.outbound.fill_sources.LOOK_SECONDS", 0.01)
    desk, there = Desk(tmp_path, bars()), []  # type: tuple[Desk, list[Any]]
    object.__setattr__(desk.source, "panel", lambda: there[0] if there else None)
    door = FillDoor(Address("desk", "webhook", "127.0.0.1:0"), desk.source)
    inputs = FillInput(desk.source, [FillFile(Address("file", "file", str(path)), desk.source), door])
    take, broken = inputs._log.take, [2]

    def full(line: dict[str, Any]) -> None:
        if line["id"] == "f2" and broken[0]:
            broken[0] -= 1
            raise OSError(28, "No space left on device")
        take(line)

    monkeypatch.setattr(inputs._log, "take", full)
    await inputs.start()
    assert await post(door, _lines(4).encode()) == (503, {"error": "no market is watched yet: send it again"})
    await asyncio.sleep(0.05)
    assert (inputs.taken, inputs.refused, desk.said()) == (0, 0, [])
    there.append(bars())
    await until(lambda: inputs.taken == 3)
    assert sum("No space left" in text for text in desk.said()) == 1
    broken[0] = 1
    status, said = await post(door, (_lines(5) and json.dumps([fill(id="f5"), fill(id="f6")])).encode())
    assert (status, said) == (200, {"taken": 2})
    await inputs.close()
    record = (tmp_path / "kb" / "outbound" / "fills.record").read_bytes()
    names = [line["id"] for _, line in opened(record) if isinstance(line, dict) and line["op"] == "fill"]
    assert names == ["f1", "f2", "f3", "f5", "f6"]


async def test_trades_of_wrong_types_are_refused_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    desk = Desk(tmp_path, bars())
    at = int((NOW - timedelta(seconds=1)).timestamp() * 1e3)
    sound = {"symbol": "BTCUSDT", "id": 7, "side": "BUY", "price": "100.5", "qty": "4", "time": at, "maker": False}
    answers: dict[str, Any] = {
        "BTCUSDT": [
            {**sound, "id": None, "price": None},
            {**sound, "id": 1, "time": 9_000_000_000_000},
            {**sound, "id": 2, "price": "-3"},
            {**sound, "id": 3, "qty": "0"},
            sound,
        ],
        "ETHUSDT": {"code": -1000, "msg": "no"},
    }
    async with FakeExchange(("BTCUSDT", "ETHUSDT"), lambda: int(NOW.timestamp() * 1e3)) as venue:
        venue.answers["userTrades"] = lambda query: answers[query["symbol"]]
        urls = {**venue.urls, "fapiPrivate": venue.urls["fapiPublic"]}
        side = FillTrades(Address("desk", "ccxt", "binance", {"key": "read-only-key"}), desk.source, urls)
        inputs = FillInput(desk.source, [side])
        await inputs.start()
        await until(lambda: inputs.taken == 1 and bool(side._failing))
        assert "ETH" in side._failing
        assert side._since["BTC/USDT:USDT"] == at, "a time that cannot be hides no trade after it"
        await inputs.close()
    assert inputs.refused >= 3
    sound_market: dict[str, Any] = {"C": {"swap": 1, "id": "BTCUSDT"}}
    strange: list[Any] = [None, 3, [], {"info": 5, "id": ""}]
    fake = SimpleNamespace(load_markets=_async(sound_market), fetch_my_trades=_async(strange))
    assert await side._ask(fake, inputs.take) == []
    fake = SimpleNamespace(load_markets=_async({"B": None, **sound_market}), fetch_my_trades=_async(4))
    assert len(await side._ask(fake, inputs.take)) == 2


def _async(answer: Any) -> Any:
    async def call(*_: Any) -> Any:
        return answer

    return call


async def test_an_exchange_that_ccxt_does_not_know_is_said_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    desk = Desk(tmp_path, bars())
    inputs = FillInput(desk.source, [FillTrades(Address("desk", "ccxt", "binanec", {"key": "k"}), desk.source)])
    with pytest.raises(Exception, match="knows no exchange 'binanec'"):
        await inputs.start()


def test_any_record_is_a_fill_or_refused_in_words() -> None:
    chance = random.Random(5)
    values: list[Any] = [
        None,
        "",
        0,
        -1,
        1e308,
        1e-320,
        10**400,
        True,
        [],
        {},
        "buy",
        "nan",
        "inf",
        "1" * 40,
        "\ud800",
        NOW,
        b"x",
    ]
    values += ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-02", 1.7e18, float("nan")]
    names = list(fill()) + ["slippage_bps", "expected_bps"]
    sound = 0
    for _ in range(3000):
        changes = {chance.choice(names): chance.choice(values) for _ in range(chance.randrange(1, 4))}
        try:
            found, _ = read_fill(fill(**changes), NOW)
        except DataError:
            continue
        sound += 1
        assert 0 < found.price * found.quantity < float("inf")
    assert sound > 20


def test_what_was_read_comes_again_until_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "f"
    file = GrowingFile(path)
    assert file.read() == (b"", False)
    path.write_bytes(b"a\nb")
    assert [file.read(), file.read()] == [(b"a\n", True)] * 2
    file.keep()
    assert file.read() == (b"", False)
    path.write_bytes(b"a\nb\nc\n")
    assert file.read() == (b"b\nc\n", False)
    file.close()
    assert list(FillLines().records(b"\xef\xbb\xbfid,price\n1,2\n")) == [{"id": "1", "price": "2"}]
