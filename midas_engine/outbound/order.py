"""`Order`: what a far side is told to do about one feature, and the two answers it can have."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from midas_engine.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
STOPPING = frozenset({"kill", "pause"})
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Order:
    """One order.

    Attributes:
        key: Idempotency key: a far side that has seen it does nothing again. A kill's is its id in the kill file.
        sequence: Grows with every order of a destination: an older order that comes late is passed over.
        action: kill, live (a named redeploy ended the kill), pause or resume.
        at: When it was given, ISO.
    """

    key: str
    sequence: int
    action: str
    feature: str
    version: int = 1
    reason: str = ""
    actor: str = ""
    at: str = ""

    def document(self, destination: str, stopped: tuple[str, ...] = ()) -> dict[str, Any]:
        """What is sent: the fields, the destination's name and the features that are to stand still there."""
        body = asdict(self)
        body["reason"] = redact(self.reason)[:_LONGEST_REASON]
        return {"midas": FORMAT, "destination": destination, **body, "stopped": list(stopped)}


def order_of(line: Mapping[str, Any]) -> Order:
    """The order that a record holds; KeyError, TypeError or ValueError when it holds none."""
    texts = {name: str(line[name]) for name in ("key", "action", "feature", "reason", "actor", "at")}
    return Order(sequence=int(line["sequence"]), version=int(line["version"]), **texts)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A far side's answer: it took the order, and whether it said in its own words that it obeyed."""

    acknowledged: bool
    note: str = ""
