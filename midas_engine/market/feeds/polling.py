"""`PollingFeed`: a source asked at every bar's close, turned into closed bars on a grid, none skipped, none early."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from midas_engine.errors import FeedError
from midas_engine.market.feeds.base import ClosedBar
from midas_engine.market.funding import align_funding
from midas_engine.market.panel import Panel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from midas_engine.clock import Clock
    from midas_engine.market.feeds.base import BarSource, Candle, Settlement

T = TypeVar("T")
CANDLE_COLUMNS = ("open", "high", "low", "close", "volume")
# An exchange needs a moment to publish a bar that has just closed.
GRACE_SECONDS = 2.0
# How often a bar that some symbols still lack is asked for again, and for how long: 2, 4, 8, 16 s.
PATIENCE = (2.0, 4.0, 8.0, 16.0)
BACK_OFF = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
AT_ONCE = 8
_FUNDING_DAYS = 3


class PollingFeed:
    """Closed bars of a source.

    A bar is handed out once, after its close, in order. A symbol that has no bar by then gets NaN. After an outage
    the bars that were missed are fetched and handed out first, so that time is never skipped.

    Args:
        source: Whom to ask.
        clock: Wall time.
        on_fault: Told when the source fails, once an outage, and "" when it is back.
    """

    def __init__(self, source: BarSource, clock: Clock, *, on_fault: Callable[[str], None] | None = None) -> None:
        self._source, self._clock = source, clock
        self._on_fault = on_fault or (lambda _: None)
        self._step_ms = source.bar_seconds * 1000
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._down = False
        self._next_ms = 0
        self._settled: dict[str, dict[int, float]] = {}
        self.symbols: tuple[str, ...] = ()
        self.columns: tuple[str, ...] = ()

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
        end = self._closed_before(self._now_ms())
        begin = end - bars * self._step_ms
        found = await _first_error(self._each(self.symbols, begin, end))
        if not any(found.values()):
            raise FeedError(
                f"{self.name} has no closed bar between {_text(begin)} and {_text(end)} UTC",
                hint="check the symbols and the bar size",
            )
        seen = {column for rows in found.values() for candle in rows for column in candle.values}
        self.columns = tuple(c for c in CANDLE_COLUMNS if c in seen) + tuple(sorted(seen - set(CANDLE_COLUMNS)))
        # a source that goes back less far begins where its first bar is
        begin = min(rows[0].opened_ms for rows in found.values() if rows) // self._step_ms * self._step_ms
        await self._settle(begin - _FUNDING_DAYS * 86_400_000)
        self._next_ms = end
        return self._panel(begin, end, found)

    async def _long(self, symbol: str, begin: int, end: int) -> list[Candle]:
        rows: dict[int, Candle] = {}
        since = begin
        while since < end:
            async with self._gate:
                page = await self._source.candles(symbol, since)
            fresh = [c for c in page if begin <= c.opened_ms < end]
            rows.update((c.opened_ms, c) for c in fresh)
            newest = max((c.opened_ms for c in page), default=since - 1)
            if newest < since:
                break
            since = newest + self._step_ms
        return [rows[t] for t in sorted(rows)]

    async def _each(self, symbols: Sequence[str], begin: int, end: int) -> dict[str, list[Candle]]:
        async with asyncio.TaskGroup() as group:
            tasks = {s: group.create_task(self._long(s, begin, end)) for s in symbols}
        return {s: task.result() for s, task in tasks.items()}

    # -- bars --------------------------------------------------------------------------------------

    async def bars(self) -> AsyncIterator[ClosedBar]:
        """Closed bars from where `history` ended, for ever. Failures are told to `on_fault` and outlived."""
        if not self.symbols:
            raise FeedError("ask for the history first")
        tries = 0
        while True:
            await self._sleep_until(self._next_ms + self._step_ms, GRACE_SECONDS)
            try:
                panel = await self._fetch()
            except FeedError as error:
                self._fail(error.message)
                await self._clock.sleep(BACK_OFF[min(tries, len(BACK_OFF) - 1)])
                tries += 1
                continue
            tries = 0
            self._recover()
            for i in range(panel.T):
                opened = int(panel.timestamps[i].astype("datetime64[ms]").astype(np.int64))
                if opened < self._next_ms:
                    continue
                self._next_ms = opened + self._step_ms
                yield ClosedBar(_at(opened), {name: values[i].copy() for name, values in panel.fields.items()})

    async def _fetch(self) -> Panel:
        """Every bar from the next one to the newest closed, waiting a little for symbols that are late."""
        begin = self._next_ms
        found: dict[str, list[Candle]] = {symbol: [] for symbol in self.symbols}
        for patience in (*PATIENCE, None):
            end = self._closed_before(self._now_ms())
            late = [s for s in self.symbols if not found[s] or found[s][-1].opened_ms < end - self._step_ms]
            found |= await _first_error(self._each(late, begin, end))
            if patience is None or all(rows and rows[-1].opened_ms >= end - self._step_ms for rows in found.values()):
                break
            await self._clock.sleep(patience)
        await self._settle(begin - self._step_ms)
        return self._panel(begin, end, found)

    def _fail(self, message: str) -> None:
        if not self._down:
            self._on_fault(message)
        self._down = True

    def _recover(self) -> None:
        if self._down:
            self._on_fault("")
        self._down = False

    async def close(self) -> None:
        """Let go of the source."""
        await self._source.close()

    # -- funding and the grid ------------------------------------------------------------------------

    async def _settle(self, since_ms: int) -> None:
        async def ask(symbol: str) -> Sequence[Settlement]:
            async with self._gate:
                return await self._source.settlements(symbol, since_ms)

        async def ask_all() -> list[Sequence[Settlement]]:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(s)) for s in self.symbols]
            return [task.result() for task in tasks]

        pages = await _first_error(ask_all())
        horizon = self._now_ms() - 40 * 86_400_000
        for symbol, page in zip(self.symbols, pages, strict=True):
            rates = self._settled.setdefault(symbol, {})
            rates.update((s.at_ms, s.rate) for s in page)
            if since_ms > horizon:  # once the history is made only the recent rates matter
                for old in [t for t in rates if t < horizon]:
                    del rates[old]

    def _panel(self, begin: int, end: int, found: dict[str, list[Candle]]) -> Panel:
        import pandas as pd

        count = max(0, (end - begin) // self._step_ms)
        times = (begin + np.arange(count) * self._step_ms).astype("datetime64[ms]").astype("datetime64[ns]")
        fields = {name: np.full((count, len(self.symbols)), np.nan) for name in self.columns}
        for column, symbol in enumerate(self.symbols):
            for candle in found[symbol]:
                row, rest = divmod(candle.opened_ms - begin, self._step_ms)
                if rest or not 0 <= row < count:
                    continue  # a bar that is not over, or off the grid, is not a closed bar of this feed
                for name, value in candle.values.items():
                    if name in fields:
                        fields[name][row, column] = value
        panel = Panel(times, self.symbols, fields, self._source.bar_seconds)
        rows = [(s, t, r) for s in self.symbols for t, r in sorted(self._settled.get(s, {}).items())]
        if not rows:
            return panel
        frame = pd.DataFrame(rows, columns=["symbol", "at_ms", "funding_rate"])
        frame["timestamp"] = pd.to_datetime(frame["at_ms"], unit="ms", utc=True)
        return Panel(times, self.symbols, {**fields, **align_funding(panel, frame)}, self._source.bar_seconds)

    # -- time ----------------------------------------------------------------------------------------

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)

    def _closed_before(self, now_ms: int) -> int:
        """Open time of the bar that is still running: all before it are closed."""
        return now_ms // self._step_ms * self._step_ms

    async def _sleep_until(self, ms: int, grace: float) -> None:
        while (wait := ms / 1000 + grace - self._clock.now().timestamp()) > 0:
            await self._clock.sleep(wait)


async def _first_error(work: Awaitable[T]) -> T:
    """The result of `work`; of a group's failures the first, so that callers see a FeedError and not a group."""
    try:
        return await work
    except ExceptionGroup as group:
        raise next((e for e in group.exceptions if isinstance(e, FeedError)), group.exceptions[0]) from None


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)


def _text(ms: int) -> str:
    return f"{_at(ms):%Y-%m-%d %H:%M}"
