"""What time it is for a venue's bars: its own clock beside this machine's, and what holds where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.market.fetch.faults import VenueFaultError

if TYPE_CHECKING:
    from midas_engine.clock import Clock
    from midas_engine.market.fetch.asker import Asker
    from midas_engine.market.venues import Venue

# The clocks of two machines in order differ by less.
TOLERANCE_MS = 60_000
_FIRST_MS, _LAST_MS = 946_684_800_000, 4_102_444_800_000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class VenueTime:
    """Two bounds of the present.

    A bar that closed by the earlier one is over. One that closed by the later one only is over where the venue shows a
    bar after it. So a clock that is wrong, whichever it is, lets no running bar through.

    Attributes:
        low_ms: The earlier of the two clocks.
        high_ms: The later one.
        note: How they differ, in words; empty where they agree.
    """

    low_ms: int
    high_ms: int
    note: str = ""


async def venue_time(venue: Venue, asker: Asker, clock: Clock) -> VenueTime:
    """Ask the venue for its time and hold it against this machine's."""
    local = int(clock.now().timestamp() * 1000)
    try:
        said = await asker.ask("its time", venue.server_ms)
    except VenueFaultError as fault:
        if fault.kind not in ("nonsense", "said"):
            raise
        said = 0  # it answers, only not with a time
    if said is None or not _FIRST_MS <= said <= _LAST_MS:
        # Nobody else says: the last bar needs a later one beside it.
        return VenueTime(local - _DAY_MS, local + _DAY_MS, "" if said is None else f"{venue.name} says no sound time")
    apart = local - said
    if abs(apart) <= TOLERANCE_MS:
        return VenueTime(min(local, said), max(local, said))
    size = abs(apart) / 1000
    words = f"{size / 3600:.1f} h" if size >= 7200 else f"{size:.0f} s"
    where = "ahead of" if apart > 0 else "behind"
    note = (
        f"this machine's clock is {words} {where} {venue.name}'s: "
        "a bar is taken only where both say it is over, or a later one is shown"
    )
    return VenueTime(min(local, said), max(local, said), note)
