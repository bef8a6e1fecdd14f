"""Frames on a stream socket: four bytes of length, then a JSON object. No length is believed unchecked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from midas_engine.service.wire import WireError

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

PROTOCOL = 1
# What a client may say is a command; what a service may say is the state of thousands of features.
MOST_REQUEST_BYTES = 64_000
MOST_ANSWER_BYTES = 64_000_000
_HEAD = 4


class ClosedError(Exception):
    """The other side is gone."""


class Channel(Protocol):
    """A connection that carries whole messages."""

    async def receive(self) -> bytes:
        """The next message.

        Raises:
            ClosedError: There is none any more.
            WireError: It is too long.
        """
        ...

    async def send(self, body: bytes) -> None:
        """Send a message; waits while the other side does not read.

        Raises:
            ClosedError: The other side is gone.
        """
        ...

    async def close(self) -> None:
        """Let go."""
        ...


class StreamChannel:
    """Messages over a stream socket.

    Args:
        reader: As asyncio gives it.
        writer: The same.
        most: Bytes of the longest message that is taken.
    """

    def __init__(self, reader: StreamReader, writer: StreamWriter, most: int) -> None:
        self._reader, self._writer, self._most = reader, writer, most

    async def receive(self) -> bytes:
        """See `Channel`."""
        try:
            size = int.from_bytes(await self._reader.readexactly(_HEAD), "big")
            if not 0 < size <= self._most:
                raise WireError(f"a frame of {size:,} bytes; {self._most:,} at most")
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise ClosedError from error

    async def send(self, body: bytes) -> None:
        """See `Channel`."""
        try:
            self._writer.write(framed(body))
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise ClosedError from error

    async def close(self) -> None:
        """See `Channel`."""
        self._writer.close()
        try:
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()


def framed(body: bytes) -> bytes:
    """A message with its length before it."""
    return len(body).to_bytes(_HEAD, "big") + body
