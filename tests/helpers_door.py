"""The real `midas-tui --serve` in a process, and a browser made of sockets: what it is served, and what it draws."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil
import pyte

from helpers_patience import PATIENCE_SECONDS
from helpers_pty import _QUERIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"^  (http://127\.0\.0\.1:(\d+))/\?token=(\S+)$", re.MULTILINE)


class Served:
    """`midas-tui --serve` on a free port; a context manager.

    Attributes:
        origin: `http://127.0.0.1:PORT`.
        token: From the printed address.
        printed: What it wrote to its standard output until it listened.
    """

    def __init__(self, args: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "midas_tui", "--serve", "--port", "0", *args],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "LANG": "C.UTF-8", **(environ or {})},
        )  # fmt: skip
        self.printed = ""
        assert self.process.stdout is not None
        end = time.monotonic() + PATIENCE_SECONDS
        while "Ctrl-C" not in self.printed:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            chunk = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            if not chunk:
                self.process.kill()
                raise AssertionError(f"--serve printed no address: {self.printed}{self.process.communicate()[1]}")
            self.printed += chunk.decode()
        found = ADDRESS.search(self.printed)
        assert found is not None, self.printed
        self.origin, self.token = found[1], found[3]
        self.port = int(found[2])
        self.host = f"127.0.0.1:{self.port}"

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        children = self.children()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.communicate(timeout=PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for child in children:
            if child.is_running():
                child.kill()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        self.process.wait()

    def children(self) -> list[psutil.Process]:
        """Every process it started, theirs included."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def memory(self) -> int:
        """Bytes the server itself holds."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


async def gone(processes: Sequence[psutil.Process], limit: float = PATIENCE_SECONDS) -> list[psutil.Process]:
    """Those of `processes` that still run after at most `limit` seconds."""
    end = time.monotonic() + limit
    left = list(processes)
    while left and time.monotonic() < end:
        left = [p for p in left if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        await asyncio.sleep(0.05)
    return left


class Visitor:
    """A browser: cookies, the page, one socket, the screen it draws. An async context manager."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.screen = pyte.Screen(120, 36)
        self._stream = pyte.ByteStream(self.screen)
        self.drawn = 0
        self.socket: aiohttp.ClientWebSocketResponse | None = None
        self.page = ""

    async def __aenter__(self) -> Visitor:
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.socket is not None:
            await self.socket.close()
        await self.http.close()

    async def enter(self) -> str:
        """Open the printed address and follow it to the page; the address of the page's socket."""
        async with self.http.get(f"{self.served.origin}/?token={self.served.token}") as answer:
            assert answer.status == 200, await answer.text()
            self.url, self.page = str(answer.url), await answer.text()
        found = re.search(r'data-session-websocket-url="([^"]+)"', self.page)
        assert found is not None
        return found[1]

    async def open(self, headers: Mapping[str, str] | None = None, *, url: str = "", **given: Any) -> None:
        """Open the page's socket as the page does; `headers` replace those of the page."""
        url = url or await self.enter()
        self.socket = await self.http.ws_connect(
            f"{url}?width=120&height=36", headers={"Origin": self.served.origin, **(headers or {})}, **given
        )

    async def type(self, keys: str) -> None:
        assert self.socket is not None
        await self.socket.send_json(["stdin", keys])

    async def until(self, ready: Callable[[str], bool] | str, limit: float = PATIENCE_SECONDS) -> str:
        """Read until the screen satisfies `ready`; its text."""
        assert self.socket is not None
        end = time.monotonic() + limit
        while True:
            text = "\n".join(line.rstrip() for line in self.screen.display)
            if ready in text if isinstance(ready, str) else ready(text):
                return text
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"the page never showed {ready!r}:\n{text}")
            try:
                message = await self.socket.receive(left)
            except TimeoutError:
                continue
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
                raise AssertionError(f"the socket closed ({self.socket.close_code}, {message.extra!r}):\n{text}")
            if message.type is aiohttp.WSMsgType.BINARY:
                self.drawn += len(message.data)
                self._stream.feed(_QUERIES.sub(b"", message.data))
