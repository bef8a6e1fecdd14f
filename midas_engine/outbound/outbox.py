"""The outbox of one destination: its orders and how each stands, in one small file whose lines are sealed and synced.

It is not the journal: a process that sits on the journal, or a damaged one, delays no order. Nothing in it is the only
record of a kill: an outbox that is lost is made anew from the kill file, and a far side passes over what it has seen.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError, KnowledgeBaseError
from midas_engine.kb.atomic import atomic_write, disk_error, read_bytes
from midas_engine.kb.sealed_lines import append_synced, opened, sealed
from midas_engine.outbound.order import Order, order_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDER = "outbound"
MAX_BYTES = 20_000_000
_MOST_LINES, _KEPT = 20_000, 2_000


@dataclass(frozen=True, slots=True)
class Posted:
    """An order and how it stands.

    Attributes:
        state: pending, delivered (the far side took it and did not say that it obeyed) or acknowledged.
        since: When it came in here, ISO.
        attempts: How often it was sent.
        failing_since: First failure since the last success, ISO; empty: none.
        why: What the last failure was, or what the far side said.
    """

    order: Order
    state: str = "pending"
    since: str = ""
    settled: str = ""
    attempts: int = 0
    failing_since: str = ""
    why: str = ""


class Outbox:
    """The orders of a destination. Every method is short and blocking; one process writes.

    Args:
        path: The file; it is made with the first order.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.posted: dict[str, Posted] = {}
        self.sequence = 0
        self.damage = ""
        self._lines = 0

    @property
    def open(self) -> list[Posted]:
        """What is not acknowledged, oldest first."""
        return [p for p in self.posted.values() if p.state != "acknowledged"]

    def last(self, feature: str) -> Posted | None:
        """The newest order about a feature."""
        return next((p for p in reversed(self.posted.values()) if p.order.feature == feature), None)

    def load(self) -> str:
        """Read the file; of a damaged one what its sound lines say, after setting it aside. Gives what was wrong."""
        self.posted, self.sequence, self._lines, damage = {}, 0, 0, ""
        try:
            data = read_bytes(self.path, limit=MAX_BYTES)
        except FileNotFoundError:
            return ""
        except (DocumentDamagedError, OSError) as error:
            data, damage = b"", str(error)
        for number, line in opened(data):
            if line is None:
                continue
            problem = line if isinstance(line, str) else self._take(line)
            damage = damage or (f"{self.path.name}, line {number}: {problem}" if problem else "")
        self.damage = damage
        return damage

    def mend(self) -> None:
        """Set a damaged file aside and write what was sound into a new one."""
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(self.path.with_name(f"{self.path.name}.damaged-{secrets.token_hex(4)}"))
        self._rewrite()
        self.damage = ""

    # -- writing: blocking --------------------------------------------------------------------------

    def post(self, order: Order, at: str) -> Posted:
        """Take an order in; the one that is here already, where its key is known. On disk when this returns.

        Raises:
            KnowledgeBaseError: The disk refused. It is known here all the same, and after a restart it is found again
                where it came from.
        """
        held = self.posted.get(order.key)
        if held is not None:
            return held
        self.sequence = max(self.sequence, order.sequence)
        posted = self.posted[order.key] = Posted(order, since=at)
        self._append({"op": "order", "since": at, **asdict(order)})
        return posted

    def settle(self, key: str, state: str, at: str, note: str = "") -> None:
        """Note that an order was delivered or acknowledged; never a step back."""
        held = self.posted[key]
        if held.state == state or held.state == "acknowledged":
            return
        self.posted[key] = replace(held, state=state, settled=at, failing_since="", why=note)
        self._append({"op": state, "key": key, "at": at, "note": note})

    def reopen(self, key: str, at: str, why: str) -> None:
        """Note that an order that was acknowledged does not hold any more: it is to be sent again."""
        held = self.posted[key]
        if held.state != "acknowledged":
            return
        self.posted[key] = replace(held, state="pending", settled="", failing_since=at, why=why)
        self._append({"op": "reopened", "key": key, "at": at, "why": why})

    def failed(self, key: str, at: str, why: str) -> None:
        """Note a failure: the first one, and each that is another than the last, are kept on disk."""
        held = self.posted[key]
        since = held.failing_since or at
        self.posted[key] = replace(held, attempts=held.attempts + 1, failing_since=since, why=why)
        if held.why != why or not held.failing_since:
            self._append({"op": "failed", "key": key, "at": since, "why": why})

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._lines >= _MOST_LINES:
            self._rewrite()
        data = sealed(line)
        try:
            for _ in range(3):
                try:
                    if append_synced(self.path, data):
                        self._lines += 1
                        return
                except FileNotFoundError:
                    self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    with contextlib.suppress(FileExistsError):
                        atomic_write(self.path, self._content(), replace=False)
        except OSError as error:
            raise disk_error(error, f"{self.path} was not written") from error
        raise KnowledgeBaseError(f"{self.path.name} is replaced all the time", hint="find out by whom")

    def _rewrite(self) -> None:
        settled = [key for key, p in self.posted.items() if p.state == "acknowledged"]
        newest = {p.order.feature: key for key, p in self.posted.items()}
        for key in settled[:-_KEPT]:
            if newest[self.posted[key].order.feature] != key:
                del self.posted[key]
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write(self.path, self._content())

    def _content(self) -> bytes:
        """What is known here, as a file; the first line keeps the highest sequence number."""
        lines: list[dict[str, Any]] = [{"op": "open", "sequence": self.sequence}]
        for posted in self.posted.values():
            order = posted.order
            lines.append({"op": "order", "since": posted.since, **asdict(order)})
            if posted.state != "pending":
                lines.append({"op": posted.state, "key": order.key, "at": posted.settled, "note": posted.why})
            elif posted.failing_since:
                lines.append({"op": "failed", "key": order.key, "at": posted.failing_since, "why": posted.why})
        self._lines = len(lines)
        return b"".join(sealed(line) for line in lines)

    def _take(self, line: Mapping[str, Any]) -> str:
        self._lines += 1
        try:
            op = str(line["op"])
            if op == "open":
                self.sequence = max(self.sequence, int(line["sequence"]))
            elif op == "order":
                order = order_of(line)
                self.posted.setdefault(order.key, Posted(order, since=str(line["since"])))
                self.sequence = max(self.sequence, order.sequence)
            elif op in ("delivered", "acknowledged"):
                held = self.posted[str(line["key"])]
                note = str(line["note"])
                self.posted[held.order.key] = replace(
                    held, state=op, settled=str(line["at"]), failing_since="", why=note
                )
            elif op in ("failed", "reopened"):
                held, at = self.posted[str(line["key"])], str(line["at"])
                state = "pending" if op == "reopened" else held.state
                self.posted[held.order.key] = replace(held, state=state, failing_since=at, why=str(line["why"]))
        except (KeyError, TypeError, ValueError) as error:
            return f"it lacks something: {error}"
        return ""


def answers(base: Path) -> dict[str, dict[str, str]]:
    """How the newest order about each feature stands, by far side; only what the outboxes of a base hold. Blocking."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted((base / FOLDER).glob("*.log")):
        box = Outbox(path)
        box.load()
        for posted in box.posted.values():  # oldest first
            found.setdefault(posted.order.feature, {})[path.stem] = posted.state
    return found
