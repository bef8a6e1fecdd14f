"""Signals over a WebSocket on loopback: a token opens it, no page may, and a slow reader holds up nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from midas_engine.loopback.websocket import Bounds, WebSocketListener
from midas_engine.outbound.signal_log import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import ServerConnection

    from midas_engine.outbound.destination import Address
    from midas_engine.outbound.outputs import Source
    from midas_engine.outbound.signal_log import SignalLog

MOST_WORDS = 1024
SEND_SECONDS = 10.0


class SignalSocket:
    """A door for programs. The first word may be `{"since": SEQUENCE}`; without one the next bar comes first.

    Raises:
        SettingsError: The address is not on loopback, there is no token, or `websockets` is not installed.
    """

    def __init__(self, address: Address, source: Source) -> None:
        address.take(())
        self.name = address.name
        self.listener = WebSocketListener(
            str(address), address.door(), address.secret(), self._serve, Bounds(MOST_WORDS)
        )
        self._source, self.let_go = source, 0
        self._log: SignalLog | None = None
        self._fresh: Callable[[], asyncio.Future[None]] | None = None

    async def start(self, log: SignalLog, fresh: Callable[[], asyncio.Future[None]]) -> None:
        """Listen."""
        self._log, self._fresh = log, fresh
        await self.listener.open()

    async def close(self) -> None:
        """Stop listening, and part from those who listen."""
        await self.listener.close()

    async def _serve(self, connection: ServerConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        assert self._log is not None
        sequence = await self._first_word(connection)
        with contextlib.suppress(ConnectionClosed):
            await self._feed(connection, self._log.sequence if sequence is None else sequence)

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
                    self.let_go += 1
                    words = (
                        f"{self.name}: a reader of signals does not read, and was let go before {record['sequence']}"
                    )
                    self._source.fault("signals", words, "info", hint="it goes on where it was when it comes back")
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
        at = self.listener
        held = {"clients": len(at.clients), "refused": at.refused, "let_go": self.let_go}
        return {"kind": "websocket", "address": str(at.address), **held}


def _after(log: SignalLog, sequence: int) -> list[dict[str, Any]]:
    found = []
    for record in log.since(sequence):
        found.append(record)
        if len(found) >= 20:
            break
    return found
