"""A mock server that answers with the bytes it is given: what endpoints, gateways and proxies send on a bad day."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable

Event = dict[str, Any]
STREAM, JSON = "text/event-stream", "application/json"


@dataclass
class RawServer:
    """Gives the answers in turn, the last one again and again.

    Attributes:
        answers: Whole replies, head and body.
        bodies: What it was asked.
    """

    answers: list[bytes]
    bodies: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            size = next(int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.startswith(b"content-length"))
            self.bodies.append(json.loads(await reader.readexactly(size)))
            writer.write(self.answers[min(len(self.bodies), len(self.answers)) - 1])
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def answering(*answers: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """The server on a port of its own, until the block ends."""
    made = RawServer(list(answers))
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


def http(body: str | bytes, kind: str = STREAM, status: str = "200 OK", **headers: str) -> bytes:
    """A whole reply that ends its connection."""
    data = body.encode() if isinstance(body, str) else body
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + data


def events(*told: Event) -> str:
    """A stream of events, each named by its type where it has one."""
    named = [
        (f"event: {event['type']}\n" if "type" in event else "") + f"data: {json.dumps(event)}\n\n" for event in told
    ]
    return "".join(named)


def message(text: str, reason: str = "end_turn", *, usage: Any = None, fault: Any = None) -> list[Event]:
    """Anthropic's events of a message; with a fault it ends there."""
    counts = {} if usage is None else {"usage": usage}
    start: Event = {"type": "message", "id": "m", "role": "assistant", "model": "m", "content": [], "stop_reason": None}
    begun: list[Event] = [
        {"type": "message_start", "message": start | counts},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
    ]
    if fault is not None:
        return [*begun, {"type": "error", "error": fault}]
    return [*begun, {"type": "message_delta", "delta": {"stop_reason": reason}, **counts}, {"type": "message_stop"}]


def response(text: str, status: str = "completed", *, fault: Any = None, **more: Any) -> list[Event]:
    """OpenAI's events of a response."""
    part = {"type": "output_text", "text": text, "annotations": []}
    whole = {
        "id": "r", "object": "response", "status": status, "model": "m", "error": fault, "usage": None,
        "incomplete_details": None,
        "output": [{"type": "message", "id": "i", "role": "assistant", "status": status, "content": [part]}],
    }  # fmt: skip
    return [
        {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "i", "output_index": 0,
         "content_index": 0, "delta": text},
        {"type": f"response.{status}", "sequence_number": 2, "response": whole | more},
    ]  # fmt: skip


def chunks(*choices: Iterable[Event], **more: Any) -> list[Event]:
    """OpenAI's chunks of a chat completion, one for each list of choices."""
    return [
        {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": list(c), **more}
        for c in choices
    ]


def said(text: str | None, reason: str | None = None, index: int = 0) -> Event:
    """One choice of a chunk."""
    return {"index": index, "delta": {"content": text}, "finish_reason": reason}
