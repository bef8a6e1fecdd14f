"""The door itself: routes, refusals, sessions, and an end that leaves no process behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from typing import TYPE_CHECKING

from aiohttp import web

from midas_engine.clock import WallClock
from midas_tui.web import door as checks
from midas_tui.web.address import LOOPBACK, Address
from midas_tui.web.connections import Connections
from midas_tui.web.door import Door
from midas_tui.web.frames import MAX_FRAME_BYTES, read_size
from midas_tui.web.page import headers, load_assets, page
from midas_tui.web.places import Places
from midas_tui.web.program import Program
from midas_tui.web.session import SERVER_ENDS, converse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp.typedefs import Handler

HEARTBEAT_SECONDS = 15.0
CLOSE_SECONDS = 2.0
# Every program ends within its own bounds, which are shorter.
STOP_SECONDS = 10.0
WORDS_KEPT = 64
_GOING_AWAY = 1001
_MOST_WORDS = 120  # of a close frame, in bytes


def listen(port: int) -> socket.socket:
    """A listening socket on loopback; OSError when the port cannot be had."""
    return socket.create_server((LOOPBACK, port))


class Server:
    """Serves `midas-tui` with `arguments` to the browsers that come through the door.

    Args:
        arguments: What the served program is started with, one per element.
        listener: A listening socket on loopback.
        public: Origin of a tunnel, or empty.
        sessions: How many browsers may have a terminal at once.
        tell: Says one line to the operator.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        listener: socket.socket,
        *,
        public: str = "",
        sessions: int = 1,
        tell: Callable[[str], object],
    ) -> None:
        self.address = Address(listener.getsockname()[1], public)
        self.door = Door(self.address, WallClock().monotonic)
        self._arguments = list(arguments)
        self._listener = listener
        self._assets = load_assets()
        self._places = Places(sessions)
        self._closing = asyncio.Event()
        self._words: dict[str, str] = {}
        self._tell = tell
        self._told: set[str] = set()
        self._connections: Connections | None = None

    async def run(self) -> int:
        """Serve until a signal comes; the exit code."""
        loop = asyncio.get_running_loop()
        received: asyncio.Future[int] = loop.create_future()

        def stop(number: int) -> None:
            if not received.done():
                received.set_result(number)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop, number)
        # No access log: the first request holds the token.
        runner = web.AppRunner(
            self._application(), access_log=None, logger=_silent(), handle_signals=False, lingering_time=0,
            keepalive_timeout=15.0, shutdown_timeout=1.0,
        )  # fmt: skip
        await runner.setup()
        assert runner.server is not None
        self._connections = Connections(runner.server)
        server = await loop.create_server(self._connections, sock=self._listener)
        try:
            return 128 + await received
        finally:
            server.close()
            self._closing.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._places.all_free(), STOP_SECONDS)
            await runner.cleanup()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=1024)
        app.on_response_prepare.append(self._dress)
        path = self.door.path
        app.router.add_get("/", self._enter, allow_head=False)
        app.router.add_get(path, self._page, allow_head=False)
        app.router.add_get(path + "static/{name}", self._static, allow_head=False)
        app.router.add_get(path + "words/{nonce}", self._last_words, allow_head=False)
        app.router.add_get(path + "ws/{nonce}", self._socket, allow_head=False)
        return app

    # -- what every request passes ---------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        upgrade = "Upgrade" in request.headers or request.path.startswith(self.door.path + "ws/")
        foreign = self.door.foreign(request.method, request.headers, upgrade=upgrade)
        if foreign:
            return self._refuse(403, foreign)
        if self.door.knows_cookie(request.headers):
            if self._connections is None or not self._connections.admit(request.protocol):
                return self._refuse(503, "Refused: too many connections are open.")
            return await handler(request)
        # Who has no cookie is told nothing about what there is: only the token leads on.
        tokens = request.query.getall("token", [])
        if request.method == "GET" and request.path == "/" and len(tokens) == 1 and self.door.knows_token(tokens[0]):
            return await handler(request)
        return self._refuse(403, checks.NO_TOKEN)

    def _refuse(self, status: int, sentence: str) -> web.Response:
        if sentence not in self._told:  # each kind once: a flood of refusals is no flood of lines
            self._told.add(sentence)
            self._tell(sentence)
        return web.Response(status=status, text=sentence + "\n", headers={"Connection": "close"})

    async def _dress(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers(self._socket_origins(request)))

    def _socket_origins(self, request: web.Request) -> list[str]:
        """Origins of the socket for a page reached like `request`, the likeliest first; ours when it is foreign."""
        host = request.headers.get("Host", "").lower()
        own = self.address.origins_for(host) or {self.address.local}
        return [origin.replace("http", "ws", 1) for origin in sorted(own, key=lambda o: o == self.address.public)]

    # -- routes ------------------------------------------------------------------------------------

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        """The token becomes a cookie; the address without it is what the browser keeps."""
        response = web.Response(status=303, headers={"Location": self.door.path})
        if "token" in request.query:
            secure = self._socket_origins(request)[0].startswith("wss:")
            response.set_cookie(
                checks.COOKIE, self.door.cookie, path=self.door.path, httponly=True, samesite="Strict", secure=secure
            )
        return response

    async def _page(self, request: web.Request) -> web.StreamResponse:
        if request.query_string:  # the client's script takes an address to call from the query
            return web.Response(status=303, headers={"Location": self.door.path})
        body = page(self.door.new_nonce(), self._socket_origins(request)[0], self.door.path)
        return web.Response(text=body, content_type="text/html")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        asset = self._assets.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        return web.Response(body=asset.body, content_type=asset.content_type)

    async def _last_words(self, request: web.Request) -> web.StreamResponse:
        """Why a page's terminal ended, once."""
        return web.Response(text=self._words.pop(request.match_info["nonce"], ""))

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        answer = web.WebSocketResponse(
            timeout=CLOSE_SECONDS, heartbeat=HEARTBEAT_SECONDS, max_msg_size=MAX_FRAME_BYTES, compress=False
        )
        if not answer.can_prepare(request).ok:
            raise web.HTTPBadRequest(text="Refused: this address opens a WebSocket only.\n")
        nonce = request.match_info["nonce"]
        if not self.door.use_nonce(nonce):
            return self._refuse(403, checks.WRONG_NONCE)
        if self._closing.is_set():
            return self._refuse(503, SERVER_ENDS)
        if not await self._places.take():
            return self._refuse(409, self._keep_words(nonce, self._full()))
        program, words = None, SERVER_ENDS
        try:
            if request.transport is not None and not request.transport.is_closing():
                await answer.prepare(request)
                size = read_size(request.query.get("width", ""), request.query.get("height", ""))
                program = await Program.start(self._arguments, size)
                words = await converse(answer, program, self._closing)
        finally:
            self._keep_words(nonce, words)
            await self._places.leave()
            try:
                await asyncio.gather(_close(request, answer, words), *([program.end()] if program is not None else []))
            finally:
                await self._places.free()
        return answer

    def _full(self) -> str:
        if self._places.count == 1:
            return (
                "Refused: the terminal is open in another page. Close that one first, or let more in with --sessions 2."
            )
        return f"Refused: all {self._places.count} terminals are taken. Close a page first, or raise --sessions."

    def _keep_words(self, nonce: str, words: str) -> str:
        self._words[nonce] = words
        while len(self._words) > WORDS_KEPT:
            del self._words[next(iter(self._words))]
        return words


async def _close(request: web.Request, answer: web.WebSocketResponse, words: str) -> None:
    """Say goodbye; who does not listen is cut off, with what it has not read."""
    transport = request.transport
    if answer.prepared:
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(2 * CLOSE_SECONDS):
                await answer.close(code=_GOING_AWAY, message=words.encode("ascii", "replace")[:_MOST_WORDS])
    if transport is not None:
        transport.abort()


def _silent() -> logging.Logger:
    """A log for what strangers send: malformed requests are answered, and are nobody's news."""
    log = logging.getLogger("midas.web")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    return log
