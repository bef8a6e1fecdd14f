"""`Progress`: how far a campaign is and how long it will take, from what it did since it was started."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field

SCREENED, TRIED = "screened", "tried"
# Chosen on the recorded pace of ten campaigns and judged on others (`benchmarks/campaigns/bench_eta.py`): what is seen
# while workers still compile, and how much must be seen of what is left.
_COLD_SHARE, _BASIS = 0.25, 0.1


_MOST_PIECES = 512
_BLOCKS = 8


@dataclass(frozen=True, slots=True)
class Left:
    """Time to the end, and between what it lies where the way that is left is like the way that was seen.

    Attributes:
        seconds: Likely.
        least: At the pace of the second fastest eighth of what was seen.
        most: At that of the second slowest.
    """

    seconds: float
    least: float
    most: float

    @property
    def words(self) -> str:
        """As it is shown.

        Example:
            >>> Left(40.0, 25.0, 70.0).words, Left(900.0, 700.0, 9000.0).words
            ('about 40 s left (25 s to 70 s)', 'about 15 min left (12 min to 2.5 h)')
        """
        return f"about {_span(self.seconds)} left ({_span(self.least)} to {_span(self.most)})"


@dataclass(slots=True)
class _Kind:
    """Of one kind: what every piece of work took, in order, and what sessions took before their first one.

    Args:
        enough: Fewer than so many say nothing.
        cold: The first ones, at most, that compile and load for all that come after.
    """

    enough: int
    cold: float = math.inf
    pieces: list[tuple[int, float]] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    met: int = 0

    def took(self, met: int, seconds: float) -> None:
        """A piece more; of very many neighbours are put together."""
        self.met += met
        self.pieces.append((met, seconds))
        if len(self.pieces) > _MOST_PIECES:
            pairs = zip(self.pieces[::2], self.pieces[1::2], strict=False)
            self.pieces = [(a + c, b + d) for (a, b), (c, d) in pairs] + self.pieces[len(self.pieces) // 2 * 2 :]

    def rates(self) -> tuple[float, float, float]:
        """Seconds that one takes: likely, and the second fastest and second slowest of eight stretches of the way."""
        skip, seen, warm = min(self.met * _COLD_SHARE, self.cold), 0, list[tuple[int, float]]()
        for met, seconds in self.pieces:
            seen += met
            if seen > skip:
                warm.append((met, seconds))
        count = min(_BLOCKS, len(warm))
        blocks = sorted(_rate(warm[k * len(warm) // count : (k + 1) * len(warm) // count]) for k in range(count))
        likely = _rate(warm)
        return (likely, blocks[1], blocks[-2]) if count > 3 else (likely, likely / 2, likely * 2)

    def start(self) -> tuple[float, float, float]:
        """Seconds before a session's first one: likely, least, most. In the first session most of it was loading."""
        if not self.begun:
            return 0.0, 0.0, 0.0
        likely = statistics.median(self.begun[1:]) if len(self.begun) > 1 else self.begun[0] * _COLD_SHARE
        return likely, likely / 2, max(self.begun)


@dataclass(slots=True)
class Pace:
    """What one expression takes, by what is done with it: to try one takes as long as to screen a dozen.

    A campaign begins with sessions that only try, and with workers that load and compile; what that pace says of all
    that is to be screened is out by a factor of thirty. So the two are timed apart, what a session takes before its
    first one of a kind is a time of its own, the first quarter of what was seen speaks for no other, and nothing is
    said before a tenth of what is left was seen.
    """

    _kinds: dict[str, _Kind] = field(default_factory=lambda: {SCREENED: _Kind(100), TRIED: _Kind(5, cold=5)})
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
            known.begun.append(seconds)
        else:
            known.took(met, seconds)

    def left(self, screened: tuple[int, int], tried: tuple[int, int]) -> Left | None:
        """Time that so many more take, in so many sessions; None where too few of a kind that is to come were seen.

        Example:
            >>> pace = Pace()
            >>> pace.took(TRIED, 1, 60.0, first=True)
            >>> for _ in range(10):
            ...     pace.took(TRIED, 1, 2.0)
            >>> pace.left((0, 0), (5, 1)).words, pace.left((1000, 1), (5, 1))
            ('about 10 s left (8 s to 12 s)', None)
            >>> pace.took(SCREENED, 20, 4.0, first=True)
            >>> for _ in range(25):
            ...     pace.took(SCREENED, 20, 0.2)
            >>> pace.left((1000, 2), (5, 1)).words
            'about 22 s left (18 s to 28 s)'
        """
        likely = least = most = 0.0
        for kind, (count, sessions) in ((SCREENED, screened), (TRIED, tried)):
            known = self._kinds[kind]
            if count <= 0:
                continue
            if known.met < max(known.enough, _BASIS * count):
                return None
            each, before = known.rates(), known.start()
            likely += count * each[0] + sessions * before[0]
            least += count * each[1] + sessions * before[1]
            most += count * each[2] + sessions * before[2]
        return Left(likely, min(least, likely * 0.8), max(most, likely * 1.25))


def _rate(pieces: list[tuple[int, float]]) -> float:
    return sum(seconds for _, seconds in pieces) / max(1, sum(met for met, _ in pieces))


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
        left: Time to the end at the pace of this start; None before there is one.
    """

    done: int
    of: int
    since: int
    seconds: float
    session: int
    sessions: int
    accepted: int = 0
    left: Left | None = None

    @property
    def line(self) -> str:
        """In one line.

        Example:
            >>> Progress(600, 1000, 500, 50.0, 2, 3, left=Left(40.0, 25.0, 70.0)).line
            'session 2 of 3: 600 of 1,000 candidates, 10 a second, about 40 s left (25 s to 70 s)'
        """
        text = f"session {self.session} of {self.sessions}: {self.done:,} of {self.of:,} candidates"
        if self.accepted:
            text += f", {self.accepted} accepted"
        if self.left is None or self.seconds <= 0.0:
            return text
        return f"{text}, {self.since / self.seconds:,.0f} a second, {self.left.words}"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
