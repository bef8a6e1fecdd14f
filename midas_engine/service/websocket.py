"""The second way in: a WebSocket on loopback, for who comes through a tunnel: token, Host and Origin are checked."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from midas_engine.errors import SettingsError
from midas_engine.service.frames import MOST_REQUEST_BYTES, ClosedError
from midas_engine.service.wire import WireError

if TYPE_CHECKING:
    from midas_engine.service.address import Address
    from midas_engine.service.door import Door

OPEN_SECONDS = 5.0


class WebSocketDoor:
    """Lets clients in that bring the token; hands them to the service's door.

    Args:
        address: Where, on loopback.
        token: What opens it.
        door: Serves them.
    """

    def __init__(self, address: Address, token: str, door: Door) -> None:
        self.address, self._token, self._door = address, token, door
        self._server: Any = None

    async def open(self) -> None:
        """Listen.

        Raises:
            SettingsError: The extra is missing, or the port is taken.
        """
        try:
            from websockets.asyncio.server import serve
        except ImportError:
            hint = "pip install 'midas-alpha[service]'"
            raise SettingsError("service.websocket needs websockets", hint=hint) from None
        try:
            self._server = await serve(
                self._came,
                self.address.host,
                self.address.port,
                process_request=self._checked,
                max_size=MOST_REQUEST_BYTES,
                open_timeout=OPEN_SECONDS,
                compression=None,
                server_header=None,
                max_queue=4,
            )
        except OSError as error:
            raise SettingsError(
                f"service.websocket: {self.address} cannot be listened on: {error.strerror or error}",
                hint="choose another port, or stop what has it",
            ) from error
        self.address = type(self.address)(self.address.host, self._server.sockets[0].getsockname()[1])

    def _checked(self, connection: Any, request: Any) -> Any:
        """None lets the request through; a response refuses it."""
        if not self.address.answers_to(_one(request, "Host")):
            return connection.respond(HTTPStatus.FORBIDDEN, "this address answers to its own host\n")
        origin = request.headers.get_all("Origin")
        if origin and origin != [f"http://{_one(request, 'Host')}"]:  # programs send none; a foreign page sends its own
            return connection.respond(HTTPStatus.FORBIDDEN, "a foreign page has no business here\n")
        given = _one(request, "Authorization").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "Authorization: Bearer TOKEN is needed\n")
        return None

    async def _came(self, connection: Any) -> None:
        await self._door.serve(SocketChannel(connection))

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


def _one(request: Any, name: str) -> str:
    """The header, where it is there once."""
    found = request.headers.get_all(name)
    return str(found[0]) if len(found) == 1 else ""


class SocketChannel:
    """Messages over a WebSocket, of either side.

    Args:
        connection: As `websockets` gives it.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def receive(self) -> bytes:
        """See `frames.Channel`."""
        from websockets.exceptions import ConnectionClosed

        try:
            found = await self._connection.recv()
        except (ConnectionClosed, OSError) as error:
            raise ClosedError from error
        return found if isinstance(found, bytes) else str(found).encode()

    async def send(self, body: bytes) -> None:
        """See `frames.Channel`."""
        from websockets.exceptions import ConnectionClosed

        try:
            await self._connection.send(body)
        except (ConnectionClosed, OSError) as error:
            raise ClosedError from error

    async def close(self) -> None:
        """See `frames.Channel`."""
        await self._connection.close()


async def open_websocket(address: str, token: str, most: int) -> SocketChannel:
    """Connect to a service's WebSocket.

    Raises:
        ClosedError: It is not there, or does not let this client in.
        WireError: The address is none.
        SettingsError: The extra is missing.
    """
    try:
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake, InvalidURI
    except ImportError:
        raise SettingsError("a ws:// address needs websockets", hint="pip install 'midas-alpha[service]'") from None
    try:
        connection = await connect(
            address,
            additional_headers={"Authorization": f"Bearer {token}"},
            max_size=most,
            open_timeout=OPEN_SECONDS,
            compression=None,
            proxy=None,
        )
    except InvalidURI as error:
        raise WireError(f"{address!r} is no address of a WebSocket") from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise ClosedError(str(error)) from error
    return SocketChannel(connection)
