"""Clocks: time that moves only when told, and wakes who waits for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from midas_engine.clock import ManualClock, WallClock

START = datetime(2026, 1, 1, tzinfo=UTC)


async def test_sleepers_wake_in_the_order_of_their_moments() -> None:
    clock = ManualClock(START)
    woken: list[float] = []

    async def wait(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(wait(s)) for s in (30.0, 10.0, 20.0)]
    await asyncio.sleep(0)
    clock.advance(9.9)
    await asyncio.sleep(0)
    assert woken == []
    clock.advance(15)
    await asyncio.sleep(0)
    assert woken == [10.0, 20.0]
    assert clock.waiting == 1
    clock.advance(100)
    await asyncio.gather(*tasks)
    assert woken == [10.0, 20.0, 30.0]


async def test_a_cancelled_sleeper_does_not_stop_the_clock() -> None:
    clock = ManualClock(START)
    gone = asyncio.create_task(clock.sleep(5))
    stays = asyncio.create_task(clock.sleep(5))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    clock.advance(5)
    await stays
    assert gone.cancelled()


async def test_no_time_is_no_wait() -> None:
    await ManualClock(START).sleep(0)
    await ManualClock(START).sleep(-1)


def test_time_zones_are_brought_to_utc_and_naive_starts_refused() -> None:
    there = timezone(timedelta(hours=2))
    assert ManualClock(datetime(2026, 1, 1, 2, tzinfo=there)).now() == START
    with pytest.raises(ValueError, match="timezone-aware"):
        ManualClock(datetime(2026, 1, 1))


def test_a_replay_may_be_set_back_but_never_advanced_back() -> None:
    clock = ManualClock(START)
    clock.set(START + timedelta(hours=3))
    assert clock.monotonic() == 3 * 3600
    clock.set(START)
    assert clock.now() == START
    with pytest.raises(ValueError, match="never goes back"):
        clock.advance(-1)


async def test_the_wall_clock_is_aware_and_monotonic() -> None:
    clock = WallClock()
    before = clock.monotonic()
    assert clock.now().utcoffset() == timedelta(0)
    await clock.sleep(0)
    assert clock.monotonic() >= before
