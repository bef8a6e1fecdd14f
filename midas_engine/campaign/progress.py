"""`Progress`: how far a campaign is and how long it will take, from what it did since it was started."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One report on the way.

    Attributes:
        done: Candidates that met a return, before this start too.
        of: The budget.
        since: Of them, those since this start.
        seconds: Since this start.
        session: The session that runs, from 1.
        sessions: How many there are.
        accepted: Candidates saved so far.
    """

    done: int
    of: int
    since: int
    seconds: float
    session: int
    sessions: int
    accepted: int = 0

    @property
    def left_seconds(self) -> float | None:
        """Time to the end of the budget at this pace; None before there is a pace."""
        if self.since <= 0 or self.seconds <= 0.0:
            return None
        return (self.of - self.done) * self.seconds / self.since

    @property
    def line(self) -> str:
        """In one line.

        Example:
            >>> Progress(600, 1000, 500, 50.0, 2, 3).line
            'session 2 of 3: 600 of 1,000 candidates, 10 a second, about 40 s left'
        """
        text = f"session {self.session} of {self.sessions}: {self.done:,} of {self.of:,} candidates"
        if self.accepted:
            text += f", {self.accepted} accepted"
        left = self.left_seconds
        if left is None:
            return text
        return f"{text}, {self.since / self.seconds:,.0f} a second, about {_span(left)} left"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
