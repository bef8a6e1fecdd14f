"""The second way in: a WebSocket on loopback, for who comes through a tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.errors import SettingsError
from midas_engine.loopback.websocket import OPEN_SECONDS, Bounds, WebSocketListener
from midas_engine.service.frames import MOST_REQUEST_BYTES, ClosedError
from midas_engine.service.wire import WireError

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

    from midas_engine.loopback.address import Address
    from midas_engine.service.door import Door


def websocket_door(address: Address, token: str, door: Door) -> WebSocketListener:
    """A door that lets clients in and hands them to the service's own.

    Args:
        address: Where, on loopback.
        token: What opens it.
        door: Serves them.
    """

    async def serve(connection: ServerConnection) -> None:
        await door.serve(SocketChannel(connection))

    return WebSocketListener("service.websocket", address, token, serve, Bounds(MOST_REQUEST_BYTES))


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
