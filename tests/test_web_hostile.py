"""The door under hostile guests, and what is left behind when it closes. Real processes, real sockets."""

from __future__ import annotations

import asyncio
import signal
import struct
from socket import SO_RCVBUF, SOL_SOCKET, socket
from typing import TYPE_CHECKING

import aiohttp
import pytest

from helpers_door import Served, Visitor, gone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(["--kb", str(tmp_path_factory.mktemp("base") / "kb"), "--data", "sample-1m"]) as served:
        yield served


async def test_nonsense_is_survived(served: Served) -> None:
    async with Visitor(served) as visitor:
        url = await visitor.enter()
        visitor.socket = await visitor.http.ws_connect(
            f"{url}?width=99999999999999999999&height=-1", headers={"Origin": served.origin}
        )
        socket = visitor.socket
        await visitor.type("\x1b[48;99999;99999;0;0t")  # a size among the keys
        for text in ("", "{", "[]", "[" * 60_000, '["shell","ls"]', '["stdin",7]', '["stdin","\\ud800"]', '["resize",null]',
                     '["resize",{"width":1e999,"height":2}]', '["resize",{"width":-5,"height":100000000}]'):  # fmt: skip
            await socket.send_str(text)
        await socket.send_bytes(b"\0" * 60_000)
        await socket.send_json(["resize", {"width": 120, "height": 36}])
        await visitor.until("READ-ONLY")
        await visitor.type("4")
        await visitor.until("learnings")
        await socket.send_json(["ping", "17"])
        async with asyncio.timeout(10):
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
                    await visitor.until("never", 20)
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
            await visitor.until("never", 30)


async def test_a_crowd_of_strangers_keeps_nobody_out(served: Served) -> None:
    crowd = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(300)]
    for index, (_, writer) in enumerate(crowd):
        writer.write(b"" if index % 2 else b"GET / HTTP/1.1\r\nHost: ")
    async with Visitor(served) as visitor:
        await visitor.open()
        await visitor.until("READ-ONLY")
        # Those that never showed the cookie are gone soon, without being asked.
        async with asyncio.timeout(25):
            for reader, writer in crowd:
                with pytest.raises(ConnectionError) if writer.is_closing() else _nothing():
                    assert await reader.read(1) == b""
                writer.close()
