"""Signals leave at every closed bar: on record first, numbered, chained, once in their file, replayed by number."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from midas_engine.dsl import FeatureEngine
from midas_engine.errors import DocumentDamagedError, SettingsError
from midas_engine.events import FaultReported
from midas_engine.loopback.websocket import MOST_CONNECTIONS
from midas_engine.outbound.destination import Address
from midas_engine.outbound.signal_log import FOLDER, START, SignalLog, canonical, digest_of
from midas_engine.outbound.signal_sides import SignalFile, SignalWebhook
from midas_engine.outbound.signal_socket import SignalSocket
from midas_engine.outbound.signing import signature
from midas_engine.outbound_settings import OutboundSettings
from midas_engine.runtime import Runtime
from midas_engine.runtime.live import LiveWatch
from tests.helpers_cli import call_midas
from tests.helpers_outbound import SECRET, LoopbackServer, source_of
from tests.test_runtime_live import EXPRESSIONS, LiveRuntime, _at, market

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from midas_engine.market import Panel

__all__ = ["market"]  # a fixture


def lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines: the last one may be being written."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


async def test_every_bar_goes_out_once_with_the_values_of_research_over_a_restart(
    tmp_path: Path, market: Panel, capsys: Any
) -> None:
    desk, out = LiveRuntime(tmp_path, market, bars=650), tmp_path / "signals.jsonl"
    settings = replace(desk.runtime.settings, outbound=OutboundSettings(signals={"file": f"file:{out}"}))

    async def run(bars: int) -> None:
        desk.runtime = Runtime(settings, clock=desk.clock)
        desk.runtime.bus.tap(desk.seen.append)
        async with desk.runtime:
            await desk.grow(bars)
            wanted = _at(market, desk.bars - 1).isoformat()
            await desk.until(lambda: bool(lines(out)) and lines(out)[-1]["bar"] == wanted)

    await run(2)
    desk.bars += 2  # while nothing ran
    desk.seen.clear()
    await run(1)
    found = lines(out)
    assert [r["sequence"] for r in found] == [1, 2, 3, 4, 5]
    assert [r["bar"] for r in found] == [_at(market, row).isoformat() for row in range(650, 655)]
    values = FeatureEngine(market).values(EXPRESSIONS["carry"])
    for record, row in zip(found, range(650, 655), strict=True):
        said = record["features"]["carry"]
        assert (said["state"], said["version"]) == ("deployed", 1)
        np.testing.assert_allclose(np.array(said["values"], float), values[row], rtol=1e-10)
        assert record["symbols"] == list(market.symbols)
        assert set(record["book"]["weights"]) == {"carry"}
        assert record["digest"] == digest_of(record)
    assert [r["previous"] for r in found] == [START, *(r["digest"] for r in found[:-1])]
    shown = call_midas(capsys, "signals", "--since", "3", "--kb", str(tmp_path / "kb")).out.splitlines()
    assert [json.loads(line) for line in shown] == found[3:]
    beyond = call_midas(capsys, "signals", "--since", "99", "--kb", str(tmp_path / "kb"))
    assert (beyond.code, beyond.out) == (0, "")
    assert "nothing is on record after 99: the newest is 5" in beyond.err


async def test_a_bar_that_a_crash_kept_off_the_record_is_computed_later_and_none_is_missing(
    tmp_path: Path, market: Panel
) -> None:
    desk, out = LiveRuntime(tmp_path, market, bars=650), tmp_path / "signals.jsonl"
    settings = replace(desk.runtime.settings, outbound=OutboundSettings(signals={"file": f"file:{out}"}))

    async def run(bars: int) -> None:
        desk.runtime = Runtime(settings, clock=desk.clock)
        desk.runtime.bus.tap(desk.seen.append)
        desk.seen.clear()
        async with desk.runtime:
            await desk.grow(bars)
            wanted = _at(market, desk.bars - 1).isoformat()
            await desk.until(lambda: bool(lines(out)) and lines(out)[-1]["bar"] == wanted)

    await run(3)
    # a crash between the monitor's own note of a bar and the record of its signals
    (record,) = (tmp_path / "kb" / FOLDER).iterdir()
    for path in (record, out):
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    desk.bars += 1  # a bar closes before the next start
    await run(1)
    found = lines(out)
    assert [r["bar"] for r in found] == [_at(market, row).isoformat() for row in range(650, 655)]
    assert [r["computed_later"] for r in found] == [False, False, True, False, False]
    assert all(r["book"] is not None for r in found if not r["computed_later"])
    values = FeatureEngine(market).values(EXPRESSIONS["carry"])
    np.testing.assert_allclose(np.array(found[2]["features"]["carry"]["values"], float), values[652], rtol=1e-10)


async def test_a_feed_in_trouble_before_the_watch_begins_ends_no_start(
    tmp_path: Path, market: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, out = LiveRuntime(tmp_path, market, bars=650), tmp_path / "signals.jsonl"
    settings = replace(desk.runtime.settings, outbound=OutboundSettings(signals={"file": f"file:{out}"}))
    desk.runtime = midas = Runtime(settings, clock=desk.clock)
    midas.bus.tap(desk.seen.append)
    begin = LiveWatch.begin

    async def troubled(live: LiveWatch, *given: Any) -> Any:
        midas.feed._feed_fault("clock: it is an hour ahead: bars are taken only where the source proves them closed")
        await midas.pipeline.obey()  # as when a file of the base changes meanwhile
        return await begin(live, *given)

    monkeypatch.setattr(LiveWatch, "begin", troubled)
    async with midas:
        assert any(isinstance(e, FaultReported) and "an hour ahead" in e.message for e in desk.seen)
        assert not any(isinstance(e, FaultReported) and e.where == "bus" for e in desk.seen)
        await desk.grow(1)
        await desk.until(lambda: len(lines(out)) == 1)


def body(number: int, **more: Any) -> dict[str, Any]:
    return {"bar": f"2026-01-01T{number:02d}:00:00+00:00", "features": {}, **more}


def filled(folder: Path, count: int, **more: Any) -> SignalLog:
    log = SignalLog(folder / "kb" / FOLDER)
    log.open()
    for number in range(count):
        log.append(body(number, **more))
    return log


def test_a_torn_record_is_cut_off_and_a_changed_one_refused(tmp_path: Path) -> None:
    log = filled(tmp_path, 3)
    (path,) = log.folder.iterdir()
    with path.open("ab") as file:
        file.write(b'{"bar": "half')
    again = SignalLog(log.folder)
    again.open()
    assert (again.sequence, again.head) == (3, log.head)
    assert again.append(body(3))["sequence"] == 4
    assert [r["sequence"] for r in again.since(2)] == [3, 4]
    path.write_bytes(path.read_bytes().replace(b"T03:00", b"T05:00"))
    with pytest.raises(DocumentDamagedError):
        SignalLog(log.folder).open()


class Fresh:
    """Wakes the readers of a log."""

    def __init__(self) -> None:
        self.wakes: list[asyncio.Future[None]] = []

    def __call__(self) -> asyncio.Future[None]:
        self.wakes.append(asyncio.get_running_loop().create_future())
        return self.wakes[-1]

    def wake(self) -> None:
        for wake in self.wakes:
            if not wake.done():
                wake.set_result(None)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is a file, or another thread
            await asyncio.sleep(0.005)


async def test_a_webhook_that_fails_half_the_time_gets_every_record_in_order_over_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    monkeypatch.setattr("midas_engine.outbound.signal_sides._FIRST_PAUSE", 0.01)
    taken: list[int] = []
    turns = itertools.count()

    def answer(method: str, path: str, headers: Any, sent: bytes) -> tuple[int, bytes] | None:
        if next(turns) % 2:
            return 500, b""
        stamp, nonce = headers["Midas-Timestamp"], headers["Midas-Nonce"]
        assert headers["Midas-Signature"] == signature(SECRET, stamp, nonce, sent)
        taken.append(json.loads(sent)["sequence"])
        return 200, b""

    source, log, fresh = source_of(tmp_path / "kb"), filled(tmp_path, 2), Fresh()
    with LoopbackServer(answer) as server:
        for turn in range(2):
            side = SignalWebhook(Address("desk", "webhook", server.url), source)
            await side.start(log, fresh)
            for number in range(3):
                log.append(body(5 + 3 * turn + number))
            fresh.wake()
            await until(lambda t=turn: taken[-1:] == [5 + 3 * t])
            await until(lambda s=side, t=turn: s.sequence == 5 + 3 * t)
            await side.close()
    assert sorted(set(taken)) == list(range(3, 9))  # from its start on, at least once, in order
    assert taken == sorted(taken)


async def test_a_file_of_signals_goes_on_behind_a_torn_line(tmp_path: Path) -> None:
    source, log, out = source_of(tmp_path / "kb"), filled(tmp_path, 4), tmp_path / "out.jsonl"
    records = list(log.since(0))
    out.write_bytes(canonical(records[0]) + b"\n" + canonical(records[1])[:20])
    side = SignalFile(Address("desk", "file", str(out)), source)
    await side.start(log, Fresh())
    await until(lambda: side.sequence == 4)
    await side.close()
    assert lines(out) == records


# -- the WebSocket door ----------------------------------------------------------------------------------


@pytest.fixture
async def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[SignalSocket, SignalLog, Fresh]]:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    side = SignalSocket(Address("desk", "websocket", "127.0.0.1:0"), source_of(tmp_path / "kb"))
    log, fresh = filled(tmp_path, 3), Fresh()
    await side.start(log, fresh)
    yield side, log, fresh
    await side.close()


def at(side: SignalSocket, host: str = "127.0.0.1") -> str:
    return f"ws://{host}:{side.listener.address.port}"


def upgrade(port: int, host: str = "127.0.0.1") -> str:
    head = f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {SECRET}\r\nConnection: Upgrade\r\n"
    return head + (
        "Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )


AUTH = {"Authorization": f"Bearer {SECRET}"}


async def test_a_socket_replays_from_a_number_and_goes_on(door: tuple[SignalSocket, SignalLog, Fresh]) -> None:
    side, log, fresh = door
    async with connect(at(side), additional_headers=AUTH, proxy=None) as reader:
        await reader.send('{"since": 1}')
        assert [json.loads(await reader.recv())["sequence"] for _ in range(2)] == [2, 3]
        log.append(body(3))
        fresh.wake()
        assert json.loads(await reader.recv()) == list(log.since(3))[0]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": SECRET + "x"}, 401),
        ({**AUTH, "Origin": "https://evil.example"}, 403),
        ({**AUTH, "Origin": "null"}, 403),
    ],
)
async def test_a_socket_refuses(
    door: tuple[SignalSocket, SignalLog, Fresh], headers: dict[str, str], status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(at(door[0]), additional_headers=headers, proxy=None):
            pass
    assert refused.value.response.status_code == status


async def test_a_socket_refuses_a_foreign_host(door: tuple[SignalSocket, SignalLog, Fresh]) -> None:
    port = door[0].listener.address.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(upgrade(port, "evil.example").encode())
    assert b" 403 " in await reader.readline()
    writer.close()


async def test_a_frame_of_ten_megabytes_ends_the_one_who_sent_it(door: tuple[SignalSocket, SignalLog, Fresh]) -> None:
    port = door[0].listener.address.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(upgrade(port).encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.write(bytes([0x81, 0xFF]) + (10_000_000).to_bytes(8, "big") + bytes(4))  # a head that says ten megabytes
    with contextlib.suppress(ConnectionError):
        writer.write(bytes(10_000_000))
        await writer.drain()
    with contextlib.suppress(ConnectionError):
        said = await reader.read()
        assert said[:1] == b"\x88"  # it closes, and says nothing else
    writer.close()
    async with connect(at(door[0]), additional_headers=AUTH, proxy=None) as reader:
        await reader.send('{"since": 2}')
        assert json.loads(await reader.recv())["sequence"] == 3


async def test_a_slow_reader_is_let_go_and_holds_up_nobody(
    door: tuple[SignalSocket, SignalLog, Fresh], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midas_engine.outbound.signal_socket.SEND_SECONDS", 0.3)
    side, log, fresh = door
    for number in range(20):
        log.append(body(3 + number % 20, pad="x" * 900_000))
    slow = socket.create_connection(("127.0.0.1", side.listener.address.port))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(upgrade(side.listener.address.port).encode())
    slow.sendall(bytes([0x81, 0x8C, 0, 0, 0, 0]) + b'{"since": 0}')
    await until(lambda: len(side.listener.clients) == 1)
    async with connect(at(side), additional_headers=AUTH, proxy=None) as reader:
        await reader.send('{"since": 2}')
        assert json.loads(await reader.recv())["sequence"] == 3
    await until(lambda: not side.listener.clients)
    slow.close()


async def test_a_thousand_connections_are_bounded(door: tuple[SignalSocket, SignalLog, Fresh]) -> None:
    side = door[0]
    crowd = []
    for _ in range(1000):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", side.listener.address.port))
        crowd.append(one)
        await asyncio.sleep(0)
    await until(lambda: side.listener.held == MOST_CONNECTIONS and side.listener.refused > 0)
    assert side.listener.held <= MOST_CONNECTIONS
    for one in crowd:
        one.close()
    await until(lambda: side.listener.held == 0)
    async with connect(at(side), additional_headers=AUTH, proxy=None) as reader:
        await reader.send('{"since": 2}')
        assert json.loads(await reader.recv())["sequence"] == 3


def test_a_door_stands_on_loopback_and_needs_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(tmp_path / "kb")
    with pytest.raises(SettingsError, match="MIDAS_SECRET_DESK"):
        SignalSocket(Address("desk", "websocket", "127.0.0.1:0"), source)
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    for where in ("0.0.0.0:8000", "8000", "example.org:80", "127.0.0.1:99999", "127.0.0.1:x"):
        with pytest.raises(SettingsError, match="is no address|is not on loopback"):
            SignalSocket(Address("desk", "websocket", where), source)
