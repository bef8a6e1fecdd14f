"""The one event stream: a bus that never loses what must not be lost and never grows on what may be replaced."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.events.monitoring import BarProcessed, FeatureTicked
from midas_engine.events.program import FaultReported, ReplayMoved
from midas_engine.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from midas_engine.events import Event


_WITHOUT_WORDS = (BarProcessed, FeatureTicked, ReplayMoved)  # figures, many a second


@dataclass(frozen=True, slots=True)
class SubscriptionStats:
    """How a subscriber keeps up.

    Attributes:
        name: Who subscribed.
        depth: Events waiting now.
        peak: The most that ever waited.
        delivered: Events handed over so far.
        replaced: Latest-wins events that a newer one replaced before delivery.
        over_bound: Events queued beyond `bound`; they are kept, and this says that the subscriber is too slow.
    """

    name: str
    depth: int
    peak: int
    delivered: int
    replaced: int
    over_bound: int


class Subscription:
    """One subscriber's queue. Iterate it, or drain it with `take`.

    A latest-wins event replaces the one with the same key that still waits, in its place in the
    order. Other events are never dropped. Closing wakes the reader and ends its iteration after
    what was queued is read.
    """

    def __init__(self, bus: EventBus, name: str, wanted: tuple[type[Event], ...], bound: int) -> None:
        self._bus = bus
        self._wanted = wanted
        self._bound = bound
        self._order: deque[tuple[object, Event] | object] = deque()
        self._latest: dict[object, Event] = {}
        self._wake = asyncio.Event()
        self._closed = False
        self.name = name
        self._peak = self._delivered = self._replaced = self._over = 0

    def offer(self, event: Event) -> None:
        """Queue `event` if this subscriber wants it; never blocks."""
        if self._closed or (self._wanted and not isinstance(event, self._wanted)):
            return
        key = event.replace_key
        if key is None:
            self._order.append((None, event))
        else:
            slot = (type(event), key)
            if slot in self._latest:
                self._latest[slot] = event
                self._replaced += 1
                return
            self._latest[slot] = event
            self._order.append(slot)
        depth = len(self._order)
        self._peak = max(self._peak, depth)
        if depth > self._bound:
            self._over += 1
        self._wake.set()

    def take(self) -> list[Event]:
        """Everything that waits, oldest first, without waiting."""
        events: list[Event] = []
        while self._order:
            events.append(self._pop())
        self._wake.clear()
        return events

    def _pop(self) -> Event:
        entry = self._order.popleft()
        self._delivered += 1
        if isinstance(entry, tuple) and entry[0] is None:
            lasting: Event = entry[1]
            return lasting
        return self._latest.pop(entry)

    async def get(self) -> Event | None:
        """The next event; None once closed and read to the end."""
        while not self._order:
            if self._closed:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._pop()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Events until the subscription is closed."""
        while (event := await self.get()) is not None:
            yield event

    def close(self) -> None:
        """Stop receiving; what is queued can still be read."""
        self._closed = True
        self._bus.forget(self)
        self._wake.set()

    @property
    def stats(self) -> SubscriptionStats:
        """Depth and drops, for the status bar."""
        return SubscriptionStats(self.name, len(self._order), self._peak, self._delivered, self._replaced, self._over)


def _fault(tap: Callable[[Event], None], event: Event, error: Exception) -> FaultReported:
    name = getattr(tap, "__qualname__", type(tap).__name__)
    message = f"{name} failed on {type(event).__name__}: {type(error).__name__}: {error}"
    return FaultReported(
        at=event.at, where="bus", message=message, hint="please report it; Midas goes on", severity="critical"
    )


class EventBus:
    """Publishes typed events to every subscriber, in order.

    `publish` is synchronous and cheap, and belongs to the event loop's thread; from another
    thread use `publish_threadsafe`.
    """

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self._taps: list[Callable[[Event], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failing: set[Callable[[Event], None]] = set()
        self.published = 0

    def subscribe(self, name: str, *wanted: type[Event], bound: int = 10_000) -> Subscription:
        """A new queue for `name`; with `wanted` types, only those (and their subclasses)."""
        subscription = Subscription(self, name, wanted, bound)
        self._subscriptions.append(subscription)
        return subscription

    def tap(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` synchronously for every event (journal, recorder); returns the un-tap."""
        self._taps.append(callback)
        return lambda: self._taps.remove(callback)

    def publish(self, event: Event) -> None:
        """Hand `event` to taps and subscribers. A tap that fails keeps it from nobody, and is told once, as a fault."""
        self.published += 1
        if not isinstance(event, _WITHOUT_WORDS):
            event = redacted(event)  # before the journal, the screen and every other reader
        failed: list[FaultReported] = []
        for tap in tuple(self._taps):
            try:
                tap(event)
            except Exception as error:  # whoever published must not end by it
                if tap not in self._failing:
                    self._failing.add(tap)
                    failed.append(_fault(tap, event, error))
            else:
                self._failing.discard(tap)
        for subscription in tuple(self._subscriptions):
            subscription.offer(event)
        for fault in failed:
            self.publish(fault)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name the loop that `publish_threadsafe` posts to."""
        self._loop = loop

    def publish_threadsafe(self, event: Event) -> None:
        """Publish from any thread."""
        if self._loop is None:
            raise RuntimeError("the bus is not bound to an event loop yet: call bind() first")
        self._loop.call_soon_threadsafe(self.publish, event)

    def forget(self, subscription: Subscription) -> None:
        """Drop a closed subscription."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    @property
    def stats(self) -> tuple[SubscriptionStats, ...]:
        """Every subscriber's figures."""
        return tuple(s.stats for s in self._subscriptions)
