"""What one who comes to the HTTP door of `midas mcp` may take: connections, time without a word, a body, unread bytes.

The server and the protocol are those of others, and bound none of it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from midas_engine.loopback.gate import Waiting

MOST_CONNECTIONS = 64
MOST_BODY_BYTES = 1_000_000
OPEN_SECONDS = 5.0
BODY_SECONDS = 10.0
STUCK_SECONDS = 30.0


def bounded_protocol() -> Any:
    """Uvicorn's own protocol, of which at most so many connections are held: a class for one server."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    held, waiting = set[Any](), Waiting()

    class Bounded(H11Protocol):
        """A connection that says something soon, and reads what it asked for, or is cut."""

        _silent: asyncio.TimerHandle | None = None
        _stuck: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            """Hold it, or cut it."""
            super().connection_made(transport)
            if len(held) >= MOST_CONNECTIONS:
                gone = waiting.make_place()
                if gone is None:
                    transport.abort()
                    return
                held.discard(gone)
            held.add(transport)
            waiting.add(transport)
            self._silent = self.loop.call_later(OPEN_SECONDS, transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            """Let it go."""
            held.discard(self.transport)
            waiting.remove(self.transport)
            for timer in (self._silent, self._stuck):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Bytes are no word: a head that is whole is."""
            super().data_received(data)
            if self.cycle is not None and self._silent is not None:
                waiting.remove(self.transport)
                self._silent.cancel()
                self._silent = None

        def pause_writing(self) -> None:
            """It does not read."""
            super().pause_writing()
            self._stuck = self.loop.call_later(STUCK_SECONDS, self.transport.abort)

        def resume_writing(self) -> None:
            """It reads again."""
            if self._stuck is not None:
                self._stuck.cancel()
                self._stuck = None
            super().resume_writing()

    return Bounded


def bounded_body(app: Any) -> Any:
    """The ASGI application behind a bound on a request's body and on the time it takes: 413, and 408."""

    async def checked(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        parts, size, more = [], 0, True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        return  # it left
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > MOST_BODY_BYTES:
                        await _refuse(send, 413, b"Refused: the body is too long.")
                        return
                    more = message.get("more_body", False)
        except TimeoutError:
            await _refuse(send, 408, b"Refused: the body did not come in time.")
            return
        whole = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

        async def given() -> Any:
            return whole.pop() if whole else await receive()

        await app(scope, given, send)

    return checked


async def _refuse(send: Any, status: int, why: bytes) -> None:
    head = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": why})
