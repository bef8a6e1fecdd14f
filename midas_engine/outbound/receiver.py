"""The far side, for whoever runs a bot in Python: checks an order, obeys it once, remembers it, and says so.

Standard library and Midas only, no server: give `receive` the headers and the body of a request, whatever serves it.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from midas_engine.kb.atomic import atomic_write, read_bytes
from midas_engine.kb.sealed_lines import append_synced, opened, sealed
from midas_engine.outbound.order import STOPPING, order_of
from midas_engine.outbound.signing import NONCE, SIGNATURE, TIMESTAMP, answer_signature, fits, signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from midas_engine.clock import Clock
    from midas_engine.outbound.order import Order

WINDOW_SECONDS = 300.0
MOST_BYTES = 1_000_000
"""Every message names all features that stand still, and those of years may be thousands."""
_MOST_NONCES = 10_000
_MOST_FILE = 50_000_000


class OrderReceiver:
    """Obeys orders of one engine.

    An order is written to `path` before it is obeyed and again after: one that a crash interrupted is obeyed once more
    at the next start, so `obey` must be able to close what is closed already. An order that was seen, or that is older
    than the newest about its feature, changes nothing and is acknowledged.

    Args:
        secret: The secret of both sides.
        path: What was received; it is made with the first order.
        obey: Called with each order that is new.
        clock: Judges the age of a message, and the lease.
        lease_ends: Called once when no heartbeat came in time: "hold" and "flatten" are the far side's own choice.
    """

    def __init__(
        self,
        secret: str,
        path: Path,
        obey: Callable[[Order], None],
        clock: Clock,
        lease_ends: Callable[[], None] | None = None,
    ) -> None:
        self._secret, self._path, self._obey, self._clock = secret, path, obey, clock
        self._lease_ends = lease_ends
        self._lease_until: float | None = None  # monotonic: a clock that is set neither ends a lease nor stretches it
        self._lease_told = False
        self._nonces: dict[str, float] = {}
        self._newest: dict[str, int] = {}
        self.seen: dict[str, str] = {}
        self.stopped: set[str] = set()
        self._load()

    def receive(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to one request."""
        if len(body) > MOST_BYTES:
            return 413, b'{"error": "too long"}'
        given = {name.lower(): value for name, value in headers.items()}
        stamp, nonce = given.get(TIMESTAMP.lower(), ""), given.get(NONCE.lower(), "")
        if not fits(given.get(SIGNATURE.lower()), signature(self._secret, stamp, nonce, body)):
            return 401, b'{"error": "not signed by the secret of both sides"}'
        now = self._clock.now().timestamp()
        try:
            age = abs(now - float(stamp))
        except ValueError:
            return 401, b'{"error": "no time"}'
        if not age <= WINDOW_SECONDS:
            return 401, b'{"error": "too old, or a clock is wrong"}'
        if nonce in self._nonces:
            return 409, b'{"error": "this very message was received before"}'
        self._forget(now)
        self._nonces[nonce] = now
        try:
            document = json.loads(body)
            key, missing = str(document["key"]), {}
            if document["action"] == "lease":
                missing = {"missing": [str(f) for f in document.get("stopped", ()) if f not in self.stopped]}
                self._lease_until, self._lease_told = self._clock.monotonic() + float(document["seconds"]), False
            else:
                self._take(order_of(document))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return 400, json.dumps({"error": f"no order: {error}"}).encode()
        answer = {"acknowledged": key, "signature": answer_signature(self._secret, nonce, key), **missing}
        return 200, json.dumps(answer).encode()

    def check_lease(self) -> bool:
        """Whether the lease holds (or none was ever given); call it often. Its end is told once."""
        if self._lease_until is None or self._clock.monotonic() <= self._lease_until:
            return True
        if self._lease_ends is not None and not self._lease_told:
            self._lease_told = True
            self._lease_ends()
        return False

    def _take(self, order: Order) -> None:
        if self.seen.get(order.key) == "done":
            return
        if order.sequence <= self._newest.get(order.feature, -1) and order.key not in self.seen:
            self._note({"op": "late", "key": order.key})
            self.seen[order.key] = "done"
            return
        fields = {name: getattr(order, name) for name in order.__slots__}
        self._note({"op": "begun", **fields})
        self._begun(order)
        self._obey(order)
        self._note({"op": "done", "key": order.key})
        self.seen[order.key] = "done"

    def _begun(self, order: Order) -> None:
        self.seen[order.key] = "begun"
        self._newest[order.feature] = max(self._newest.get(order.feature, -1), order.sequence)
        (self.stopped.add if order.action in STOPPING else self.stopped.discard)(order.feature)

    def _forget(self, now: float) -> None:
        """Drop nonces that are too old to be believed anyway."""
        if len(self._nonces) >= _MOST_NONCES:
            self._nonces = {n: at for n, at in self._nonces.items() if now - at <= WINDOW_SECONDS}

    def _note(self, line: Mapping[str, Any]) -> None:
        try:
            append_synced(self._path, sealed(line))
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                atomic_write(self._path, sealed({"op": "open"}), replace=False)
            append_synced(self._path, sealed(line))

    def _load(self) -> None:
        try:
            data = read_bytes(self._path, limit=_MOST_FILE)
        except FileNotFoundError:
            return
        begun: dict[str, Order] = {}
        for _, line in opened(data):
            if not isinstance(line, dict):
                continue  # unfinished or damaged: that order comes again, for it was never acknowledged
            if line["op"] == "begun":
                order = begun[str(line["key"])] = order_of(line)
                self._begun(order)
            elif line["op"] in ("done", "late"):
                self.seen[str(line["key"])] = "done"
        for key, order in begun.items():
            if self.seen[key] != "done":
                self._obey(order)
                self._note({"op": "done", "key": key})
                self.seen[key] = "done"
