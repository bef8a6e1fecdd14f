"""A second mock server beside llmock: endpoints that speak OpenAI's chat completions in dialects of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


@dataclass
class Dialect:
    """A server of one reply, given in pieces.

    Attributes:
        refused: Parameters it answers with 400, as the servers that do not know them do.
        wanted: A parameter it cannot do without.
        usage: Token counts of the last chunk; None counts nothing.
        newline: What ends its lines.
        thoughts: Pieces of `reasoning_content` before the reply.
        reason: What it calls a reply that ended by itself.
        whole: It streams nothing: the reply comes as one JSON object.
        odd: Chunks before the reply that only this server sends, objects or texts.
        parts: The reply's text comes in lists of parts.
        bodies: What it was asked.
    """

    reply: str
    refused: tuple[str, ...] = ()
    wanted: str = ""
    usage: dict[str, Any] | None = None
    newline: str = "\n"
    thoughts: tuple[str, ...] = ()
    reason: str = "stop"
    whole: bool = False
    odd: tuple[Any, ...] = ()
    parts: bool = False
    bodies: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            size = next(int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.startswith(b"content-length"))
            body = json.loads(await reader.readexactly(size))
            self.bodies.append(body)
            unknown = [name for name in self.refused if name in body]
            if unknown or (self.wanted and self.wanted not in body):
                told = f"unknown parameter {unknown[0]}" if unknown else f"{self.wanted} is required"
                self._send(writer, "400 Bad Request", "application/json", json.dumps({"error": {"message": told}}))
            elif self.whole:
                choice = {"index": 0, "message": {"role": "assistant", "content": self.reply}, "finish_reason": "stop"}
                told = json.dumps(self.odd[0] if self.odd else {"choices": [choice], "usage": self.usage})
                self._send(writer, "200 OK", "application/json; charset=utf-8", told)
            else:
                self._send(writer, "200 OK", "text/event-stream", self.newline.join(self._events()))
            await writer.drain()
        writer.close()

    def _events(self) -> Iterable[str]:
        def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> str:
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            said = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            return "data: " + json.dumps(said | more)

        for thought in self.thoughts:
            yield from (chunk({"reasoning_content": thought}), "")
        yield from (": ping", "")
        for odd in self.odd:
            yield from (f"data: {json.dumps(odd)}", "")
        for start in range(0, len(self.reply), 7):
            text = self.reply[start : start + 7]
            yield from (chunk({"content": [{"type": "text", "text": text}] if self.parts else text}), "")
        yield from (chunk({}, self.reason, **({"usage": self.usage} if self.usage else {})), "", "data: [DONE]", "", "")

    @staticmethod
    def _send(writer: asyncio.StreamWriter, status: str, kind: str, body: str) -> None:
        data = body.encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + data)


@contextlib.asynccontextmanager
async def serving(dialect: Dialect) -> AsyncIterator[Dialect]:
    """The dialect on a port of its own, until the block ends."""
    server = await asyncio.start_server(dialect.answer, "127.0.0.1", 0)
    dialect.port = server.sockets[0].getsockname()[1]
    async with server:
        yield dialect
