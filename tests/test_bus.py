"""The bus: nothing that must not be lost is lost, and what may be replaced never grows."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas_engine.bus import EventBus
from midas_engine.events import BarProcessed, Event, FaultReported, FeedGapped

AT = datetime(2025, 1, 1, tzinfo=UTC)


def bar(features: int) -> BarProcessed:
    return BarProcessed(at=AT, bar_at=AT, regime="", features=features)


def fault(message: str) -> FaultReported:
    return FaultReported(at=AT, where="test", message=message)


def test_a_newer_state_takes_the_place_of_the_waiting_one() -> None:
    bus = EventBus()
    queue = bus.subscribe("screen")
    for event in (bar(1), fault("a"), bar(2), bar(3)):
        bus.publish(event)
    assert queue.take() == [bar(3), fault("a")]
    assert queue.stats.replaced == 2
    assert queue.stats.depth == 0
    bus.publish(bar(4))
    assert queue.take() == [bar(4)]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=60), st.integers(1, 7))
def test_lasting_events_come_all_and_in_order(published: list[tuple[bool, int]], read_every: int) -> None:
    bus = EventBus()
    queue = bus.subscribe("reader")
    seen: list[Event] = []
    for i, (lasting, number) in enumerate(published):
        bus.publish(fault(f"{i}:{number}") if lasting else bar(number))
        if i % read_every == 0:
            seen.extend(queue.take())
    seen.extend(queue.take())
    wanted = [f"{i}:{number}" for i, (lasting, number) in enumerate(published) if lasting]
    assert [e.message for e in seen if isinstance(e, FaultReported)] == wanted
    states = [number for lasting, number in published if not lasting]
    if states:
        assert [e for e in seen if isinstance(e, BarProcessed)][-1].features == states[-1]


def test_state_that_is_published_without_end_needs_one_place() -> None:
    bus = EventBus()
    queue = bus.subscribe("asleep")
    for i in range(10_000):
        bus.publish(bar(i))
    assert queue.stats.depth == queue.stats.peak == 1


def test_a_slow_reader_of_lasting_events_is_told_and_loses_none() -> None:
    bus = EventBus()
    queue = bus.subscribe("slow", bound=10)
    for i in range(25):
        bus.publish(fault(str(i)))
    assert queue.stats.over_bound == 15
    assert len(queue.take()) == 25


def test_only_wanted_types_are_queued() -> None:
    bus = EventBus()
    queue = bus.subscribe("bars", BarProcessed)
    bus.publish(fault("no"))
    bus.publish(bar(1))
    assert queue.take() == [bar(1)]


async def test_iteration_waits_and_ends_when_closed() -> None:
    bus = EventBus()
    queue = bus.subscribe("reader")

    async def read() -> list[Event]:
        return [event async for event in queue]

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    bus.publish(fault("first"))
    await asyncio.sleep(0)
    bus.publish(fault("second"))
    queue.close()
    assert await reader == [fault("first"), fault("second")]
    bus.publish(fault("late"))
    assert queue.take() == []
    assert bus.stats == ()


def test_taps_see_every_event_before_it_can_be_replaced() -> None:
    bus = EventBus()
    seen: list[Event] = []
    untap = bus.tap(seen.append)
    bus.publish(bar(1))
    bus.publish(bar(2))
    untap()
    bus.publish(bar(3))
    assert seen == [bar(1), bar(2)]
    assert bus.published == 3


async def test_another_thread_publishes_through_the_loop() -> None:
    bus = EventBus()
    bus.bind(asyncio.get_running_loop())
    queue = bus.subscribe("reader")
    gap = FeedGapped(at=AT, first_missing=AT, missing_bars=3)
    thread = threading.Thread(target=bus.publish_threadsafe, args=(gap,))
    thread.start()
    assert await queue.get() == gap
    thread.join()


def test_publishing_from_a_thread_needs_a_loop() -> None:
    with pytest.raises(RuntimeError, match="bind"):
        EventBus().publish_threadsafe(fault("x"))


def test_a_tap_that_fails_keeps_the_event_from_nobody_and_is_told_once() -> None:
    bus = EventBus()
    seen: list[Event] = []
    wrong = [True]

    def broken(event: Event) -> None:
        if wrong[0]:
            raise KeyError("the monitor has not begun")

    bus.tap(broken)
    bus.tap(seen.append)
    subscription = bus.subscribe("screen")
    for number in range(3):
        bus.publish(bar(number))
    told = [e for e in seen if isinstance(e, FaultReported)]
    assert len(told) == 1
    assert "broken failed on BarProcessed: KeyError" in told[0].message
    assert [e for e in seen if isinstance(e, BarProcessed)] == [bar(0), bar(1), bar(2)]
    assert subscription.take() == [bar(2), told[0]]
    wrong[0] = False
    bus.publish(bar(3))
    wrong[0] = True
    bus.publish(bar(4))
    assert sum(isinstance(e, FaultReported) for e in seen) == 2
