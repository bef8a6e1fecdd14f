"""A small HTTP door on loopback: one request a connection, bounded heads, bounded clients, bounded time.

Who has not shown the token holds no place against who comes: see `Waiting`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from midas_engine.loopback.gate import MOST_CLIENTS, Waiting, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from midas_engine.loopback.address import Address

MOST_HEAD_BYTES = 8192
READ_SECONDS = 5.0
CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was let in.

    Attributes:
        path: Without its query.
        headers: By lower-case name; one that came twice is not there.
        body: Reads what follows the head; the door's time for a request holds for it, too.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: asyncio.StreamReader


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int
    body: bytes
    kind: str = "text/plain"


class HttpDoor:
    """Serves programs that have the token.

    Args:
        key: The setting that asks for it, for messages.
        address: Where; port 0 takes a free one.
        token: What opens it.
        answer: Answers who was let in.
        refused: Makes the body of a refusal of its line.

    Attributes:
        address: Where it stands, with the port it really has once it is open.
        refused_count: How many requests were answered with an error, or sent none that is whole.
    """

    def __init__(
        self,
        key: str,
        address: Address,
        token: str,
        answer: Callable[[Request], Awaitable[Reply]],
        refused: Callable[[int, str], Reply] = lambda status, line: Reply(status, f"{line}\n".encode()),
    ) -> None:
        self.address = address
        self._key, self._token, self._answered, self._refused = key, token, answer, refused
        self._server: asyncio.Server | None = None
        self.writers: set[asyncio.StreamWriter] = set()
        self._served: set[asyncio.WriteTransport] = set()
        self._waiting = Waiting()
        self.refused_count = 0

    async def open(self) -> None:
        """Listen.

        Raises:
            SettingsError: The port is taken.
        """
        host, port = self.address.host, self.address.port
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=MOST_HEAD_BYTES)
        except OSError as error:
            raise self.address.taken(self._key, error) from error
        self.address = type(self.address)(host, self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            for writer in tuple(self.writers):
                writer.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        transport = writer.transport
        served = len(self._served) < MOST_CLIENTS or self._makes_place()
        if served:
            self._served.add(transport)
            self._waiting.add(transport)
        try:
            reply = self._refused(503, "too many at once")
            if served:
                async with asyncio.timeout(READ_SECONDS):
                    reply = await self._answer(reader, transport)
            self.refused_count += reply.status >= 400
            writer.write(_written(reply))
            async with asyncio.timeout(READ_SECONDS):
                await writer.drain()
            writer.close()
            async with asyncio.timeout(CLOSE_SECONDS):
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            self.refused_count += 1  # it sent no request, or does not read: nothing to say to it
        finally:
            self._served.discard(transport)
            self._waiting.remove(transport)
            self.writers.discard(writer)
            transport.abort()  # what it did not read is not kept for it

    def _makes_place(self) -> bool:
        gone = self._waiting.make_place()
        if gone is not None:
            self._served.discard(gone)  # now, not when its task has ended: the place is for who came
        return gone is not None

    async def _answer(self, reader: asyncio.StreamReader, transport: asyncio.WriteTransport) -> Reply:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers: dict[str, list[str]] = {}
        for line in lines[1:]:
            name, mark, value = line.partition(":")
            if mark:
                headers.setdefault(name.strip().lower(), []).append(value.strip())
        why = refusal(
            self.address,
            self._token,
            hosts=headers.get("host", []),
            origins=headers.get("origin", []),
            given=headers.get("authorization", []),
        )
        if why is not None:
            return self._refused(*why)
        self._waiting.remove(transport)
        words = lines[0].split(" ")
        path = words[1].partition("?")[0] if len(words) == 3 else ""
        single = {name: values[0] for name, values in headers.items() if len(values) == 1}
        return await self._answered(Request(words[0], path, single, reader))


def _written(reply: Reply) -> bytes:
    head = f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\nContent-Type: {reply.kind}\r\n"
    head += f"Content-Length: {len(reply.body)}\r\nConnection: close\r\nCache-Control: no-store\r\n\r\n"
    return head.encode() + reply.body
