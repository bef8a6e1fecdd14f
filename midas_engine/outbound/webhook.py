"""Orders as signed POST requests; the answer must name the order and be signed too."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from midas_engine.outbound.http_post import DeliveryError, ask, refused
from midas_engine.outbound.order import Receipt
from midas_engine.outbound.signing import answer_signature, fits, headers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from midas_engine.clock import Clock
    from midas_engine.outbound.destination import Address
    from midas_engine.outbound.order import Order


class Webhook:
    """A web server of the user's own, such as `OrderReceiver` behind one.

    Raises:
        SettingsError: Its address or secret cannot be used.
    """

    can = "whatever the far side does per feature; its own setting says hold or flatten, at a kill and at a lost lease"
    leased = True
    most_pause = 30.0

    def __init__(self, address: Address, clock: Clock) -> None:
        address.take(("features", "clear-text"))
        self._name, self._clock = address.name, clock
        self._url, self._secret = address.url(), address.secret()
        self._missing: frozenset[str] | None = None

    async def deliver(self, order: Order, stopped: tuple[str, ...]) -> Receipt:
        """Post it; acknowledged when the answer names its key and is signed."""
        return await self._post(order.key, order.document(self._name, stopped))

    async def beat(self, beat: Mapping[str, object]) -> None:
        """Post a heartbeat; its answer may name what of `stopped` the far side does not hold (`missing`)."""
        self._missing = None
        await self._post(str(beat["key"]), beat)

    async def lost(self, held: Mapping[str, Order]) -> Collection[str] | None:
        """What the answer to the last heartbeat missed; None where it said nothing of it."""
        return self._missing

    async def _post(self, key: str, document: Mapping[str, Any]) -> Receipt:
        body = json.dumps(document, separators=(",", ":")).encode()
        nonce = secrets.token_hex(16)
        stamp = str(int(self._clock.now().timestamp()))
        reply = await ask("POST", self._url, body, headers(self._secret, stamp, nonce, key, body))
        if not 200 <= reply.status < 300:
            raise refused(reply)
        try:
            answer = reply.document()
        except DeliveryError:
            return Receipt(False, f"HTTP {reply.status} without an acknowledgement")
        if not isinstance(answer, dict) or "acknowledged" not in answer:
            return Receipt(False, f"HTTP {reply.status} without an acknowledgement")
        if answer["acknowledged"] != key:
            return Receipt(False, "it acknowledged another order")
        if not fits(answer.get("signature"), answer_signature(self._secret, nonce, key)):
            return Receipt(False, "its acknowledgement is not signed with the secret of both sides")
        missing = answer.get("missing")
        if document["action"] == "lease" and isinstance(missing, list):
            self._missing = frozenset(str(name) for name in missing)
        return Receipt(True, str(answer.get("note", ""))[:200])
