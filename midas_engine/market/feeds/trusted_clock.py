"""`TrustedClock`: wall time as far as it can be trusted, held against the monotonic clock and against the source."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midas_engine.clock import Clock

# Further than this from where it should be the wall clock jumped. A source's own delay is of that size.
TOLERANCE_SECONDS = 30.0
# Time servers slew a clock by at most 500 parts in a million; twice that is followed without a word.
_DRIFT = 0.001


class TrustedClock:
    """A clock that goes on from where it was trusted last, by the monotonic clock.

    The wall clock is followed while it drifts slowly. A jump, forward or back, is a fault, and time goes on as if it
    had not been. It ends when the wall clock comes back, when the source's own time (`served`) settles it, or when
    the bars the source shows bear the wall clock out (`weigh`: the machine slept, or was set right).

    Args:
        clock: Wall and monotonic time.
        tolerance: Seconds the wall clock may be off.

    Attributes:
        fault: What is wrong with the wall clock, in words; "" while nothing is.
    """

    def __init__(self, clock: Clock, *, tolerance: float = TOLERANCE_SECONDS) -> None:
        self._clock, self._tolerance = clock, tolerance
        self._checked = clock.monotonic()
        self._held = self._offset()
        self._floor = 0.0
        self._served = False
        self.fault = ""

    @property
    def trusted(self) -> bool:
        """Whether `now` is known rather than guessed from when the clock was last right."""
        return self._served or not self.fault

    @property
    def served(self) -> bool:
        """Whether the source itself said what time it is."""
        return self._served

    def now(self) -> datetime:
        """The trusted instant, UTC; never before the newest bar the source has shown."""
        return datetime.fromtimestamp(self.seconds(), tz=UTC)

    def seconds(self) -> float:
        """The trusted instant, seconds since the epoch."""
        return max(self._clock.monotonic() + self._held, self._floor)

    def latest(self) -> float:
        """The later of the trusted and the wall time: no sound bar opens after it."""
        return max(self.seconds(), self._clock.now().timestamp())

    def monotonic(self) -> float:
        """Seconds since an arbitrary origin."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        await self._clock.sleep(seconds)

    def _offset(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    # -- who is right ------------------------------------------------------------------------------

    def check(self) -> bool:
        """Compare the wall clock with the monotonic one; True when it has just jumped."""
        mono = self._clock.monotonic()
        room, self._checked = max(0.0, mono - self._checked) * _DRIFT, mono
        gap = self._offset() - self._held
        if abs(gap) <= self._tolerance:
            self.fault = ""
            if not self._served:
                self._held += min(max(gap, -room), room)
            return False
        before = self.fault
        where = "ahead of" if gap > 0 else "behind"
        whose = "the source's clock" if self._served else "where the monotonic clock puts it"
        self.fault = before or f"this machine's clock is {_span(gap)} {where} {whose}"
        return not before

    def hear(self, server_seconds: float | None) -> None:
        """What the source says the time is; it settles a dispute. None: it does not say."""
        self._served = server_seconds is not None and server_seconds >= self._floor
        if self._served and server_seconds is not None:
            self._held = server_seconds - self._clock.monotonic()
        self.check()

    def weigh(self, newest: float, reached: float, bar_seconds: int) -> None:
        """Hear the bars as a witness.

        Args:
            newest: Open time of the newest bar the source shows, seconds.
            reached: Instant that this bar proves to be past: its open time, or its close where only closed bars come.
            bar_seconds: Length of a bar.
        """
        self._floor = max(self._floor, newest)
        if not self.fault or self._served:
            return
        held, wall = self._clock.monotonic() + self._held, self._clock.now().timestamp()
        fits = reached - self._tolerance <= wall < reached + 2 * bar_seconds
        ran_on = reached > held + self._tolerance  # the monotonic clock stood still: the machine slept
        set_right = reached + bar_seconds < held - self._tolerance  # bars that should be there are not
        if fits and (ran_on if wall > held else set_right):
            self._held = wall - self._clock.monotonic()
            self._floor = min(self._floor, wall)
            self.fault = ""


def _span(seconds: float) -> str:
    size = abs(seconds)
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if size >= 2 * length:
            return f"{size / length:.1f} {unit}"
    return f"{size:.0f} s"
