"""The health endpoint: two answers over HTTP on loopback, to who has the token. It takes no command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError
from midas_engine.jsonable import plain
from midas_engine.loopback.http import HttpDoor, Reply, Request
from midas_engine.service.metrics import CONTENT_TYPE, rendered

if TYPE_CHECKING:
    from midas_engine.loopback.address import Address
    from midas_engine.service.vitals import Vitals


def health_door(address: Address, token: str, vitals: Vitals) -> HttpDoor:
    """A door that answers `GET /health` (200 when healthy, else 503) and `GET /metrics`.

    Args:
        address: Where, on loopback.
        token: What opens it.
        vitals: What it tells.
    """

    async def answer(request: Request) -> Reply:
        if request.method != "GET":
            return Reply(405, b"GET only\n")
        if request.path == "/metrics":
            try:
                return Reply(200, rendered(await vitals.look()), CONTENT_TYPE)
            except SettingsError as error:
                return Reply(501, f"{error.message}\n".encode())
        if request.path == "/health":
            vital = await vitals.look()
            body = json.dumps(plain(vital), allow_nan=False).encode() + b"\n"
            return Reply(200 if vital.healthy else 503, body, "application/json")
        return Reply(404, b"/health or /metrics\n")

    return HttpDoor("service.health", address, token, answer)
