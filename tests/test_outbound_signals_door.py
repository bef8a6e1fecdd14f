"""The WebSocket that signals leave by: it replays from a number, refuses whoever may not, and waits for nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from midas_engine.errors import SettingsError
from midas_engine.loopback.websocket import MOST_CONNECTIONS
from midas_engine.outbound.destination import Address
from midas_engine.outbound.signal_socket import SignalSocket
from tests.helpers_outbound import SECRET, Fresh, signal_body, signal_log, source_of, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from midas_engine.outbound.signal_log import SignalLog


@pytest.fixture
async def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[SignalSocket, SignalLog, Fresh]]:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    side = SignalSocket(Address("desk", "websocket", "127.0.0.1:0"), source_of(tmp_path / "kb"))
    log, fresh = signal_log(tmp_path, 3), Fresh()
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
        log.append(signal_body(3))
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
        log.append(signal_body(3 + number % 20, pad="x" * 900_000))
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
    await until(lambda: len(side.listener.held) == MOST_CONNECTIONS and side.listener.refused > 0)
    assert len(side.listener.held) <= MOST_CONNECTIONS
    for one in crowd:
        one.close()
    await until(lambda: not side.listener.held)
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
