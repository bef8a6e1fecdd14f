"""A WebSocket door on loopback: refused before anything is upgraded, bounded in connections, frames and time."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from midas_engine.errors import SettingsError
from midas_engine.loopback.gate import MOST_CLIENTS, Waiting, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

    from midas_engine.loopback.address import Address

MOST_CONNECTIONS = 64  # those that have not said a word yet among them
OPEN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one client may send and leave unread.

    Attributes:
        frame: Longest message, bytes.
        unread: What may wait to be sent to it, bytes.
    """

    frame: int
    unread: int = 65_536


class WebSocketListener:
    """Lets programs in that bring the token.

    Args:
        key: The setting that asks for it, for messages.
        address: Where; port 0 takes a free one.
        token: What opens it.
        serve: Serves who was let in, to its end.
        bounds: How much one may send.

    Attributes:
        address: Where it stands, with the port it really has once it is open.
        clients: Who is served now.
        held: Connections there are, those not let in yet among them.
        waiting: Those not let in yet.
        refused: How many were turned away.
    """

    def __init__(
        self,
        key: str,
        address: Address,
        token: str,
        serve: Callable[[ServerConnection], Awaitable[None]],
        bounds: Bounds,
    ) -> None:
        self.address = address
        self._key, self._token, self._serve, self._bounds = key, token, serve, bounds
        self._server: Server | None = None
        self.clients: set[ServerConnection] = set()
        self.held: set[Any] = set()
        self.waiting = Waiting()
        self.refused = 0

    async def open(self) -> None:
        """Listen.

        Raises:
            SettingsError: The extra is missing, or the port is taken.
        """
        try:
            from websockets.asyncio.server import ServerConnection, serve
        except ImportError as error:
            hint = "pip install 'midas-alpha[service]'"
            raise SettingsError(f"{self._key} needs websockets", hint=hint) from error
        door = self

        class Bounded(ServerConnection):
            """One of at most so many connections."""

            def connection_made(self, transport: Any) -> None:
                full = len(door.held) >= MOST_CONNECTIONS
                gone = door.waiting.make_place() if full else None
                door.refused += full  # who came, or who gave up its place
                if full and gone is None:
                    transport.abort()
                else:
                    door.held.discard(gone)
                    door.held.add(transport)
                    door.waiting.add(transport)
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                door.held.discard(self.transport)
                door.waiting.remove(self.transport)
                super().connection_lost(exc)

        try:
            self._server = await serve(
                self._came,
                self.address.host,
                self.address.port,
                process_request=self._look,
                create_connection=Bounded,
                max_size=self._bounds.frame,
                max_queue=4,
                write_limit=self._bounds.unread,
                open_timeout=OPEN_SECONDS,
                ping_interval=20.0,
                ping_timeout=20.0,
                compression=None,
                server_header=None,
            )
        except OSError as error:
            raise self.address.taken(self._key, error) from error
        self.address = type(self.address)(self.address.host, self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening, and part from who is served."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _look(self, connection: ServerConnection, request: Request) -> Response | None:
        header = request.headers
        why = refusal(
            self.address,
            self._token,
            hosts=header.get_all("Host"),
            origins=header.get_all("Origin"),
            given=header.get_all("Authorization"),
        )
        if why is None and len(self.clients) >= MOST_CLIENTS:
            why = 503, "too many at once"
        if why is None:
            self.waiting.remove(connection.transport)
            return None
        self.refused += 1
        return connection.respond(HTTPStatus(why[0]), f"{why[1]}\n")

    async def _came(self, connection: ServerConnection) -> None:
        self.clients.add(connection)
        try:
            await self._serve(connection)
        finally:
            self.clients.discard(connection)
