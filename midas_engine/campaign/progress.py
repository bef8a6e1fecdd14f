"""`Progress`: how far a campaign is and how long it will take, from what it did since it was started."""

from __future__ import annotations

from dataclasses import dataclass, field

SCREENED, TRIED = "screened", "tried"


@dataclass(slots=True)
class _Kind:
    """Of one kind: how many were met and what that took; how often a session began with it and what that took."""

    enough: int
    met: int = 0
    seconds: float = 0.0
    begun: int = 0
    begun_seconds: float = 0.0


@dataclass(slots=True)
class Pace:
    """What one expression takes, by what is done with it: to try one takes as long as to screen a dozen.

    A campaign begins with sessions that only try, and with workers that load; what that pace says of all that is to be
    screened is out by a factor of thirty. So the two are timed apart, what a session takes before its first one of a
    kind is a time of its own, the start of the workers belongs to neither, and nothing is said too early.
    """

    _kinds: dict[str, _Kind] = field(default_factory=lambda: {SCREENED: _Kind(50), TRIED: _Kind(5)})
    _total: int = 0

    @property
    def met(self) -> int:
        """Expressions of both kinds."""
        return self._total

    def took(self, kind: str, met: int, seconds: float, *, first: bool = False) -> None:
        """So many were met, and that took so long; `first` of their kind in their session."""
        known, start = self._kinds[kind], not self._total
        self._total += met
        if start:
            return
        if first:
            known.begun, known.begun_seconds = known.begun + 1, known.begun_seconds + seconds
        else:
            known.met, known.seconds = known.met + met, known.seconds + seconds

    def left_seconds(self, screened: tuple[int, int], tried: tuple[int, int]) -> float | None:
        """Time that so many more take, in so many sessions; None where too few of a kind that is to come were seen.

        Example:
            >>> pace = Pace()
            >>> pace.took(TRIED, 1, 60.0, first=True)
            >>> pace.took(TRIED, 10, 20.0)
            >>> pace.left_seconds((0, 0), (5, 1)), pace.left_seconds((1000, 1), (5, 1))
            (10.0, None)
            >>> pace.took(SCREENED, 20, 3.0, first=True)
            >>> pace.took(SCREENED, 500, 5.0)
            >>> pace.left_seconds((1000, 2), (5, 1))
            26.0
        """
        left = 0.0
        for kind, (count, sessions) in ((SCREENED, screened), (TRIED, tried)):
            known = self._kinds[kind]
            if count <= 0:
                continue
            if known.met < known.enough:
                return None
            left += count * known.seconds / known.met + sessions * known.begun_seconds / max(1, known.begun)
        return left


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
        left_seconds: Time to the end at the pace of this start; None before there is one.
    """

    done: int
    of: int
    since: int
    seconds: float
    session: int
    sessions: int
    accepted: int = 0
    left_seconds: float | None = None

    @property
    def line(self) -> str:
        """In one line.

        Example:
            >>> Progress(600, 1000, 500, 50.0, 2, 3, left_seconds=40.0).line
            'session 2 of 3: 600 of 1,000 candidates, 10 a second, about 40 s left'
        """
        text = f"session {self.session} of {self.sessions}: {self.done:,} of {self.of:,} candidates"
        if self.accepted:
            text += f", {self.accepted} accepted"
        left = self.left_seconds
        if left is None or self.seconds <= 0.0:
            return text
        return f"{text}, {self.since / self.seconds:,.0f} a second, about {_span(left)} left"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
