"""The hash of everything a session said, without times and places: equal for a session and its replay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from midas_engine.events import HoldoutLooked, TokensStreamed, to_dict
from midas_engine.journal.transcript import text_hash

if TYPE_CHECKING:
    from midas_engine.events import Event

# When and where it was said, and how long it took.
_LEFT_OUT = frozenset({"at", "path", "learning_path", "seconds", "destination", "version", "again"})

# What events say since the first records were made: those repeat as they did. The words of a look are streamed too.
_SAID_LATER = {
    "SessionStarted": frozenset(
        {"planned_trials", "budget_usd", "budget_calls", "budget_minutes", "data", "horizon", "replays"}
    ),
    "ExpressionRefused": frozenset({"refined_from"}),
    "CandidateScored": frozenset({"why"}),
}


class SessionDigest:
    """Hashes a session's events as they come.

    Attributes:
        marks: One short hash an event; pieces of streamed text count as one.
    """

    def __init__(self) -> None:
        self.marks: list[str] = []
        self._text: list[str] = []
        self._where: tuple[int, str] = (0, "")

    def add(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, HoldoutLooked):
            return
        if isinstance(event, TokensStreamed):
            where = (event.iteration, event.phase)
            if where != self._where:
                self._flush()
            self._where = where
            self._text.append(event.text)
            return
        self._flush()
        out = _LEFT_OUT | _SAID_LATER.get(type(event).__name__, frozenset())
        said = {name: value for name, value in to_dict(event).items() if name not in out}
        self._mark(type(event).__name__, json.dumps(said, sort_keys=True))

    def _flush(self) -> None:
        if self._text:
            self._mark("TokensStreamed", *self._where, "".join(self._text))
            self._text.clear()

    def _mark(self, kind: str, *said: Any) -> None:
        self.marks.append(f"{kind} {text_hash(kind, *said)[:16]}")

    @property
    def value(self) -> str:
        """The hash of everything so far."""
        self._flush()
        return text_hash(*self.marks)
