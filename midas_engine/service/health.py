"""The health endpoint: two answers over HTTP on loopback, to who has the token. It takes no command."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError
from midas_engine.jsonable import plain
from midas_engine.service.metrics import CONTENT_TYPE, rendered

if TYPE_CHECKING:
    from midas_engine.service.address import Address
    from midas_engine.service.vitals import Vitals

MOST_HEAD_BYTES = 8192
MOST_CLIENTS = 16
READ_SECONDS = 5.0
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
_REASONS |= {405: "Method Not Allowed", 501: "Not Implemented", 503: "Service Unavailable"}


class HealthDoor:
    """Answers `GET /health` (200 when healthy, else 503) and `GET /metrics`.

    Every request carries `Authorization: Bearer TOKEN` and a Host of this door; one with an Origin comes from a page
    of a browser and is refused.

    Args:
        address: Where, on loopback.
        token: What opens it.
        vitals: What it tells.
    """

    def __init__(self, address: Address, token: str, vitals: Vitals) -> None:
        self.address, self._token, self._vitals = address, token, vitals
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Listen.

        Raises:
            SettingsError: The port is taken.
        """
        try:
            self._server = await asyncio.start_server(
                self._serve, self.address.host, self.address.port, limit=MOST_HEAD_BYTES
            )
        except OSError as error:
            raise SettingsError(
                f"service.health: {self.address} cannot be listened on: {error.strerror or error}",
                hint="choose another port, or stop what has it",
            ) from error
        port = self._server.sockets[0].getsockname()[1]
        self.address = type(self.address)(self.address.host, port)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._writers):
                writer.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if len(self._writers) > MOST_CLIENTS:
                status, kind, body = 503, "text/plain", b"too many at once\n"
            else:
                async with asyncio.timeout(READ_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                status, kind, body = await self._answer(head)
            writer.write(_response(status, kind, body))
            async with asyncio.timeout(READ_SECONDS):
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # it sent no request, or does not read: nothing to say to it
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, head: bytes) -> tuple[int, str, bytes]:
        method, path, headers = _parsed(head)
        if not self.address.answers_to(headers.get("host", "")) or "origin" in headers:
            return 403, "text/plain", b"this address answers its own host, and no page\n"
        given = headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return 401, "text/plain", b"Authorization: Bearer TOKEN is needed\n"
        if method != "GET":
            return 405, "text/plain", b"GET only\n"
        if path == "/metrics":
            try:
                return 200, CONTENT_TYPE, rendered(await self._vitals.look())
            except SettingsError as error:
                return 501, "text/plain", f"{error.message}\n".encode()
        if path == "/health":
            vital = await self._vitals.look()
            body = json.dumps(plain(vital), allow_nan=False).encode() + b"\n"
            return (200 if vital.healthy else 503), "application/json", body
        return 404, "text/plain", b"/health or /metrics\n"


def _parsed(head: bytes) -> tuple[str, str, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, mark, value = line.partition(":")
        if mark:
            key = name.strip().lower()
            headers[key] = "twice" if key in headers else value.strip()  # two of a kind are none that fits
    return words[0], words[1].partition("?")[0] if len(words) == 3 else "", headers


def _response(status: int, kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\nCache-Control: no-store\r\n\r\n".encode() + body
