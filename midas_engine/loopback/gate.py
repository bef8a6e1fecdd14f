"""Who may pass a door on loopback: a program with the token that calls the door by its own name; no page."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from midas_engine.loopback.address import Address

MOST_CLIENTS = 16


class Waiting:
    """Connections that have not shown the token yet, oldest first.

    Who is silent costs a place as long as it likes to: where none is left, the oldest of these gives up its own to
    who comes. A program that means it sends its request with the connection, and is let in at the next turn.
    """

    def __init__(self) -> None:
        self._transports: dict[asyncio.WriteTransport, None] = {}

    def add(self, transport: asyncio.WriteTransport) -> None:
        """One came."""
        self._transports[transport] = None

    def remove(self, transport: asyncio.WriteTransport) -> None:
        """One was let in, or went; twice is fine."""
        self._transports.pop(transport, None)

    def make_place(self) -> asyncio.WriteTransport | None:
        """Part from the oldest, and say who it was; None where all have shown the token."""
        oldest = next(iter(self._transports), None)
        if oldest is not None:
            self.remove(oldest)
            oldest.abort()
        return oldest


def refusal(
    address: Address, token: str, *, hosts: Sequence[str], origins: Sequence[str], given: Sequence[str]
) -> tuple[int, str] | None:
    """Why a request is not let in, as an HTTP status and a line; None lets it in.

    Args:
        address: The door, with the port it really has.
        token: What opens it.
        hosts: Its Host headers.
        origins: Its Origin headers: programs send none.
        given: Its Authorization headers.

    Example:
        >>> from midas_engine.loopback.address import Address
        >>> refusal(Address("127.0.0.1", 9), "t" * 20, hosts=["127.0.0.1:9"], origins=[], given=["Bearer x"])
        (401, 'Authorization: Bearer TOKEN is needed')
    """
    if not address.answers_to(hosts) or origins:
        return 403, "this address answers its own host, and no page"
    brought = given[0] if len(given) == 1 else ""
    if not hmac.compare_digest(brought.encode(), f"Bearer {token}".encode()):
        return 401, "Authorization: Bearer TOKEN is needed"
    return None
