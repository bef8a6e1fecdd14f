"""Asking a far side over HTTP: one deadline for the whole exchange, no redirect followed, a bounded answer."""

from __future__ import annotations

import http.client
import json
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


def is_local(url: str) -> bool:
    """Whether an address is this machine's own."""
    return (urlsplit(url).hostname or "") in _LOCAL


async def ask(method: str, url: str, body: bytes | None, headers: Mapping[str, str], seconds: float = SECONDS) -> Reply:
    """The far side's answer, whatever its status.

    Raises:
        DeliveryError: None came in time, or not a whole one.
    """
    try:
        # A thread of its own that nobody waits for at the exit: a far side may send a byte a second for ever.
        return await within(Worker("midas-http").submit(lambda: _ask(method, url, body, headers, seconds)), seconds)
    except TimeoutError:
        raise DeliveryError(f"no answer within {seconds:g} s") from None


def _ask(method: str, url: str, body: bytes | None, headers: Mapping[str, str], seconds: float) -> Reply:
    clock = WallClock()
    proxies = [urllib.request.ProxyHandler({})] if is_local(url) else []
    opener = urllib.request.build_opener(_NoRedirect, *proxies)
    request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)
    ends = clock.monotonic() + seconds
    try:
        try:
            answer = opener.open(request, timeout=seconds)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            parts, size = [], 0
            while piece := answer.read1(65_536):
                size += len(piece)
                if size > MOST_BYTES:
                    raise DeliveryError(f"the answer has more than {MOST_BYTES:,} bytes")
                if clock.monotonic() > ends:
                    raise DeliveryError(f"no whole answer within {seconds:g} s")
                parts.append(piece)
            return Reply(int(answer.status), b"".join(parts))
    except DeliveryError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DeliveryError(redact(f"{type(error).__name__}: {reason}")[:300]) from error


async def ask_json(
    method: str, url: str, document: Any = None, headers: Mapping[str, str] | None = None, seconds: float = SECONDS
) -> Any:
    """Ask with JSON and take JSON; DeliveryError on any status that is not a success."""
    body = None if document is None else json.dumps(document).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    reply = await ask(method, url, body, {**kind, **(headers or {})}, seconds)
    if not 200 <= reply.status < 300:
        raise DeliveryError(f"HTTP {reply.status}: {redact(reply.body[:200].decode('utf-8', 'replace'))}")
    return reply.document()
