"""Where histories are cut: places at which each kind of leak must show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.dsl.leaks.tables import APART, HOLES, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from midas_engine.dsl.leaks.calendar import Calendar

LEAST_BARS = 40
# Enough for a month's resampling and a window of a few weeks; the whole history when that is not enough.
_SHORT = 2400
_AFTER_HOLE = 200
_EARLY = (9,)
_SEARCH = 200

# (name, untouched view or None for the whole excerpt, altered view, cut)
Run = tuple[str, "View | None", View, int]


@dataclass(frozen=True, slots=True)
class Cuts:
    """The bars at which one history is altered.

    Attributes:
        start: First bar of the excerpt.
        stop: End of the excerpt.
        early: Short histories: what fills the warm-up from the first value shows here.
        holed: After a hole: what fills backwards or interpolates shows here.
        removed: Where the future is removed; one lies just before each kind of event.
        changed: Where the future is replaced.
    """

    start: int
    stop: int
    early: tuple[int, ...]
    holed: int
    removed: tuple[int, ...]
    changed: int

    @property
    def first(self) -> int:
        """A value must exist before this bar for the audit to mean something."""
        return self.removed[0]

    def holes(self) -> Iterator[Run]:
        """Each kind of hole by itself: for one series, and for what fails on a symbol without a value."""
        yield self._hole("a hole", APART[0])
        yield self._hole("no listing", APART[1])

    def _hole(self, what: str, holes: tuple[int, ...]) -> Run:
        until = min(self.holed + _AFTER_HOLE, self.stop)
        before, after = (View(self.start, end, None, self.holed, holes) for end in (until, self.holed))
        return f"{what} before bar {self.holed:,}, then the future removed", before, after, self.holed

    def runs(self, lone: bool) -> Iterator[Run]:
        """What is compared; `lone` for a single series."""
        for cut in self.removed:
            yield f"the future removed from bar {cut:,} on", None, View(self.start, cut), cut
        for cut in self.early:
            yield f"all but {cut - self.start} bars removed", None, View(self.start, cut), cut
        yield from self.holes() if lone else (self._hole("a hole", HOLES),)
        name = f"the future changed from bar {self.changed:,} on"
        yield name, None, View(self.start, self.stop, self.changed), self.changed


def first_bar(calendar: Calendar, short: bool) -> int:
    """Where the audited history starts."""
    return max(0, len(calendar.times) - _SHORT) if short else 0


def choose_cuts(calendar: Calendar, events: list[npt.NDArray[np.datetime64]], start: int, known: int) -> Cuts:
    """The cuts of a history.

    Args:
        calendar: The bars.
        events: Moments that a cut must not fall on.
        start: First bar of the history.
        known: First bar with a value, where it comes late; otherwise `start`.
    """
    bars = len(calendar.times)
    size = bars - known

    def at(share: float) -> int:
        # Odd: never the border of a 2, 4, 6, 8, 12 or 24 hour interval.
        return known + (int(size * share) | 1)

    removed = [_apart(calendar, at(0.6), events)]
    left = list(events)
    while left:
        cut, left = _before_events(calendar, at(0.55), left, events)
        if start + LEAST_BARS < cut < bars and cut not in removed:
            removed.append(cut)
    early = tuple(start + n for n in _EARLY if n < size * 0.5)
    return Cuts(start, bars, early, at(0.3), tuple(sorted(removed)), at(0.7))


def _apart(calendar: Calendar, cut: int, events: list[npt.NDArray[np.datetime64]]) -> int:
    """The next bar that is no event's moment: whether an event at the cut is known is a matter of taste."""
    for bar in range(cut, min(cut + 48, len(calendar.times) - 1)):
        if not any(_is_in(calendar.times[bar], times) for times in events):
            return bar
    return cut


def _before_events(
    calendar: Calendar, cut: int, left: list[npt.NDArray[np.datetime64]], events: list[npt.NDArray[np.datetime64]]
) -> tuple[int, list[npt.NDArray[np.datetime64]]]:
    """A bar whose next bar opens with as many events as possible: using one a bar early shows. And what is left."""
    best, rest = -1, left[1:]
    for bar in range(cut, min(cut + _SEARCH, len(calendar.times) - 1)):
        here, following = calendar.times[bar], calendar.times[bar + 1]
        if any(_is_in(here, times) for times in events):
            continue
        missing = [times for times in left if not _is_in(following, times)]
        if len(missing) < len(left) and (best < 0 or len(missing) < len(rest)):
            best, rest = bar, missing
    return best, rest


def _is_in(moment: np.datetime64, times: npt.NDArray[np.datetime64]) -> bool:
    at = int(np.searchsorted(times, moment))
    return at < len(times) and times[at] == moment
