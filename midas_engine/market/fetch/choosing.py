"""Which contracts: those that are named, or the N most traded ones as of the first day."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from midas_engine.errors import FeedError
from midas_engine.market.feeds.together import together
from midas_engine.market.fetch.faults import VenueFaultError
from midas_engine.market.fetch.instants import as_text
from midas_engine.market.venues.base import CANDLES
from midas_engine.market.venues.contract import usable_name
from midas_engine.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.market.fetch.asker import Asker
    from midas_engine.market.fetch.venue_time import VenueTime
    from midas_engine.market.venues import Venue
    from midas_engine.market.venues.base import Group, Row
    from midas_engine.market.venues.contract import Contract

_TOP = re.compile(r"top:(\d{1,4})", re.IGNORECASE)
_DAY_MS = 86_400_000
RANKED_DAYS = 30
AT_ONCE = 8


async def chosen(
    venue: Venue, asker: Asker, symbols: Sequence[str], begin: int, time: VenueTime
) -> tuple[tuple[Contract, ...], str, list[str]]:
    """Contracts, how they were picked, and what to know about it.

    Args:
        venue: Whose.
        asker: Who asks.
        symbols: Names, or one `top:N`.
        begin: First instant wanted, ms.
        time: The present.

    Raises:
        FeedError: One is not known, or inverse and linear ones are named together.
    """
    listed = await asker.ask("its list of contracts", venue.contracts)
    top = _TOP.fullmatch(symbols[0].strip()) if len(symbols) == 1 else None
    if top is None:
        found, notes = await _named(venue, asker, symbols, listed, begin, time)
        kinds = {c.kind for c in found}
        if len(kinds) > 1:
            one, other = (next(c.name for c in found if c.kind == kind) for kind in ("linear", "inverse"))
            raise FeedError(
                f"{one} is linear and {other} is inverse; they are never mixed", hint="fetch each kind by itself"
            )
        return tuple(found), "named", notes
    count = int(top[1])
    if not count:
        raise FeedError("top:0 names nothing", hint="--symbols top:20")
    return await _most_traded(venue, asker, count, listed, begin, time)


# -- by name -----------------------------------------------------------------------------------------------------------


async def _named(
    venue: Venue, asker: Asker, symbols: Sequence[str], listed: list[Contract], begin: int, time: VenueTime
) -> tuple[list[Contract], list[str]]:
    every = list(listed)
    found: list[Contract] = []
    notes: list[str] = []
    for text in dict.fromkeys(s.strip() for s in symbols):
        contract = _of_name(text, every)
        if contract is None and venue.lists_closed and len(every) == len(listed):
            every += await asker.ask("its list of closed contracts", venue.closed_contracts)
            contract = _of_name(text, every)
        if contract is None:
            contract = await _tried(venue, asker, text, begin, time)
        if contract is None:
            names = [c.name for c in listed]
            near = did_you_mean(
                text.upper(), names, otherwise="write it as the venue does, e.g. " + ", ".join(names[:3])
            )
            raise FeedError(f"{venue.name} knows no perpetual {text!r}", hint=near)
        if contract.name in (c.name for c in found):
            continue
        if not contract.active:
            notes.append(f"{contract.name} trades no more on {venue.name}: its bars end where it ended")
        found.append(contract)
    return found, notes


def _of_name(text: str, contracts: Sequence[Contract]) -> Contract | None:
    for contract in contracts:
        if text in (contract.name, contract.unified):
            return contract
    alike = [c for c in contracts if text.upper() in (c.name.upper(), c.unified.upper())]
    return alike[0] if len(alike) == 1 else None  # kPEPE and KPEPE may be two


async def _tried(venue: Venue, asker: Asker, text: str, begin: int, time: VenueTime) -> Contract | None:
    """A contract that no list has, where the venue still has bars of it."""
    contract = venue.unlisted(text.upper())
    if contract is None or not usable_name(contract.name):
        return None
    candles = next(g for g in venue.groups(inverse=contract.inverse) if g.name == CANDLES)
    end = time.high_ms
    since = max(begin, end - 1000 * _DAY_MS)
    for first in (begin, since):

        async def look(first: int = first) -> list[Row]:
            return await venue.rows(candles, contract, "1d", first, end)

        try:
            rows = await asker.ask(f"bars of {contract.name}", look)
        except VenueFaultError as fault:
            if fault.kind in ("unknown", "said"):
                return None
            raise
        if rows:
            return contract
    return None


# -- by turnover -------------------------------------------------------------------------------------------------------


async def _most_traded(
    venue: Venue, asker: Asker, count: int, listed: list[Contract], begin: int, time: VenueTime
) -> tuple[tuple[Contract, ...], str, list[str]]:
    linear = [c for c in listed if not c.inverse]
    kind = linear or listed
    candles = next(g for g in venue.groups(inverse=kind[0].inverse) if g.name == CANDLES)
    first = begin // _DAY_MS * _DAY_MS - RANKED_DAYS * _DAY_MS
    day = as_text(begin)
    if candles.reaches(time.low_ms, 86_400) <= first:
        every = list(kind)
        if venue.lists_closed:
            closed = await asker.ask("its list of closed contracts", venue.closed_contracts)
            every += [c for c in closed if c.inverse == kind[0].inverse and c.name not in {k.name for k in kind}]
        there = [c for c in every if c.listed_ms is None or c.listed_ms < begin]
        traded = await _turnovers(venue, asker, candles, there, first, first + RANKED_DAYS * _DAY_MS)
        ranked = sorted((c for c in there if traded[c.name] > 0), key=lambda c: (-traded[c.name], c.name))[:count]
        if ranked:
            picked = f"the most traded of the {RANKED_DAYS} days before {day}"
            notes = [f"{len(ranked)} contracts: {picked}"]
            if all(c.active for c in every):
                picked += ", among those still listed"
                survivors = f"{venue.name} lists none that were delisted since, so the choice knows who survived"
                notes = [f"{len(ranked)} contracts: {picked}: {survivors}; name delisted ones yourself"]
            if len(ranked) < count:
                notes.append(f"only {len(ranked)} of the {count} contracts asked for traded then")
            return tuple(ranked), picked, notes
    now = await asker.ask("its turnover", venue.turnover)
    active = [c for c in kind if c.active]
    ranked = sorted(active, key=lambda c: (-now.get(c.unified, 0.0), c.name))[:count]
    picked = f"picked with hindsight: the most traded of today, not of {day}"
    return tuple(ranked), picked, [f"{len(ranked)} contracts {picked}: {venue.name} does not go back that far"]


async def _turnovers(
    venue: Venue, asker: Asker, group: Group, contracts: Sequence[Contract], first: int, end: int
) -> dict[str, float]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(contract: Contract) -> float:
        async with gate:
            try:
                rows = await asker.ask(
                    f"turnover of {contract.name}", lambda: venue.rows(group, contract, "1d", first, end)
                )
            except VenueFaultError as fault:
                if fault.kind in ("unknown", "said"):
                    return 0.0
                raise
        inside = [r.values for r in rows if first <= r.at_ms < end]
        return sum(v.get("quote_volume", v["volume"] * v["close"]) for v in inside)

    sums = await together([one(c) for c in contracts])
    return {c.name: s for c, s in zip(contracts, sums, strict=True)}
