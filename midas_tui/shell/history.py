"""What this terminal has done, for `u` and `U`."""

from __future__ import annotations

from dataclasses import dataclass

# Undo reaches this many answers to alerts back; moves of features are the journal's to remember.
REMEMBERED = 100
PIPELINE = "pipeline"


@dataclass(frozen=True, slots=True)
class Done:
    """One thing `u` can take back in this terminal: an answer to an alert, or a move in the pipeline."""

    what: str
    alert_id: str = ""
    hours: float = 0.0


class History:
    """Two stacks: what was done, and what of it was undone. Empty, both say the pipeline: its journal knows more."""

    def __init__(self) -> None:
        self._done: list[Done] = []
        self._undone: list[Done] = []

    def did(self, done: Done) -> None:
        """Something was done; what was undone before cannot be done again."""
        self._done = [*self._done[-REMEMBERED:], done]
        self._undone.clear()

    @property
    def last(self) -> Done:
        """What `u` takes back."""
        return self._done[-1] if self._done else Done(PIPELINE)

    @property
    def last_undone(self) -> Done:
        """What `U` does again."""
        return self._undone[-1] if self._undone else Done(PIPELINE)

    def forget_last(self) -> None:
        """It cannot be taken back."""
        if self._done:
            self._done.pop()

    def undid(self, done: Done) -> None:
        """It was taken back."""
        self.forget_last()
        self._undone.append(done)

    def redid(self, done: Done) -> None:
        """It was done again."""
        if self._undone:
            self._undone.pop()
        self._done.append(done)
