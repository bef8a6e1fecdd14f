"""A model's endpoint that answers a whole session well but for one fault, sent byte by byte over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.helpers_llm import block, candidates, learning, plan
from tests.helpers_raw_server import JSON, STREAM, chunks, events, http, message, response, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

APIS = ("chat", "responses", "messages", "old dialect", "whole dialect")
"""Both APIs of OpenAI, Anthropic's, and two endpoints that only resemble the first."""
HOLD = None
"""In the place of bytes: keep the connection open and say no more."""
BOM = "\ufeff".encode()
LIMITED = {"message": "slow down", "type": "rate_limit_error"}
_WORDS = {
    "length": {"chat": "length", "responses": "max_output_tokens", "messages": "max_tokens"},
    "refusal": {"chat": "content_filter", "responses": "content_filter", "messages": "refusal"},
}


def good(api: str, text: str, reason: str = "", **more: Any) -> bytes:
    """A whole reply."""
    return http(body(api, text, reason, **more), JSON if api == "whole dialect" else STREAM)


def body(api: str, text: str, reason: str = "", **more: Any) -> str:
    """What a reply holds; `reason` is one of `_WORDS`, or the endpoint's own word."""
    word = _WORDS.get(reason, {}).get("chat" if "dialect" in api else api, reason)
    if api == "messages":
        return events(*message(text, word or "end_turn", **more))
    if api == "responses":
        if word:
            return events(*response(text, "incomplete", incomplete_details={"reason": word}, **more))
        return events(*response(text, **more))
    if api == "whole dialect":
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": word or "stop"}
        return json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], **more})
    told = events(*chunks([said(text)], [said(None, word or "stop")], **more))
    return told.replace("\n", "\r\n") if api == "old dialect" else told + "data: [DONE]\n\n"


def _head(kind: str, *lines: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", f"Content-Type: {kind}", *lines, "", ""]).encode()


def _kind(api: str) -> str:
    return JSON if api == "whole dialect" else STREAM


def _status(status: str, page: str, kind: str = JSON, **headers: str) -> Callable[[str, str], list[Any]]:
    return lambda api, text: [http(page, kind, status, **headers)]


def _part(api: str, text: str, end: int) -> list[Any]:
    """A stream of which `end` bytes come."""
    whole = body(api, text).encode()
    return [_head(_kind(api), f"Content-Length: {len(whole)}") + whole[:end]]


def _inside_a_character(api: str, text: str) -> list[Any]:
    whole = body(api, "\N{EURO SIGN}" + text).encode().replace(rb"\u20ac", "\N{EURO SIGN}".encode())
    return _raw(api, whole)[:1] + [whole[: whole.index("\N{EURO SIGN}".encode()) + 1]]


def _raw(api: str, whole: bytes, *lines: str, version: str = "1.1") -> list[Any]:
    return [_head(_kind(api), f"Content-Length: {len(whole)}", *lines, version=version), whole]


def _chunked(api: str, text: str, *, end: bool) -> list[Any]:
    whole = body(api, text).encode()
    half = len(whole) // 2
    pieces = [b"%x\r\n%s\r\n" % (len(part), part) for part in (whole[:half], whole[half:])]
    head = _head(_kind(api), "Transfer-Encoding: chunked")
    return [head, *pieces, b"0\r\n\r\n"] if end else [head, pieces[0], b"ffff\r\n{"]


def _odd_usage(usage: Any) -> Callable[[str, str], list[Any]]:
    def told(api: str, text: str) -> list[Any]:
        return [good(api, text, usage=usage)]

    return told


def _overloaded(api: str, text: str) -> list[Any]:
    busy = {"type": "overloaded_error", "message": "Overloaded", "code": "server_error"}
    if api == "messages":
        return [http(events(*message(text[:40], fault=busy)))]
    if api == "responses":
        return [http(events(*response(text[:40], "failed", fault=busy)))]
    if api == "whole dialect":
        return [http(json.dumps({"error": busy}), JSON)]
    return [http(events(*chunks([said(text[:40])]), {"error": busy}))]


def _nothing_in_it(api: str, text: str) -> list[Any]:
    if api == "messages":
        return [http(events(*message("", "end_turn")[:1], *message("", "end_turn")[3:]))]
    if api == "responses":
        return [http(events(*response("", output=[])[1:]))]
    if api == "whole dialect":
        return [http(json.dumps({"choices": []}), JSON)]
    return [http(events(*chunks([], [])) + "data: [DONE]\n\n")]


def _as_list(api: str, text: str) -> list[Any]:
    parts = [{"type": "text", "text": text}]
    if api == "whole dialect":
        message_ = {"role": "assistant", "content": parts}
        return [http(json.dumps({"choices": [{"index": 0, "message": message_, "finish_reason": "stop"}]}), JSON)]
    if api in ("messages", "responses"):
        return [good(api, text)]  # that is their form
    choice = {"index": 0, "delta": {"content": parts}, "finish_reason": None}
    return [http(events(*chunks([choice], [said(None, "stop")])))]


def _tool(api: str, text: str) -> list[Any]:
    if api == "messages":
        return [http(events(*message("", "tool_use")))]
    if api == "responses":
        call = {"type": "function_call", "id": "f", "call_id": "c", "name": "look", "arguments": "{}"}
        return [http(events(*response("", output=[call])[1:]))]
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    if api == "whole dialect":
        message_ = {"role": "assistant", "content": None, "tool_calls": [call]}
        return [http(json.dumps({"choices": [{"index": 0, "message": message_, "finish_reason": "tool_calls"}]}), JSON)]
    choice = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}
    return [http(events(*chunks([choice], [said(None, "tool_calls")])))]


def _wrong_types(api: str, text: str) -> list[Any]:
    return [good(api, block(candidates={"name": 3, "expression": ["close"]}))]


def _between_events(api: str, text: str) -> list[Any]:
    told = body(api, text)
    return _part(api, text, told.index("\n", 9) + 1 if "\n" in told else 40)


def _limited(**headers: str) -> Callable[[str, str], list[Any]]:
    return _status("429 Too Many Requests", json.dumps({"error": LIMITED}), **headers)


def _packed(api: str, whole: bytes) -> list[Any]:
    return _raw(api, whole, "Content-Encoding: gzip")


COUNTS = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")
HTML = "<html><body>Internal Server Error</body></html>"
# name -> (what is sent in the place of a reply, how often)
FAULTS: dict[str, tuple[Callable[[str, str], list[Any]], float]] = {
    "cut by its length": (lambda api, text: [good(api, text[:30], "length")], 1),
    "refusal": (lambda api, text: [good(api, "I cannot", "refusal")], 1),
    "two bad replies": (lambda api, text: [good(api, "no JSON at all")], 2),
    "empty": (lambda api, text: [good(api, "")], 1),
    "wrong types": (_wrong_types, 1),
    "stall before the head": (lambda api, text: [HOLD], 1),
    "stall after the head": (lambda api, text: [_head(_kind(api), "Content-Length: 9999"), HOLD], 1),
    "stall inside an event": (lambda api, text: [*_part(api, text, 60), HOLD], 1),
    "cut between events": (_between_events, 1),
    "cut inside a character": (_inside_a_character, 1),
    "closed before the head": (lambda api, text: [], 1),
    "429 without a wait": (_limited(), 1),
    "429, Retry-After in words": (_limited(Retry_After="soon"), 1),
    "429, Retry-After below zero": (_status("429 Too Many Requests", "", Retry_After="-5"), 1),
    "429, Retry-After of a day": (_limited(Retry_After="86400"), 1),
    "429 for ever": (_limited(Retry_After="0"), math.inf),
    "500 as a page": (_status("500 Internal Server Error", HTML, "text/html", retry_after_ms="1"), 1),
    "500 for ever": (_status("500 Internal Server Error", HTML, "text/html", retry_after_ms="1"), math.inf),
    "502 without a body": (_status("502 Bad Gateway", "", retry_after_ms="1"), 1),
    "408": (_status("408 Request Timeout", "{}", retry_after_ms="1"), 1),
    "409": (_status("409 Conflict", "{}", retry_after_ms="1"), 1),
    "413": (_status("413 Payload Too Large", HTML, "text/html"), 1),
    "529": (_status("529 Overloaded", json.dumps({"error": {"type": "overloaded_error"}}), retry_after_ms="1"), 1),
    "overloaded inside of a 200": (_overloaded, 1),
    "redirect": (_status("307 Temporary Redirect", "", Location="http://127.0.0.1:9/elsewhere"), 1),
    "nothing in it": (_nothing_in_it, 1),
    "content as a list": (_as_list, 1),
    "a tool's call": (_tool, 1),
    "an unknown reason": (lambda api, text: [good(api, text, "bored")], 1),
    "usage null": (_odd_usage(None), 1),
    "usage of texts": (_odd_usage(dict.fromkeys(COUNTS, "9")), 1),
    "usage a list": (_odd_usage([]), 1),
    "gzip that is broken": (lambda api, text: _packed(api, gzip.compress(body(api, text).encode())[:-20]), 1),
    "gzip that is none": (lambda api, text: _packed(api, body(api, text).encode()), 1),
    "gzip": (lambda api, text: _packed(api, gzip.compress(body(api, text).encode())), 1),
    "chunks": (lambda api, text: _chunked(api, text, end=True), 1),
    "chunks that are cut": (lambda api, text: _chunked(api, text, end=False), 1),
    "kept alive, then closed": (lambda api, text: _raw(api, body(api, text).encode(), "Connection: keep-alive"), 1),
    "HTTP/1.0 without a length": (lambda api, text: [_head(_kind(api), version="1.0"), body(api, text).encode()], 1),
    "a byte-order mark": (lambda api, text: _raw(api, BOM + body(api, text).encode()), 1),
    "no HTTP at all": (lambda api, text: [b"SSH-2.0-OpenSSH_9.6\r\n"], 1),
}  # fmt: skip
LASTING = frozenset(name for name, (_, times) in FAULTS.items() if times == math.inf)


@dataclass
class FaultyModel:
    """Answers each question of a session by its purpose; the second `generate` meets the fault first.

    Attributes:
        asked: Purpose of the call under way; whoever asks sets it.
        answered: Purposes that were answered well.
        spoilt: How often the fault was sent.
    """

    api: str
    fault: str
    asked: str = ""
    answered: list[str] = field(default_factory=list)
    spoilt: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _text(self) -> str:
        number = self.answered.count("plan") + 1
        return {
            "plan": plan(), "generate": candidates(f"ts_mean(close, {number})"), "refine": block(expression=None),
            "learn": learning(title="the model's own words"),
        }[self.asked]  # fmt: skip

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            size = next(int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.startswith(b"content-length"))
            await reader.readexactly(size)
            send, times = FAULTS[self.fault]
            due = self.answered.count("plan") == 2 and (self.asked == "generate" or self.fault in LASTING)
            if due and self.spoilt < times:
                self.spoilt += 1
                pieces = send(self.api, self._text())
            else:
                pieces = [good(self.api, self._text())]
                self.answered.append(self.asked)
            for piece in pieces:
                if piece is HOLD:
                    await reader.read()  # until whoever asked goes away
                    break
                writer.write(piece)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def faulty(api: str, fault: str) -> AsyncIterator[FaultyModel]:
    """The endpoint on a port of its own, until the block ends."""
    made = FaultyModel(api, fault)
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made
