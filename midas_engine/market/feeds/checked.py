"""`CheckedSource`: a source whose answers are sound, or named faults: nothing else comes out of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from midas_engine.errors import FeedError
from midas_engine.market.feeds.base import Candle, Settlement
from midas_engine.market.feeds.faults import HINT, as_feed_error
from midas_engine.market.venues.words import shown

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from midas_engine.market.feeds.base import BarSource

# A source has deadlines of its own; this one is for a source that forgot.
ANSWER_SECONDS = 60.0
# A longer answer is looked at in a thread: a history of many symbols would hold the loop, and with it the screen.
MOST_AT_ONCE = 64
# 2000 and 2100: what lies outside was not given in milliseconds.
_FIRST_MS, _LAST_MS = 946_684_800_000, 4_102_444_800_000


@dataclass(slots=True)
class FeedCounts:
    """What a source gave beside sound bars, since the start.

    Attributes:
        duplicate: Rows of a bar that the same answer held already; the last one counts.
        disordered: Rows that stood before an older one.
        off_grid: Rows that open between two bars.
        hollow: Rows without a number, or without a close.
        future: Rows later than any clock allows.
        restated: Bars that came again with other numbers; what was handed out stays.
        late: Symbols' bars that came after their bar was final.
        missing: Symbols without a number in the bars handed out.
    """

    duplicate: int = 0
    disordered: int = 0
    off_grid: int = 0
    hollow: int = 0
    future: int = 0
    restated: int = 0
    late: int = 0
    missing: int = 0

    def add(self, other: FeedCounts) -> None:
        """Add what another one counted."""
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))

    def __str__(self) -> str:
        """Those that are not zero."""
        found = [f"{value} {f.name.replace('_', ' ')}" for f in fields(self) if (value := getattr(self, f.name))]
        return ", ".join(found) or "nothing odd"


class CheckedSource:
    """Asks `source` and looks at what comes: rows in order, each once, on the grid, with numbers; else a `FeedError`.

    Args:
        source: Whom to ask.
        counts: Where oddities that can be put right are counted.
        seconds: Real time that one answer may take.
    """

    def __init__(self, source: BarSource, counts: FeedCounts, *, seconds: float = ANSWER_SECONDS) -> None:
        self._source, self._counts, self._seconds = source, counts, seconds
        with as_feed_error(str(source.name), "the length of its bars"):
            self.bar_seconds = int(source.bar_seconds)
            if self.bar_seconds <= 0:
                raise FeedError(f"{source.name} has bars of {self.bar_seconds} s", hint="a bar has a length")

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self._source.name

    async def symbols(self) -> Sequence[str]:
        """See `BarSource.symbols`."""
        what = "its symbols"
        with as_feed_error(self.name, what):
            found = await self._in_time(self._source.symbols(), what)
            if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
                raise FeedError(f"{self.name} gave {what} as {shown(found)}", hint="a list of names is expected")
            names = tuple(str(name) for name in found)
            if not names:
                raise FeedError(f"{self.name} has no symbols", hint="name some, or look at what the source gives")
            if len(set(names)) < len(names):
                raise FeedError(f"{self.name} gave a symbol twice: {shown(names)}", hint="name each symbol once")
            return names

    async def candles(self, symbol: str, since_ms: int) -> list[Candle]:
        """See `BarSource.candles`."""
        what = f"bars of {symbol}"
        with as_feed_error(self.name, what):
            rows = self._rows(await self._in_time(self._source.candles(symbol, since_ms), what), what)
            page = rows if isinstance(rows, Sequence) else list(rows)
            if len(page) > MOST_AT_ONCE:
                candles, odd = await asyncio.to_thread(self._sound, page, what)
            else:
                candles, odd = self._sound(page, what)
            self._counts.add(odd)
            return candles

    def _sound(self, rows: Sequence[Any], what: str) -> tuple[list[Candle], FeedCounts]:
        """The rows that are sound, in order, and how many were odd in which way."""
        kept: dict[int, Candle] = {}
        newest, odd = -1, FeedCounts()
        for row in rows:
            opened = self._instant(row.opened_ms, what)
            values = self._numbers(row.values, what)
            odd.disordered += opened < newest
            newest = max(newest, opened)
            if opened % (self.bar_seconds * 1000):
                odd.off_grid += 1
            elif math.isnan(values.get("close", 0.0)) or not any(math.isfinite(v) for v in values.values()):
                odd.hollow += 1
            else:
                odd.duplicate += opened in kept
                kept[opened] = Candle(opened, values)
        return [kept[opened] for opened in sorted(kept)], odd

    async def settlements(self, symbol: str, since_ms: int) -> list[Settlement]:
        """See `BarSource.settlements`."""
        what = f"funding of {symbol}"
        with as_feed_error(self.name, what):
            rows = self._rows(await self._in_time(self._source.settlements(symbol, since_ms), what), what)
            rates = {self._instant(row.at_ms, what): float(row.rate) for row in rows}
            return [Settlement(at, rates[at]) for at in sorted(rates) if math.isfinite(rates[at])]

    async def server_seconds(self) -> float | None:
        """What time the source says it is (seconds since the epoch); None where it does not say."""
        ask = getattr(self._source, "server_ms", None)
        if ask is None:
            return None
        try:
            with as_feed_error(self.name, "its time"):
                said = await self._in_time(ask(), "its time")
                return None if said is None else self._instant(said, "its time") / 1000
        except FeedError:
            return None  # the bars are asked for next: an outage is told there

    async def close(self) -> None:
        """Let go of the source; that it cannot let go is nobody's trouble any more."""
        try:
            with as_feed_error(self.name, "its connections back"):
                await self._in_time(self._source.close(), "its connections back")
        except FeedError:
            return

    async def _in_time(self, call: Awaitable[Any], what: str) -> Any:
        try:
            async with asyncio.timeout(self._seconds):
                return await call
        except TimeoutError as error:
            words = str(error) or f"no answer within {self._seconds:g} s"
            raise FeedError(f"{self.name} did not give {what}: {words}", hint=HINT) from error

    def _rows(self, page: Any, what: str) -> Iterable[Any]:
        if isinstance(page, str | bytes | Mapping) or not isinstance(page, Iterable):
            raise FeedError(f"{self.name} gave {what} as {shown(page)}", hint="a list of rows is expected")
        return page

    def _instant(self, stamp: Any, what: str) -> int:
        number = float(stamp)
        if not _FIRST_MS <= number <= _LAST_MS:  # NaN is refused too
            raise FeedError(
                f"{self.name} stamped {what} {shown(stamp)}", hint="milliseconds since 1970 (UTC) are expected"
            )
        return int(number)

    def _numbers(self, values: Any, what: str) -> dict[str, float]:
        if not isinstance(values, Mapping):
            raise FeedError(f"{self.name} gave {what} with {shown(values)}", hint="numbers by column are expected")
        numbers = {str(k): math.nan if v is None else float(v) for k, v in values.items()}
        return {k: v if math.isfinite(v) else math.nan for k, v in numbers.items()}
