"""The journal from inside an event loop: batched, in a thread, never in the loop's way."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from midas_engine.errors import JournalError
from midas_engine.events import Event, FeatureTicked, ReplayMoved, TokensStreamed

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.journal.journal import Journal

T = TypeVar("T")

FLUSH_SECONDS = 0.5
MAX_BATCH = 2_000
MAX_WAITING = 100_000
# Streamed text is kept in the transcript, ticks as metrics, and a replay's position is nobody's past.
SKIPPED: tuple[type[Event], ...] = (TokensStreamed, FeatureTicked, ReplayMoved)


class AsyncJournal:
    """Runs journal calls one after another in a thread.

    Example: `await AsyncJournal(journal).call(journal.put_states, states)`.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._turn = asyncio.Lock()

    async def call(self, method: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """`method(*args, **kwargs)` in a thread; calls keep their order."""
        async with self._turn:
            return await asyncio.to_thread(method, *args, **kwargs)


class EventRecorder:
    """Takes events from the bus at no cost and writes them in batches.

    Use it as the bus's tap: `untap = bus.tap(recorder.take)`, run `run()` as a task, and `close()`
    at the end. While the journal cannot be written, events wait, bounded; the oldest are dropped
    first and counted.

    Args:
        journal: Where to.
        on_fault: Told once per failing stretch.
        skipped: Event types that are not kept.
        flush_seconds: How long events may gather before they are written.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        on_fault: Callable[[str], None] | None = None,
        skipped: tuple[type[Event], ...] = SKIPPED,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self._journal = AsyncJournal(journal)
        self._waiting: deque[Event] = deque()
        self._on_fault = on_fault
        self._skipped = skipped
        self._wake = asyncio.Event()
        self._closing = False
        self._failing = False
        self._flushing = asyncio.Lock()
        self._flush_seconds = flush_seconds
        self.written = 0
        self.dropped = 0

    def take(self, event: Event) -> None:
        """Queue an event; never blocks."""
        if isinstance(event, self._skipped):
            return
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(event)
        self._wake.set()

    async def run(self) -> None:
        """Write batches until `close`."""
        while not self._closing:
            await self._wake.wait()
            self._wake.clear()
            if not self._closing:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closed(), self._flush_seconds)
            await self.flush()

    async def _closed(self) -> None:
        while not self._closing:
            await self._wake.wait()
            self._wake.clear()

    async def flush(self) -> None:
        """Write everything that waits now."""
        async with self._flushing:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
                try:
                    await self._journal.call(self._journal.journal.record_events, batch)
                except JournalError as error:
                    self._waiting.extendleft(reversed(batch))
                    if not self._failing and self._on_fault is not None:
                        self._on_fault(str(error))
                    self._failing = True
                    return
                self._failing = False
                self.written += len(batch)

    async def close(self) -> None:
        """End `run` and write what waits."""
        self._closing = True
        self._wake.set()
        await self.flush()
