"""The event stream as it is sent: numbered, kept for those that come back, and put into bytes once for all."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from typing import TYPE_CHECKING

from midas_engine.events import (
    BarProcessed,
    DiagnosisFinished,
    FeatureMoved,
    KillProposed,
    RuntimeChanged,
    TroubleChanged,
    WatchChanged,
)
from midas_engine.service.wire import packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.bus import EventBus
    from midas_engine.events import Event

# What comes with them holds beside the figures: who is watched, what is proposed, how the feed stands.
WITH_FACTS = (BarProcessed, WatchChanged, FeatureMoved, KillProposed, DiagnosisFinished, RuntimeChanged, TroubleChanged)
KEPT = 20_000
BATCH_BYTES = 256_000
BATCHES_KEPT = 8


class _Entry:
    __slots__ = ("body", "event")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.body: bytes | None = None


class Stream:
    """Taps the bus. Readers have a cursor each; who falls behind what is kept is told to take the state whole.

    Args:
        bus: Whose events.
        facts: The facts in bytes, sent before events that change them.
        whole: The figures whole, in bytes, sent before an event that says that they were taken anew.

    Attributes:
        run: Tells this stream from that of another start.
        last: Number of the newest event; the first has 1.
    """

    def __init__(self, bus: EventBus, facts: Callable[[], bytes], whole: Callable[[], bytes]) -> None:
        self.run = secrets.token_hex(8)
        self.last = 0
        self._facts, self._whole = facts, whole
        self._kept: deque[_Entry] = deque(maxlen=KEPT)
        self._wakes: set[asyncio.Event] = set()
        self._asleep = True  # nobody was woken since the last one went to sleep
        self._batches: dict[int, tuple[bytes, int]] = {}
        self._untap = bus.tap(self._take)

    def _take(self, event: Event) -> None:
        self.last += 1
        self._kept.append(_Entry(event))
        if self._asleep:
            self._asleep = False
            for wake in self._wakes:
                wake.set()

    def follow(self) -> asyncio.Event:
        """Set once there is something new since `sleep`; give it back with `leave`."""
        wake = asyncio.Event()
        self._wakes.add(wake)
        return wake

    async def sleep(self, wake: asyncio.Event, after: int) -> None:
        """Wait until something came after that number."""
        if self.last != after:
            return
        wake.clear()
        self._asleep = True
        await wake.wait()

    def leave(self, wake: asyncio.Event) -> None:
        """Stop setting it."""
        self._wakes.discard(wake)

    def has(self, after: int) -> bool:
        """Whether everything after that number is kept."""
        return self.last - len(self._kept) <= after <= self.last

    def batch(self, after: int) -> tuple[bytes, int]:
        """A message with what came after that number, and the number it ends with; empty when there is nothing.

        It is put together once for all who stand at the same place.
        """
        found = self._batches.get(after)
        if found is None:
            found = self._together(after)
            if found[1] > after:
                if len(self._batches) >= BATCHES_KEPT:
                    del self._batches[next(iter(self._batches))]
                self._batches[after] = found
        return found

    def _together(self, after: int) -> tuple[bytes, int]:
        bodies: list[bytes] = []
        size, number = 0, after
        place = after - (self.last - len(self._kept))
        while number < self.last and size < BATCH_BYTES:
            entry = self._kept[place]
            place, number = place + 1, number + 1
            if entry.body is None:
                entry.body = packed(entry.event)
                if isinstance(entry.event, WITH_FACTS):
                    entry.body = b'{"facts":%s},%s' % (self._facts(), entry.body)
                if isinstance(entry.event, WatchChanged):
                    entry.body = b'{"whole":%s},%s' % (self._whole(), entry.body)
            bodies.append(entry.body)
            size += len(entry.body)
        return b'{"seq":%d,"events":[%s]}' % (number, b",".join(bodies)) if bodies else b"", number

    def close(self) -> None:
        """Leave the bus."""
        self._untap()
