"""Asking a far side over HTTP: one deadline for the whole exchange, no redirect followed, a bounded answer."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from midas_engine.clock import WallClock
from midas_engine.errors import MonitorError
from midas_engine.monitor.worker import Worker, within
from midas_engine.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 1_000_000
SECONDS = 5.0
_LOCAL = ("127.0.0.1", "localhost", "::1")


class DeliveryError(MonitorError):
    """A far side could not be reached, or did not answer as it should."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status: int
    body: bytes

    def document(self) -> Any:
        """The body as JSON; DeliveryError when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise DeliveryError(f"the answer is no JSON ({len(self.body)} bytes)") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A signed order, or a password, goes to the host that was named and to no other."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class _Line:
    """The connection of one exchange, which whoever waits for it can cut: a far side may send a byte now and then."""

    def __init__(self) -> None:
        self._lock, self._over = threading.Lock(), False
        self._held: socket.socket | None = None

    def take(self, sock: socket.socket) -> None:
        """Hold a connection; one that comes when the time is over is cut at once."""
        with self._lock:
            self._held, over = sock.dup(), self._over
        if over:
            self.cut()

    def cut(self) -> None:
        """End it, whoever reads or writes there."""
        with self._lock:
            self._over = True
            held, self._held = self._held, None
        if held is not None:
            with held, contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)


class _Plain(http.client.HTTPConnection):
    line: _Line

    def connect(self) -> None:
        super().connect()
        self.line.take(self.sock)


class _Secure(http.client.HTTPSConnection, _Plain):
    """Its handshake comes after `_Plain.connect`: that, too, can be cut."""


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def _on(self, kind: type[_Plain], request: urllib.request.Request) -> http.client.HTTPResponse:
        def make(host: str, **rest: Any) -> _Plain:
            connection = kind(host, **rest)
            connection.line = self._line
            return connection

        return self.do_open(make, request)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self._on(_Plain, req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self._on(_Secure, req)


def is_local(url: str) -> bool:
    """Whether an address is this machine's own."""
    return (urlsplit(url).hostname or "") in _LOCAL


async def ask(method: str, url: str, body: bytes | None, headers: Mapping[str, str], seconds: float = SECONDS) -> Reply:
    """The far side's answer, whatever its status.

    Raises:
        DeliveryError: None came in time, or not a whole one.
    """
    line = _Line()
    try:
        # A thread of its own that nobody waits for at the exit: it is in the resolver, or its connection was cut.
        return await within(
            Worker("midas-http").submit(lambda: _ask(line, method, url, body, headers, seconds)), seconds
        )
    except TimeoutError:
        raise DeliveryError(f"no answer within {seconds:g} s") from None
    finally:
        line.cut()


def _ask(line: _Line, method: str, url: str, body: bytes | None, headers: Mapping[str, str], seconds: float) -> Reply:
    clock = WallClock()
    proxies = [urllib.request.ProxyHandler({})] if is_local(url) else []
    opener = urllib.request.build_opener(_NoRedirect, _Handler(line), *proxies)
    request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)
    ends = clock.monotonic() + seconds
    try:
        try:
            answer = opener.open(request, timeout=seconds)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            parts, size, told = [], 0, answer.headers.get("Content-Length", "")
            whole = int(told) if told.isdecimal() and len(told) < 19 else None
            # Not to the end of the stream: who keeps the connection open has answered all the same.
            while size != whole and (piece := answer.read1(65_536)):
                size += len(piece)
                if size > MOST_BYTES:
                    raise DeliveryError(f"the answer has more than {MOST_BYTES:,} bytes")
                if clock.monotonic() > ends:
                    raise DeliveryError(f"no whole answer within {seconds:g} s")
                parts.append(piece)
            if whole is not None and size < whole and answer.status not in (204, 304):
                raise DeliveryError(f"the answer broke off after {size:,} of {whole:,} bytes")
            return Reply(int(answer.status), b"".join(parts))
    except DeliveryError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DeliveryError(_one_line(redact(f"{type(error).__name__}: {reason}"))) from error


def _one_line(text: str) -> str:
    """What a far side said, as far as a line of a message can hold it."""
    return "".join(c if c.isprintable() else " " for c in text)[:150].strip()


def refused(reply: Reply) -> DeliveryError:
    """What to say of an answer that is no success: its status and its own first words."""
    if 300 <= reply.status < 400:
        return DeliveryError(f"HTTP {reply.status}: a redirect, which is not followed; name the address it leads to")
    words = _one_line(redact(reply.body[:200].decode("utf-8", "replace")))
    return DeliveryError(f"HTTP {reply.status}" + (f": {words}" if words else ""))


async def ask_json(
    method: str, url: str, document: Any = None, headers: Mapping[str, str] | None = None, seconds: float = SECONDS
) -> Any:
    """Ask with JSON and take JSON; DeliveryError on any status that is not a success."""
    body = None if document is None else json.dumps(document).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    reply = await ask(method, url, body, {**kind, **(headers or {})}, seconds)
    if not 200 <= reply.status < 300:
        raise refused(reply)
    return reply.document()
