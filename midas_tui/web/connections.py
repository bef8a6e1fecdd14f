"""How many connections there may be, and how long one may stay that has not shown the cookie."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.web_protocol import RequestHandler

# A browser opens six for a page, and one for its socket.
MOST_GUESTS = 64
MOST_STRANGERS = 32
STRANGER_SECONDS = 5.0


class Connections:
    """Makes the protocol of each connection; a stranger makes room for the next, and leaves soon anyway."""

    def __init__(self, server: web.Server) -> None:
        self._server = server
        self._strangers: dict[RequestHandler, None] = {}
        self._guests: set[RequestHandler] = set()

    def __call__(self) -> RequestHandler:
        """A protocol for a new connection."""
        if len(self._strangers) >= MOST_STRANGERS:
            self._show_out(next(iter(self._strangers)))
        made = self._server()
        self._strangers[made] = None
        asyncio.get_running_loop().call_later(STRANGER_SECONDS, self._show_out, made)
        return made

    def admit(self, protocol: RequestHandler) -> bool:
        """Whether a connection that showed the cookie may stay."""
        self._guests = {guest for guest in self._guests if guest.transport is not None}
        if protocol not in self._guests and len(self._guests) >= MOST_GUESTS:
            return False
        self._strangers.pop(protocol, None)
        self._guests.add(protocol)
        return True

    def _show_out(self, protocol: RequestHandler) -> None:
        if protocol in self._strangers:
            del self._strangers[protocol]
            if protocol.transport is not None:
                protocol.transport.abort()
