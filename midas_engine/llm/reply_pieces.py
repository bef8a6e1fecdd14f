"""What endpoints send: the words and shapes that each has of its own, in a stream or all in one piece."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from midas_engine.errors import ModelOutageError
from midas_engine.llm.replies import MAX_REPLY
from midas_engine.redaction import redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ENDS = frozenset({"stop", "end_turn", "stop_sequence", "eos", "eos_token", "end", "complete", "completed"})
"""What endpoints call a reply that ended by itself, in small letters."""
CUTS = frozenset({"length", "max_tokens", "max_output_tokens", "max_length", "model_length"})
"""What they call one that met the token limit."""
FAULTS = frozenset(
    {"failed", "error", "abort", "aborted", "cancelled", "overloaded", "insufficient_system_resource", "network_error",
     "server_error", "internal_error"}
)  # fmt: skip
"""What they call one that a fault of their own ended: the same question may be answered later."""
MOST_COUNTED = 100_000_000
"""Tokens that a count may say: no context is near it, and a budget is not emptied by a slip."""
_MOST_BYTES = 8 * MAX_REPLY


class _Plain:
    """A decoded JSON object with its fields as attributes."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.__dict__.update(fields)


async def chunks_of(stream: Any, provider: str) -> AsyncIterator[Any]:
    """The pieces of a reply; an endpoint that streams nothing gives the whole one as its only piece.

    What is not called a stream is told by its bytes: a gateway calls a good reply `text/plain`, or nothing at all.

    Raises:
        ModelOutageError: What came in one piece is no reply.
    """
    kind = str(stream.response.headers.get("content-type", "")).lower().partition(";")[0]
    if "stream" in kind and "octet-stream" not in kind:
        async for chunk in stream:
            yield chunk
        return
    body = bytearray()
    async for piece in stream.response.aiter_bytes():
        body += piece
        if len(body) > _MOST_BYTES:
            raise ModelOutageError(f"the reply of {provider} has more than {_MOST_BYTES:,} bytes", hint="none was used")
    if body.lstrip().startswith((b"data:", b"event:", b":")):  # a stream by another name
        for line in body.decode("utf-8", "replace").splitlines():
            if (data := line.removeprefix("data:").strip()) and line.startswith("data:") and data != "[DONE]":
                yield _one(data, provider)
        return
    lines = body.split(b"\n")
    if len(lines) > 1 and lines[0].rstrip().endswith(b"}"):  # an object a line
        for one in filter(bytes.strip, map(bytes, lines)):
            yield _one(one, provider)
        return
    yield _one(bytes(body), provider)


def _one(text: str | bytes, provider: str) -> _Plain:
    """One object of a reply."""
    try:
        whole: _Plain = json.loads(text, object_hook=_Plain)
    except (ValueError, RecursionError) as error:
        raise ModelOutageError(f"the reply of {provider} is no JSON", hint="nothing of it was used") from error
    if fault := getattr(whole, "error", None):
        told = fault if isinstance(fault, str) else getattr(fault, "message", "")
        words = f": {redact(' '.join(str(told)[:2_000].split()))[:200]}" if told else ""
        raise ModelOutageError(f"{provider} answered with an error{words}", hint="nothing of it was used; try again")
    return whole


def broke_off(provider: str, fault: Any) -> ModelOutageError:
    """The error of a stream that its endpoint ended with a fault of its own, in the words of `fault.message`."""
    told = getattr(fault, "message", None)
    words = f": {redact(' '.join(told[:2_000].split()))[:200]}" if isinstance(told, str) and told.strip() else ""
    return ModelOutageError(f"{provider} broke its reply off with an error{words}", hint="nothing of it was used")


def text_of(content: Any) -> str:
    """The text of a piece: itself, or that of its parts where it comes in parts; none where there is none."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part if isinstance(part, dict) else vars(part) for part in content if not isinstance(part, str | int)]
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def counted(usage: Any, name: str, estimate: int) -> int:
    """A count of tokens as the endpoint gives it; the estimate where it gives none, or something that is no count."""
    value = getattr(usage, name, None)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_COUNTED else estimate
