"""How far a fetch is, and how long it still takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midas_engine.clock import Clock


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a fetch.

    Attributes:
        done: Requests answered.
        total: Requests it takes, as far as that is known.
        rows: Rows kept so far.
        seconds_left: None before the first answers.
        doing: Contract and columns.
    """

    done: int
    total: int
    rows: int
    seconds_left: float | None
    doing: str

    def __str__(self) -> str:
        """One line."""
        share = 100 * self.done // max(1, self.total)
        left = "" if self.seconds_left is None else f", about {_span(self.seconds_left)} left"
        return f"{share:3d} %  {self.done:,} of {self.total:,} requests, {self.rows:,} rows{left}  {self.doing}"


class ProgressCount:
    """Counts requests as they are planned and answered.

    Args:
        clock: For the time it takes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self.done = self.total = self.rows = 0

    def look(self, doing: str) -> Progress:
        """How far it is."""
        took = self._clock.monotonic() - self._began
        left = took / self.done * (self.total - self.done) if self.done else None
        return Progress(self.done, max(self.total, self.done), self.rows, left, doing)


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
