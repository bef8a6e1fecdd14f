"""What a fetch will ask for, decided and said before the first bar is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from midas_engine.errors import FeedError
from midas_engine.market.fetch.choosing import chosen
from midas_engine.market.fetch.instants import as_text
from midas_engine.market.fetch.venue_time import VenueTime, venue_time
from midas_engine.market.venues.base import COLUMNS, FUNDING, PRICES
from midas_engine.market.venues.client import BAR_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.clock import Clock
    from midas_engine.market.fetch.asker import Asker
    from midas_engine.market.venues import Venue
    from midas_engine.market.venues.base import Group
    from midas_engine.market.venues.contract import Contract

# Settlements are asked for in spans of so many days.
WINDOW_DAYS = 90
_DAY_MS = 86_400_000
ALWAYS = (*PRICES, "volume")


@dataclass(frozen=True, slots=True)
class Order:
    """What a person wants.

    Attributes:
        symbols: Names as the venue writes them, or one `top:N`.
        bar: Bar size.
        since_ms: First bar.
        until_ms: Bar after the last; None: up to now.
        columns: Further columns beside prices and volume; empty: all there are.
        again: Ask for every bar, also for those that are there, and compare.
    """

    symbols: tuple[str, ...]
    bar: str
    since_ms: int
    until_ms: int | None = None
    columns: tuple[str, ...] = ()
    again: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        if self.bar not in BAR_SECONDS:
            raise FeedError(f"no bar size {self.bar!r}", hint="one of " + ", ".join(BAR_SECONDS))
        if not self.symbols:
            raise FeedError("no symbols", hint="--symbols BTCUSDT,ETHUSDT or --symbols top:20")
        unknown = [c for c in self.columns if c not in COLUMNS]
        if unknown:
            raise FeedError(f"no column {unknown[0]!r} to fetch", hint="one of " + ", ".join(COLUMNS))
        if self.until_ms is not None and self.until_ms <= self.since_ms:
            raise FeedError("--until does not come after --since", hint="--until is where it ends, exclusive")


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be asked for.

    Attributes:
        venue: Its name.
        market: Under which name the sink keeps it: inverse contracts are another market.
        bar: Bar size.
        step: Its length, ms.
        contracts: Which contracts.
        picked: How they were picked, in words.
        groups: Which columns, by kind of request.
        begin: Open time of the first bar, ms.
        end: Open time of the bar after the last.
        time: The present.
        notes: What will not be had, and what else to know before the start.
        again: See `Order`.
    """

    venue: str
    market: str
    bar: str
    step: int
    contracts: tuple[Contract, ...]
    picked: str
    groups: tuple[Group, ...]
    begin: int
    end: int
    time: VenueTime
    notes: tuple[str, ...]
    again: bool

    def since(self, group: Group, contract: Contract) -> int:
        """The first bar of a group that can be there."""
        reach = max(self.begin, group.reaches(self.time.low_ms, self.step // 1000), contract.listed_ms or 0)
        return -(-reach // self.step) * self.step

    def requests(self, group: Group, contract: Contract) -> int:
        """How many requests it takes where nothing is there yet, about."""
        bars = max(0, (self.end - self.since(group, contract)) // self.step)
        page = WINDOW_DAYS * _DAY_MS // self.step if group.name == FUNDING else group.page - 1
        return -(-bars // max(1, page))


async def make_plan(venue: Venue, asker: Asker, order: Order, clock: Clock) -> Plan:
    """Ask the venue for its time and its contracts, and settle what can be had.

    Raises:
        FeedError: A contract is not known, inverse and linear are mixed, or there is nothing in that time.
    """
    step = BAR_SECONDS[order.bar] * 1000
    time = await venue_time(venue, asker, clock)
    begin = -(-order.since_ms // step) * step
    end = min(order.until_ms or time.high_ms, time.high_ms) // step * step
    if end <= begin:
        raise FeedError(
            f"no bar of {order.bar} is over between {as_text(order.since_ms)} and {as_text(time.high_ms)} UTC",
            hint="give an earlier --since",
        )
    contracts, picked, notes = await chosen(venue, asker, order.symbols, begin, time)
    inverse = contracts[0].inverse
    market = f"{venue.name}-inverse" if inverse and venue.name != "binancecoinm" else venue.name
    groups, lacks = _groups(venue, order, inverse=inverse, begin=begin, time=time)
    return Plan(
        venue.name, market, order.bar, step, contracts, picked, groups, begin, end, time,
        tuple(n for n in (time.note, *notes, *lacks) if n), order.again,
    )  # fmt: skip


def _groups(
    venue: Venue, order: Order, *, inverse: bool, begin: int, time: VenueTime
) -> tuple[tuple[Group, ...], list[str]]:
    wanted = {*ALWAYS, *(order.columns or COLUMNS)}
    kept: list[Group] = []
    notes: list[str] = []
    given: set[str] = set()
    for whole in venue.groups(inverse=inverse):
        columns = tuple(c for c in whole.columns if c in wanted)
        if not columns:
            continue
        given |= set(columns)
        named = ", ".join(columns)
        if whole.lengths and order.bar not in whole.lengths:
            notes.append(f"no {named}: {venue.name} gives it for bars of {', '.join(whole.lengths)}")
            continue
        reach = whole.reaches(time.low_ms, BAR_SECONDS[order.bar])
        if reach > begin:
            kept_for = f"{whole.keeps_days:g} days" if whole.keeps_days is not None else f"{whole.keeps_bars:,} bars"
            notes.append(f"no {named} before {as_text(reach)} UTC: {venue.name} keeps {kept_for}")
        group = whole if whole.name == FUNDING else replace(whole, columns=columns)
        kept.append(group)
    lacking = [c for c in COLUMNS if c in wanted and c not in given]
    if lacking:
        notes.append(f"no {', '.join(lacking)}: {venue.name} does not give {'it' if len(lacking) == 1 else 'them'}")
    return tuple(kept), notes


def columns_of(groups: Sequence[Group]) -> tuple[str, ...]:
    """Every column of these groups, in the usual order."""
    found = {c for g in groups for c in g.columns}
    return tuple(c for c in COLUMNS if c in found)
