"""Signals over a WebSocket on loopback: a token opens it, no page may, and a slow reader holds up nobody."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from midas_engine.errors import SettingsError
from midas_engine.outbound.door import Door
from midas_engine.outbound.signal_log import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

    from midas_engine.outbound.destination import Address
    from midas_engine.outbound.outputs import Source
    from midas_engine.outbound.signal_log import SignalLog

MOST_CLIENTS, MOST_CONNECTIONS = 16, 64
MOST_WORDS = 1024
SEND_SECONDS = 10.0
OPEN_SECONDS = 5.0
MOST_WAITING = 65_536


class SignalSocket:
    """A door for programs. The first word may be `{"since": SEQUENCE}`; without one the next bar comes first.

    Raises:
        SettingsError: The address is not on loopback, there is no token, or `websockets` is not installed.
    """

    def __init__(self, address: Address, source: Source) -> None:
        address.take(())
        self.name, self._address, self._source = address.name, address, source
        self.door = Door.of(address)
        self._token = address.secret()
        self._server: Server | None = None
        self._log: SignalLog | None = None
        self._fresh: Callable[[], asyncio.Future[None]] | None = None
        self._open: set[ServerConnection] = set()
        self._held = 0
        self.refused = 0

    async def start(self, log: SignalLog, fresh: Callable[[], asyncio.Future[None]]) -> None:
        """Listen."""
        try:
            from websockets.asyncio.server import ServerConnection, serve
        except ImportError as error:
            hint = "pip install 'midas-alpha[service]'"
            raise SettingsError(f"{self._address} needs websockets", hint=hint) from error
        self._log, self._fresh = log, fresh
        side = self

        class Bounded(ServerConnection):
            """One of at most so many connections, those that have not said a word yet among them."""

            counted = False

            def connection_made(self, transport: Any) -> None:
                self.counted = side._held < MOST_CONNECTIONS
                side._held += self.counted
                side.refused += not self.counted
                if not self.counted:
                    transport.abort()
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                side._held -= self.counted
                super().connection_lost(exc)

        try:
            self._server = await serve(
                self._serve,
                self.door.host,
                self.door.port,
                process_request=self._look,
                create_connection=Bounded,
                max_size=MOST_WORDS,
                max_queue=4,
                write_limit=MOST_WAITING,
                open_timeout=OPEN_SECONDS,
                ping_interval=20.0,
                ping_timeout=20.0,
                compression=None,
                server_header=None,
            )
        except OSError as error:
            raise self.door.taken(error) from error
        self.door.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, and part from those who listen."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _look(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse before anything is upgraded."""
        header = request.headers
        if not self.door.answers_to(header.get_all("Host")) or header.get_all("Origin"):
            return self._refuse(connection, HTTPStatus.FORBIDDEN, "this address answers its own host, and no page\n")
        given = " ".join(header.get_all("Authorization")).removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return self._refuse(connection, HTTPStatus.UNAUTHORIZED, "Authorization: Bearer TOKEN is needed\n")
        if len(self._open) >= MOST_CLIENTS:
            return self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, "too many at once\n")
        return None

    def _refuse(self, connection: ServerConnection, status: HTTPStatus, words: str) -> Response:
        self.refused += 1
        return connection.respond(status, words)

    async def _serve(self, connection: ServerConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        assert self._log is not None
        self._open.add(connection)
        try:
            sequence = await self._first_word(connection)
            with contextlib.suppress(ConnectionClosed):
                await self._feed(connection, self._log.sequence if sequence is None else sequence)
        finally:
            self._open.discard(connection)

    async def _first_word(self, connection: ServerConnection) -> int | None:
        """The number to begin after; None where nothing is said within a moment, or something else."""
        from websockets.exceptions import ConnectionClosed

        with contextlib.suppress(TimeoutError, ConnectionClosed, ValueError, KeyError, TypeError):
            async with asyncio.timeout(1.0):
                return max(0, int(json.loads(await connection.recv())["since"]))
        return None

    async def _feed(self, connection: ServerConnection, sequence: int) -> None:
        assert self._log is not None
        assert self._fresh is not None
        while True:
            wake = self._fresh()
            for record in await asyncio.to_thread(_after, self._log, sequence):
                try:
                    async with asyncio.timeout(SEND_SECONDS):
                        await connection.send(canonical(record).decode())
                except TimeoutError:  # it can come back and go on after the last number it has
                    connection.transport.abort()
                    return
                sequence = record["sequence"]
            if sequence >= self._log.sequence:
                gone = asyncio.ensure_future(connection.wait_closed())
                await asyncio.wait({wake, gone}, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    return
                gone.cancel()

    def status(self) -> dict[str, Any]:
        """Who listens."""
        return {"kind": "websocket", "address": str(self.door), "clients": len(self._open), "refused": self.refused}


def _after(log: SignalLog, sequence: int) -> list[dict[str, Any]]:
    found = []
    for record in log.since(sequence):
        found.append(record)
        if len(found) >= 20:
            break
    return found
