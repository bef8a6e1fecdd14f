"""Who has not shown the token holds no place against who comes, at every door on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from midas_engine.loopback.address import Address as Place
from midas_engine.loopback.gate import MOST_CLIENTS
from midas_engine.loopback.http import HttpDoor, Reply, Request
from tests.helpers_outbound import SECRET, until
from tests.test_doors import TCP, Standing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("door", TCP)
async def test_who_is_silent_keeps_no_honest_one_out(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    for name in ("loopback.http.READ_SECONDS", "loopback.websocket.OPEN_SECONDS", "mcp_door.bounds.OPEN_SECONDS"):
        monkeypatch.setattr(f"midas_engine.{name}", 600.0)  # nobody goes for being late
    async with TCP[door](tmp_path) as to:
        crowd = [await to.connect() for _ in range(200)]
        for _, writer in crowd[::2]:
            with contextlib.suppress(ConnectionError):
                writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")  # and half of them are about to say something
        async with asyncio.timeout(20):
            for _ in range(3):
                assert await to.lets_in()
        for _, writer in crowd:
            writer.transport.abort()


async def test_who_has_shown_the_token_is_not_sent_away_for_who_comes(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def answer(request: Request) -> Reply:
        await go.wait()
        return Reply(200, b"done")

    door = HttpDoor("test", Place("127.0.0.1", 0), SECRET, answer)
    await door.open()
    to = Standing(door.address.port)
    served = [asyncio.create_task(to.status(to.head())) for _ in range(MOST_CLIENTS)]
    await until(lambda: len(door.writers) == MOST_CLIENTS)
    assert await to.status(b"") == 503
    go.set()
    assert await asyncio.gather(*served) == [200] * MOST_CLIENTS
    await door.close()
