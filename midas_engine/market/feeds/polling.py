"""`PollingFeed`: a source asked at every bar's close, turned into closed bars: none skipped, early or made up."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from midas_engine.errors import FeedError, FeedLostError
from midas_engine.market.feeds.base import ClosedBar
from midas_engine.market.feeds.checked import CheckedSource, FeedCounts
from midas_engine.market.feeds.grid import column_order, panel_between
from midas_engine.market.feeds.together import together
from midas_engine.market.feeds.trusted_clock import TrustedClock
from midas_engine.market.feeds.waiting import WaitingBars

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from midas_engine.clock import Clock
    from midas_engine.market.feeds.base import BarSource, Candle, Settlement
    from midas_engine.market.panel import Panel

# An exchange needs a moment to publish a bar that has just closed.
FIRST_SECONDS = 2.0
# How long a bar that some symbols still lack is waited for where the source names no grace of its own.
GRACE_SECONDS = 30.0
# How often a bar that is not there is asked for again: 2, 4, 8, 16, then every 30 s.
PATIENCE = (2.0, 4.0, 8.0, 16.0, 30.0)
BACK_OFF = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_JITTER = 0.2  # share by which pauses differ, so that many monitors do not ask as one
_SLICE_SECONDS = 60.0  # the longest sleep without a look at the clocks
AT_ONCE = 8
_MOST_AT_ONCE = 256  # rows that are looked through on the loop: those of a bar, not those of a history
_FUNDING_DAYS = 3


class PollingFeed:
    """Closed bars of a source.

    A bar is handed out once, after its close, in order, and only when the source has shown it. A bar that no symbol
    has is pending and asked for until it comes, however late; one that some symbols have waits for the others up to
    the grace, then is final, with NaN for those that lack it. After an outage the bars that were missed are handed out
    first, so that time is never skipped. A bar still running is never taken for a closed one, whatever the clock says.

    Args:
        source: Whom to ask.
        clock: Wall and monotonic time.
        on_fault: Told when the feed is in trouble (source, missing bars, clock), once each, and "" when all is well.
        grace: Seconds that a late symbol is waited for; None takes the source's own, else 30.
        most_failures: Failures in a row after which it gives up; 0: never.
        rng: For the jitter of pauses.

    Attributes:
        troubles: What is wrong now, in words, by kind: "source" (it fails, or has no bar) and "clock".
        failures: Failures in a row.
        counts: What came beside sound bars.
        clock: The time it goes by; see `TrustedClock`.
    """

    def __init__(
        self,
        source: BarSource,
        clock: Clock,
        *,
        on_fault: Callable[[str], None] | None = None,
        grace: float | None = None,
        most_failures: int = 0,
        rng: random.Random | None = None,
    ) -> None:
        self.counts = FeedCounts()
        self._source = CheckedSource(source, self.counts)
        own: float | None = getattr(source, "grace_seconds", None)
        self.grace = grace if grace is not None else own if own is not None else GRACE_SECONDS
        self.clock = TrustedClock(clock)
        self._on_fault = on_fault or (lambda _: None)
        self._most_failures, self._rng = most_failures, rng or random.Random()
        self._step_ms = self._source.bar_seconds * 1000
        self._gate = asyncio.Semaphore(AT_ONCE)
        self.troubles: dict[str, str] = {}
        self._next_ms = 0
        self._waiting = WaitingBars((), self._step_ms, self.grace, self.counts)
        self._settled: dict[str, dict[int, float]] = {}
        self._newest_ms = 0
        self._runs: bool | None = None  # whether the source shows the running bar; None: not known
        self._asked_in_vain = 0
        self.failures = 0
        self.symbols: tuple[str, ...] = ()
        self.columns: tuple[str, ...] = ()

    @property
    def _venue(self) -> str:
        """The venue that vouches for what it gives; empty of a file."""
        return self.name if getattr(self._source, "vouches", False) else ""

    @property
    def name(self) -> str:
        """The source's name."""
        return self._source.name

    @property
    def bar_seconds(self) -> int:
        """Length of a bar."""
        return self._source.bar_seconds

    # -- history -----------------------------------------------------------------------------------

    async def history(self, bars: int) -> Panel:
        """The last `bars` closed bars, or as many as there are; the feed goes on where they end.

        Raises:
            FeedError: The source cannot be reached, or has no closed bar in that time.
        """
        self.symbols = tuple(await self._source.symbols())
        await self._consult()
        end = self._running_at(self._now_ms())
        begin = end - bars * self._step_ms
        self._waiting = WaitingBars(self.symbols, self._step_ms, self.grace, self.counts)
        await self._gather(self.symbols, begin, begin)
        newest = self._waiting.newest()
        if newest is None:
            raise FeedError(
                f"{self.name} has no closed bar between {_text(begin)} and {_text(end)} UTC",
                hint="its newest bar is older: fetch or import what is missing; else check symbols and bar size",
            )
        rows = self._waiting.rows
        self.columns, begin = await asyncio.to_thread(_extent, rows)
        # nothing is made up after the newest bar that was shown, and one that some still lack is waited for
        end = min(end, newest + self._step_ms)
        late = set(self._waiting.lacking(end - self._step_ms)) - set(self._waiting.lacking(end - 2 * self._step_ms))
        if late and self._now_ms() < end + self.grace * 1000:
            end -= self._step_ms
        await self._settle(begin - _FUNDING_DAYS * 86_400_000)
        panel = await asyncio.to_thread(
            panel_between, begin, end, self.bar_seconds, self.columns, rows, self._settled, self._venue
        )
        self._next_ms = end
        self._waiting.hand_out(end, self._now_ms())
        return panel

    # -- asking ------------------------------------------------------------------------------------

    async def _consult(self) -> None:
        """Hear what time it is from who should know."""
        jumped = self.clock.check()
        self.clock.hear(await self._source.server_seconds())
        self._note_clock()
        if jumped:
            self._asked_in_vain = 0

    def _note_clock(self) -> None:
        if self.clock.fault:
            self._trouble("clock", f"{self.clock.fault}: bars are taken only where the source proves them closed")
        else:
            self._well("clock")

    async def _gather(self, symbols: Sequence[str], since: int, next_ms: int) -> None:
        """Ask `symbols` for their bars since then and keep those that are closed."""
        proven = self._newest_ms  # shown before these requests began: a bar before it was closed when they were made
        asked = self._now_ms()
        found = await self._each(symbols, since)
        now = self._now_ms()
        newest = max((rows[-1].opened_ms for rows in found.values() if rows), default=0)
        self._learn(newest, now)
        if not proven and newest + FIRST_SECONDS * 1000 <= asked:
            proven = newest  # the first time of asking, and well after that bar began by this machine's clock too

        def keep() -> None:
            for symbol, rows in found.items():
                limit = max(proven, rows[-1].opened_ms if rows else 0)
                for candle in rows:
                    closes = candle.opened_ms + self._step_ms
                    if closes <= limit or self._over(closes, newest, now):
                        self._waiting.add(symbol, candle, next_ms, now)

        if sum(map(len, found.values())) > _MOST_AT_ONCE:
            await asyncio.to_thread(keep)
        else:
            keep()

    def _learn(self, newest: int, now: float) -> None:
        """What the newest bar shown says of the source and of the time."""
        self._newest_ms = max(self._newest_ms, newest)
        closes = newest + self._step_ms
        if newest and self.clock.trusted:
            if closes > now:
                self._runs = True
            elif self._runs is None and now < closes + self._step_ms:
                self._runs = False
        if newest:
            reached = closes if self._runs is False else newest
            self.clock.weigh(newest / 1000, reached / 1000, self.bar_seconds)
            self._note_clock()

    def _over(self, closes: int, newest: int, now: float) -> bool:
        """Whether a bar without a later one is over by the clock alone."""
        if not self.clock.trusted:
            return False
        if self.clock.served or self._runs is False:
            return closes <= now
        # It may be the running bar: the clock can be a little off, or far off since before the start.
        current = newest + 2 * self._step_ms + self.grace * 1000 > now
        return current and closes + min(self.grace, GRACE_SECONDS) * 1000 * (self._runs is True) <= now

    async def _each(self, symbols: Sequence[str], since: int) -> dict[str, list[Candle]]:
        end = self._running_at(self.clock.latest() * 1000)
        return dict(zip(symbols, await together([self._long(s, since, end) for s in symbols]), strict=True))

    async def _long(self, symbol: str, since: int, end: int) -> list[Candle]:
        rows: dict[int, Candle] = {}
        first = since
        while since <= end:
            async with self._gate:
                page = await self._source.candles(symbol, since)
            newest = max((c.opened_ms for c in page), default=since - 1)
            latest = self.clock.latest() * 1000 + self._step_ms
            for candle in page:
                if candle.opened_ms > latest:
                    self.counts.future += 1
                elif candle.opened_ms >= first:
                    rows[candle.opened_ms] = candle
            if newest < since:
                break
            since = newest + self._step_ms
            if since >= end:
                break
        return [rows[t] for t in sorted(rows)]

    # -- bars --------------------------------------------------------------------------------------

    async def bars(self) -> AsyncGenerator[ClosedBar, None]:
        """Closed bars from where `history` ended, for ever. Failures are told to `on_fault` and outlived.

        Raises:
            FeedError: There was no history.
            FeedLostError: It failed `most_failures` times in a row.
        """
        if not self.symbols:
            raise FeedError("ask for the history first")
        while True:
            await self._until_close()
            try:
                panel, pause = await self._round()
            except FeedError as error:
                await self._failed(error)
                continue
            self.failures = 0
            try:
                for i in range(panel.T):
                    opened = self._next_ms
                    self._next_ms += self._step_ms
                    self.counts.missing += len(self.symbols) - self._waiting.known(opened)
                    yield ClosedBar(_at(opened), {name: values[i].copy() for name, values in panel.fields.items()})
            finally:  # whoever stops listening here goes on from the next bar
                if panel.T:
                    self._waiting.hand_out(self._next_ms, self._now_ms())
            if not panel.T:
                await self.clock.sleep(pause)

    async def _round(self) -> tuple[Panel, float]:
        """Ask once: the bars that may be handed out, and how long to wait where there is none."""
        await self._consult()
        begin = self._next_ms
        target = max(begin, self._running_at(self._now_ms()) - self._step_ms)
        await self._gather(self._waiting.lacking(target), begin - self._step_ms, begin)
        end, wait_ms = self._waiting.ready(begin, self._now_ms())
        if end > begin:
            await self._settle(begin - self._step_ms)
            self._asked_in_vain = 0
            self._well("source")
        else:
            self._miss(begin, pending=self._waiting.newest() is None)
        pause = PATIENCE[min(self._asked_in_vain, len(PATIENCE) - 1)]
        self._asked_in_vain += end == begin
        pause = min(pause, wait_ms / 1000) if wait_ms else self._jittered(pause)
        return panel_between(begin, end, self.bar_seconds, self.columns, self._waiting.rows, self._settled), pause

    def _miss(self, opened: int, *, pending: bool) -> None:
        """No bar may be handed out: an outage once it is later than usual."""
        closed = opened + self._step_ms
        late = self._now_ms() - closed
        if pending and late > self._waiting.usual_ms:
            since = _text(closed)
            odd = "" if str(self.counts) == str(FeedCounts()) else f" (rows it gave since the start: {self.counts})"
            self._trouble(
                "source",
                f"{self.name} has no bar of {_text(opened)} UTC for any symbol; it closed at {since} and is asked for "
                f"until it comes{odd}",
            )
        elif late <= 0:
            self._well("source")

    async def _failed(self, error: FeedError) -> None:
        self.failures += 1
        self._trouble("source", error.message)
        if self._most_failures and self.failures >= self._most_failures:
            raise FeedLostError(
                f"{self.name} failed {self.failures} times in a row, the last time with: {error.message}",
                hint=error.hint or "mend the source and start again: the bars missed meanwhile are fetched then",
            ) from error
        await self.clock.sleep(self._jittered(BACK_OFF[min(self.failures - 1, len(BACK_OFF) - 1)]))

    def _jittered(self, seconds: float) -> float:
        return seconds * (1 + _JITTER * (2 * self._rng.random() - 1))

    def _trouble(self, kind: str, message: str) -> None:
        if kind not in self.troubles:
            self.troubles[kind] = message
            self._on_fault(message)

    def _well(self, kind: str) -> None:
        if self.troubles.pop(kind, None) is not None:
            # what is left is said again, so that whoever listens knows that it is not over
            self._on_fault(next(iter(self.troubles.values()), ""))

    async def close(self) -> None:
        """Let go of the source."""
        await self._source.close()

    # -- funding -----------------------------------------------------------------------------------

    async def _settle(self, since_ms: int) -> None:
        async def ask(symbol: str) -> Sequence[Settlement]:
            async with self._gate:
                return await self._source.settlements(symbol, since_ms)

        pages = await together([ask(s) for s in self.symbols])
        horizon = self._now_ms() - 40 * 86_400_000
        for symbol, page in zip(self.symbols, pages, strict=True):
            rates = self._settled.setdefault(symbol, {})
            rates.update((s.at_ms, s.rate) for s in page)
            if since_ms > horizon:  # once the history is made only the recent rates matter
                for old in [t for t in rates if t < horizon]:
                    del rates[old]

    # -- time ----------------------------------------------------------------------------------------

    def _now_ms(self) -> int:
        return int(self.clock.seconds() * 1000)

    def _running_at(self, now_ms: float) -> int:
        """Open time of the bar that is still running: all before it are closed."""
        return int(now_ms // self._step_ms) * self._step_ms

    async def _until_close(self) -> None:
        """Sleep until the next bar should be there; a clock that has just jumped ends it, for the source to judge."""
        moment = (self._next_ms + self._step_ms) / 1000 + FIRST_SECONDS
        while (wait := moment - self.clock.seconds()) > 0:
            if self.clock.check():
                return
            self._note_clock()
            await self.clock.sleep(min(wait, _SLICE_SECONDS))
            if not self.clock.trusted:
                return


def _extent(rows: Mapping[str, Mapping[int, Candle]]) -> tuple[tuple[str, ...], int]:
    """The columns of the bars, and where the first begins: a source may go back less far than it was asked."""
    seen = {column for found in rows.values() for candle in found.values() for column in candle.values}
    return column_order(seen), min(min(found) for found in rows.values() if found)


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)


def _text(ms: int) -> str:
    return f"{_at(ms):%Y-%m-%d %H:%M}"
