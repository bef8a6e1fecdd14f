"""`VenueFault`: what a venue did instead of answering, by kind, with what to do about it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from midas_engine.errors import FeedError
from midas_engine.market.venues.client import HttpRefusal
from midas_engine.market.venues.words import reason_of

# Kind -> what it is called in a message.
KINDS = {
    "refused": "refuses this address",
    "throttled": "asks for fewer requests",
    "outage": "is out of order",
    "cut": "did not answer, or was cut off",
    "nonsense": "answered in a shape that is not its own",
    "doubtful": "gave rows that cannot be",
    "unknown": "knows no such contract",
    "said": "refused the request",
}
WAY_OUT = (
    "where a venue does not serve your country or address: set HTTPS_PROXY, set venue_url to a host of it that serves "
    "you, take another venue, or download its public archive files and `midas data import FOLDER`"
)
_HINTS = {
    "refused": WAY_OUT,
    "throttled": "the same command goes on where this one ended; leave the venue alone until then",
    "unknown": "write the name as the venue does",
}
_GO_ON = "what was fetched is kept: the same command goes on where this one ended"


class VenueFaultError(FeedError):
    """A request that brought nothing.

    Args:
        name: The venue.
        kind: One of `KINDS`.
        what: What was asked for.
        words: What came instead.
        retry_after: Seconds the venue asks to wait; None where it says nothing.
    """

    def __init__(self, name: str, kind: str, what: str, words: str, retry_after: float | None = None) -> None:
        super().__init__(f"{name} {KINDS[kind]} ({what}): {words}", hint=_HINTS.get(kind, _GO_ON))
        self.kind, self.words, self.retry_after = kind, words, retry_after


def as_fault(name: str, what: str, error: BaseException) -> VenueFaultError:
    """The fault that an exception of the client library, or of reading its answer, stands for."""
    kind, wait = _kind(error)
    return VenueFaultError(name, kind, what, reason_of(error), wait)


def _kind(error: BaseException) -> tuple[str, float | None]:
    if isinstance(error, HttpRefusal):
        if error.status in (403, 451):
            return "refused", None
        return ("throttled", error.retry_after) if error.status in (418, 429) else ("outage", error.retry_after)
    if isinstance(error, asyncio.TimeoutError | ConnectionError | OSError):
        return "cut", None
    names = {kind.__name__ for kind in type(error).__mro__}
    cause = error.__cause__
    if "RateLimitExceeded" in names or "DDoSProtection" in names:
        return "throttled", None
    if "BadSymbol" in names:
        return "unknown", None
    if "NetworkError" in names or (cause is not None and "ClientError" in {k.__name__ for k in type(cause).__mro__}):
        return "cut", None
    return ("said" if "BaseError" in names else "nonsense"), None


@dataclass(slots=True)
class FaultCounts:
    """How often each kind of fault came, and each oddity that was put right.

    Attributes:
        faults: Kind of fault -> times.
        oddities: duplicate, disordered, off grid, foreign (outside what was asked), unclosed -> rows.
    """

    faults: Counter[str] = field(default_factory=Counter)
    oddities: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        said = [f"{n}x it {KINDS[kind]}" for kind, n in sorted(self.faults.items()) if n]
        said += [f"{n} {kind} row{'s' * (n != 1)}" for kind, n in sorted(self.oddities.items()) if n]
        return ", ".join(said)
