"""The door under hostile guests, and what is left behind when it closes. Real processes, real sockets."""

from __future__ import annotations

import asyncio
import signal
import struct
from socket import SO_RCVBUF, SOL_SOCKET, socket
from typing import TYPE_CHECKING

import aiohttp
import pytest
from yarl import URL

from helpers_door import Served, Visitor, gone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

MEGABYTE = 2**20
NONSENSE = (
    '["stdin",""]', "", "{", "[]", "[" * 60_000, '["shell","ls"]', '["stdin",7]', '["stdin","\\ud800"]',
    '["resize",null]',
    '["resize",{"width":1e999,"height":2}]', '["resize",{"width":-5,"height":100000000}]',
)  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(["--kb", str(tmp_path_factory.mktemp("base") / "kb"), "--data", "sample-1m"]) as served:
        yield served


@pytest.fixture(autouse=True)
async def _alone(served: Served) -> AsyncIterator[None]:
    """The one session there may be is free again: a program that was still starting takes its time to end."""
    yield
    assert await gone(served.children(), 30) == []


async def test_nonsense_is_survived(served: Served) -> None:
    async with Visitor(served) as visitor:
        url = await visitor.enter()
        visitor.socket = await visitor.http.ws_connect(
            f"{url}?width=99999999999999999999&height=-1", headers={"Origin": served.origin}
        )
        socket = visitor.socket
        await visitor.type("\x1b[48;99999;99999;0;0t")  # a size among the keys
        for text in NONSENSE:
            await socket.send_str(text)
        await socket.send_bytes(b"\0" * 60_000)
        await socket.send_json(["resize", {"width": 120, "height": 36}])
        await visitor.until("READ-ONLY")
        await visitor.type("2")
        await visitor.until("candidates 0")
        await socket.send_json(["ping", "17"])
        async with asyncio.timeout(110):
            while (message := await socket.receive()).type is not aiohttp.WSMsgType.TEXT:
                pass
        assert message.data == '["pong", "17"]'
        assert sum(child.memory_info().rss for child in served.children()) < 600 * MEGABYTE


async def test_a_frame_of_10_megabytes_ends_its_session_and_holds_no_memory(served: Served) -> None:
    before = served.memory()
    for _ in range(3):
        async with Visitor(served) as visitor:
            await visitor.open()
            assert visitor.socket is not None
            try:
                await visitor.type("x" * 10 * MEGABYTE)
                with pytest.raises(AssertionError, match=r"closed \((1009|1006|None)"):
                    await visitor.until("never")
            except ConnectionError:
                pass
    assert served.memory() - before < 12 * MEGABYTE


async def test_a_guest_who_only_talks_nonsense_is_shown_out(served: Served) -> None:
    async with Visitor(served) as visitor:
        await visitor.open()
        assert visitor.socket is not None
        for _ in range(200):
            try:
                await visitor.socket.send_str("nonsense")
            except ConnectionError:
                break
        with pytest.raises(AssertionError, match="speaks another language"):
            await visitor.until("never")


async def test_a_crowd_of_strangers_keeps_nobody_out(served: Served) -> None:
    crowd = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(300)]
    for index, (_, writer) in enumerate(crowd):
        writer.write(b"" if index % 2 else b"GET / HTTP/1.1\r\nHost: ")
    async with Visitor(served) as visitor:
        await visitor.open()
        await visitor.until("READ-ONLY")
        # Those that never showed the cookie are gone soon, without being asked.
        async with asyncio.timeout(110):
            assert await asyncio.gather(*(_said(reader) for reader, _ in crowd)) == [b""] * len(crowd)
    for _, writer in crowd:
        writer.close()


async def _said(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(1)
    except ConnectionError:
        return b""


async def test_a_browser_that_does_not_read_costs_no_memory(served: Served) -> None:
    async with Visitor(served) as visitor:
        url = await visitor.enter()
        cookie = visitor.http.cookie_jar.filter_cookies(URL(visitor.url))["midas-door"].value
        before = served.memory()
        plug = _plugged(served, url, cookie)
        loop = asyncio.get_running_loop()
        plug.setblocking(False)
        deadline = loop.time() + 3
        # Each key draws a whole screen anew.
        frames = b"".join(_masked(f'["stdin", "{key}"]'.encode()) for key in "12345" * 20)
        while loop.time() < deadline:
            try:
                plug.send(frames)
            except BlockingIOError:
                await asyncio.sleep(0.02)
        assert served.memory() - before < 64 * MEGABYTE
        assert served.children()
        plug.close()


def _plugged(served: Served, url: str, cookie: str) -> socket:
    """A connection of a terminal over a bare socket that takes in little."""
    plug = socket()
    plug.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
    plug.connect(("127.0.0.1", served.port))
    path = url.split(served.host, 1)[1]
    plug.sendall(
        f"GET {path}?width=500&height=200 HTTP/1.1\r\nHost: {served.host}\r\nOrigin: {served.origin}\r\n"
        f"Cookie: midas-door={cookie}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert plug.recv(12) == b"HTTP/1.1 101"
    return plug


def _masked(payload: bytes) -> bytes:
    return struct.pack("!BB", 0x81, 0x80 | len(payload)) + bytes(4) + payload


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
async def test_no_program_outlives_its_server(tmp_path: Path, how: str) -> None:
    arguments = ["--kb", str(tmp_path / "kb"), "--data", "sample-1m", "--allow-actions", "--sessions", "2"]
    with Served(arguments) as served:
        async with Visitor(served) as one, Visitor(served) as other:
            await one.open()
            await other.open()  # still starting when the end comes
            await one.until("nothing is live")
            programs = served.children()
            assert len(programs) == 2
            served.process.send_signal(getattr(signal, how))
            assert await gone(programs) == []
        code = served.process.wait(110)
        assert code == (-9 if how == "SIGKILL" else 128 + getattr(signal, how))


async def test_a_frozen_program_ends_with_its_page(served: Served) -> None:
    async with Visitor(served) as visitor:
        await visitor.open()
        await visitor.until("READ-ONLY")
        programs = served.children()
        for program in programs:
            program.suspend()
    assert programs
    assert await gone(programs) == []
    async with Visitor(served) as next_one:  # and its place is free
        await next_one.open()
        await next_one.until("READ-ONLY")
