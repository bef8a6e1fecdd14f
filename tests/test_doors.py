"""Every door against every attack: foreign page, foreign host, no token, wrong token, 10 MB, slow reader, a crowd.

The seventh door, the browser's, is a process of its own: `test_web_door.py` and `test_web_hostile.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.events import FaultReported
from midas_engine.loopback.address import Address as Place
from midas_engine.loopback.http import HttpDoor, Reply, Request
from midas_engine.mcp_door import bounds as mcp_bounds
from midas_engine.outbound.destination import Address
from midas_engine.outbound.fill_input import FillInput
from midas_engine.outbound.fill_sources import FillDoor
from midas_engine.outbound.signal_socket import SignalSocket
from midas_engine.runtime import Runtime
from midas_engine.service.desk import CommandLine
from midas_engine.service.desk import Desk as ServiceDesk
from midas_engine.service.door import Door
from midas_engine.service.frames import framed
from midas_engine.service.health import health_door
from midas_engine.service.vitals import Vitals
from midas_engine.service.websocket import websocket_door
from tests.helpers_outbound import SECRET, Fresh, signal_body, signal_log, source_of, until
from tests.helpers_service import settings_of
from tests.test_mcp import _desk, http
from tests.test_outbound_fills import Desk, bars, fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

MOST_HELD = 64
UPGRADE = "Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
FLOOD = 9_000_000


@dataclass
class Standing:
    """A door that is open.

    Attributes:
        port: Where it listens on loopback; 0: at `path`.
        method: What its honest client begins with.
        more: Headers of that.
        body: What follows.
        welcome: Statuses that let in.
        said: What was told while it stood.
        flood: Makes it send much to whoever follows, by what an honest client says first; None: it never does.
    """

    port: int = 0
    path: str = ""
    method: str = "GET /"
    more: str = ""
    body: bytes = b""
    welcome: tuple[int, ...] = (200,)
    said: list[str] = field(default_factory=list)
    ask: bytes = b""
    flood: Callable[[], None] | None = None

    def head(self, *, host: str = "", token: str | None = f"Bearer {SECRET}", more: str = "", size: int = -1) -> bytes:
        length = size if size >= 0 else len(self.body)
        lines = [f"{self.method} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}"]
        lines += [f"Authorization: {token}"] if token is not None else []
        lines += [f"Content-Length: {length}"] if length else []
        return ("\r\n".join(lines) + "\r\n" + self.more + more + "\r\n").encode()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.path:
            return await asyncio.open_unix_connection(self.path)
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def status(self, sent: bytes) -> int:
        """The status of the answer; 0: the connection ended without one."""
        reader, writer = await self.connect()
        line = b""
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            await writer.drain()
            line = await reader.readline()
        writer.transport.abort()
        return int(line.split()[1]) if line.startswith(b"HTTP/") else 0

    async def lets_in(self) -> bool:
        """Whether an honest client gets in."""
        if not self.path:
            return await self.status(self.head() + self.body) in self.welcome
        reader, writer = await self.connect()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(framed(b'{"hello":1}'))
            said = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
            writer.transport.abort()
            return b'"welcome":1' in said
        return False


def _listen(bus: Any, to: Standing) -> Standing:
    bus.tap(lambda e: to.said.append(e.message) if isinstance(e, FaultReported) else None)
    return to


@contextlib.asynccontextmanager
async def health(folder: Path) -> AsyncIterator[Standing]:
    door = health_door(Place("127.0.0.1", 0), SECRET, Vitals(Runtime(settings_of(folder))))
    await door.open()
    yield Standing(door.address.port, method="GET /metrics")
    await door.close()


@contextlib.asynccontextmanager
async def fills(folder: Path) -> AsyncIterator[Standing]:
    desk = Desk(folder, bars())
    side = FillDoor(Address("desk", "webhook", "127.0.0.1:0"), desk.source)
    inputs = FillInput(desk.source, [side])
    await inputs.start()
    body = json.dumps(fill()).encode()
    yield Standing(side.http.address.port, method="POST /", body=body)
    await inputs.close()


@contextlib.asynccontextmanager
async def signals(folder: Path) -> AsyncIterator[Standing]:
    source = source_of(folder / "kb")
    side, log, fresh = SignalSocket(Address("desk", "websocket", "127.0.0.1:0"), source), signal_log(folder, 1), Fresh()
    await side.start(log, fresh)

    def flood() -> None:
        for number in range(FLOOD // 900_000):
            log.append(signal_body(number % 24, pad="x" * 900_000))
        fresh.wake()

    ask = bytes([0x81, 0x8C, 0, 0, 0, 0]) + b'{"since": 0}'
    to = Standing(side.listener.address.port, more=f"Connection: Upgrade\r\n{UPGRADE}", welcome=(101,), ask=ask)
    to.flood = flood
    yield _listen(source.bus, to)
    await side.close()


@contextlib.asynccontextmanager
async def _service(folder: Path) -> AsyncIterator[tuple[Door, Standing]]:
    runtime = Runtime(settings_of(folder))
    runtime.bus.bind(asyncio.get_running_loop())
    await asyncio.to_thread(runtime.base.open, runtime.supervisor.fault, runtime.pipeline.tell_move)
    door = Door(ServiceDesk(runtime, Vitals(runtime), CommandLine(runtime)), 16)

    def flood() -> None:
        for number in range(FLOOD // 10_000):
            runtime.bus.publish(
                FaultReported(at=runtime.clock.now(), where="test", message=f"{number} " + "x" * 10_000)
            )

    to = _listen(runtime.bus, Standing(flood=flood))
    yield door, to
    await door.close()
    runtime.base.close()


HELLO = b'{"hello":1,"events":true}'


@contextlib.asynccontextmanager
async def terminals(folder: Path) -> AsyncIterator[Standing]:
    async with _service(folder) as (door, to):
        listener = websocket_door(Place("127.0.0.1", 0), SECRET, door)
        await listener.open()
        to.port, to.more, to.welcome = listener.address.port, f"Connection: Upgrade\r\n{UPGRADE}", (101,)
        to.ask = bytes([0x82, 0x80 | len(HELLO), 0, 0, 0, 0]) + HELLO
        yield to
        await listener.close()


@contextlib.asynccontextmanager
async def control(folder: Path) -> AsyncIterator[Standing]:
    async with _service(folder) as (door, to):
        (folder / "s").mkdir(mode=0o700)
        await door.listen(folder / "s" / "socket")
        to.path, to.ask = str(folder / "s" / "socket"), framed(HELLO)
        yield to


@contextlib.asynccontextmanager
async def mcp(folder: Path) -> AsyncIterator[Standing]:
    async with http(_desk(folder), {"alice": SECRET}) as url:
        port = int(url.split(":")[2].split("/")[0])
        more = "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
        about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        ask = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}
        yield Standing(port, method="POST /mcp", more=more, body=json.dumps(ask).encode())


TCP = {"health": health, "fills": fills, "signals": signals, "terminals": terminals, "mcp": mcp}
DOORS = {**TCP, "control socket": control}
SOCKETS = {"signals": signals, "terminals": terminals, "control socket": control}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret, and moments instead of seconds."""
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    for name in ("loopback.http.READ_SECONDS", "loopback.websocket.OPEN_SECONDS", "mcp_door.bounds.OPEN_SECONDS"):
        monkeypatch.setattr(f"midas_engine.{name}", 0.5)
    monkeypatch.setattr("midas_engine.outbound.signal_socket.SEND_SECONDS", 0.3)
    monkeypatch.setattr("midas_engine.service.door.STUCK_SECONDS", 0.3)
    monkeypatch.setattr("midas_engine.service.door.HELLO_SECONDS", 0.5)


REFUSED = {
    "foreign origin": {"more": "Origin: https://evil.example\r\n"},
    "no page's origin": {"more": "Origin: null\r\n"},
    "foreign host": {"host": "evil.example"},
    "a host that begins like ours": {"host": "127.0.0.1.evil.example"},
    "no token": {"token": None},
    "wrong token": {"token": f"Bearer {SECRET[:-1]}"},
    "a token in another scheme": {"token": f"Basic {SECRET}"},
    "a token beyond ASCII": {"token": "Bearer \xe9\xff"},
}


@pytest.mark.parametrize("door", TCP)
async def test_who_may_not_pass_does_not(door: str, tmp_path: Path) -> None:
    async with TCP[door](tmp_path) as to:
        assert await to.lets_in()
        for attack, how in REFUSED.items():
            found = await to.status(to.head(**how) + to.body)  # type: ignore[arg-type]
            assert found in (400, 401, 403, 421), f"{attack}: {found}"
        twice = to.head(more=f"Host: 127.0.0.1:{to.port}\r\n")
        assert await to.status(twice + to.body) in (400, 403), "two hosts are none"
        assert await to.lets_in()


async def test_the_control_socket_is_for_its_user_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with control(tmp_path) as to:
        assert os.stat(to.path).st_mode & 0o777 == 0o600
        assert await to.lets_in()
        ours = os.getuid()
        monkeypatch.setattr("midas_engine.service.peers.os", SimpleNamespace(getuid=lambda: ours + 1))
        assert not await to.lets_in()  # the kernel says who it is: another user


@pytest.mark.parametrize("door", DOORS)
async def test_ten_megabytes_end_the_one_who_sends_them(door: str, tmp_path: Path) -> None:
    async with DOORS[door](tmp_path) as to:
        reader, writer = await to.connect()
        if door in SOCKETS:
            if to.port:
                writer.write(to.head())
                assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            frame = bytes([0x82, 0xFF]) + (10_000_000).to_bytes(8, "big") + bytes(4) if to.port else b""
            writer.write(frame or (10_000_000).to_bytes(4, "big"))
        else:
            writer.write(to.head(size=10_000_000))
        with contextlib.suppress(ConnectionError):
            for _ in range(10):
                writer.write(bytes(1_000_000))
                await writer.drain()
        async with asyncio.timeout(20):
            said = b""
            with contextlib.suppress(ConnectionError):
                said = await reader.read()  # and no more than a refusal
        assert len(said) < 1000
        assert b" 200 " not in said
        writer.transport.abort()
        assert await to.lets_in()
        long = b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"
        assert await to.status(long) in (0, 400, 401, 431)
        assert await to.lets_in()


@pytest.mark.parametrize("door", SOCKETS)
async def test_who_does_not_read_is_let_go_and_told_of(door: str, tmp_path: Path) -> None:
    async with SOCKETS[door](tmp_path) as to:
        assert to.flood is not None
        slow = socket.socket(socket.AF_UNIX if to.path else socket.AF_INET)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        await asyncio.get_running_loop().sock_connect(slow, to.path or ("127.0.0.1", to.port))
        slow.send((to.head() if to.port else b"") + to.ask)
        await until(lambda: _waiting(slow) > 300)  # it is served: more than the head of an answer has come
        to.flood()
        assert await to.lets_in()  # nobody waits for it
        await until(lambda: any("let go" in words for words in to.said))
        slow.close()
        assert await to.lets_in()


async def test_an_answer_that_is_not_read_is_not_kept(tmp_path: Path) -> None:
    async def answer(request: Request) -> Reply:
        return Reply(200, b"x" * 20_000_000)

    door = HttpDoor("test", Place("127.0.0.1", 0), SECRET, answer)
    await door.open()
    to = Standing(door.address.port)
    reader, writer = await to.connect()
    writer.write(to.head())
    await until(lambda: len(door.writers) == 1)
    await until(lambda: not door.writers)
    with contextlib.suppress(ConnectionError):
        assert len(await reader.read()) < 20_000_000
    writer.transport.abort()
    await door.close()


@pytest.mark.parametrize("door", DOORS)
async def test_a_thousand_connections_are_bounded_and_go(door: str, tmp_path: Path) -> None:
    async with DOORS[door](tmp_path) as to:
        crowd = []
        for number in range(1000):
            one = socket.socket(socket.AF_UNIX if to.path else socket.AF_INET)
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):  # the queue of those who wait is full: it stays outside
                one.connect(to.path or ("127.0.0.1", to.port))
            crowd.append(one)
            if number % 8 == 0:
                await asyncio.sleep(0)

        def held() -> int:
            return sum(_open(one) for one in crowd)

        await until(lambda: held() <= MOST_HELD)
        await until(lambda: held() == 0)  # who says nothing goes soon
        for one in crowd:
            one.close()
        assert await to.lets_in()


def _waiting(one: socket.socket) -> int:
    """Bytes that have come and were not read."""
    try:
        return len(one.recv(1000, socket.MSG_PEEK))
    except BlockingIOError:
        return 0


def _open(one: socket.socket) -> bool:
    """Whether the other side still holds a connection, and has answered nothing."""
    try:
        one.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


@pytest.mark.parametrize("what", ["a slow body", "a slow answer"])
async def test_an_agent_that_is_slow_is_bounded(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_bounds, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(mcp_bounds, "STUCK_SECONDS", 0.3)
    if what == "a slow body":
        async with mcp(tmp_path) as to:
            assert await to.status(to.head(size=1000) + b"{") == 408
            assert await to.lets_in()
        return
    cut: list[str] = []
    protocol = object.__new__(mcp_bounds.bounded_protocol())
    protocol.loop, protocol.flow = (
        asyncio.get_running_loop(),
        SimpleNamespace(pause_writing=lambda: None, resume_writing=lambda: None),
    )
    protocol.transport = SimpleNamespace(abort=lambda: cut.append("cut"))
    protocol.pause_writing()
    protocol.resume_writing()
    assert protocol._stuck is None  # it reads again
    protocol.pause_writing()
    await until(lambda: cut == ["cut"])
