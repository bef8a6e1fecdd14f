"""Full collections come while nobody waits: in pauses, late at the latest, and never between two keys."""

from __future__ import annotations

import gc
import weakref
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from midas_engine.clock import ManualClock
from midas_tui.sweeper import (
    EVERY_SECONDS,
    LATEST_SECONDS,
    QUIET_SECONDS,
    SHORT_FROM_SECONDS,
    SHORT_PAUSE_SECONDS,
    TRIM_SECONDS,
    Sweeper,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class Desk:
    """A sweeper, its clock, and somebody at the keys."""

    def __init__(self) -> None:
        self.idle = 0.0
        self.clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.sweeper = Sweeper(lambda: self.idle, self.clock)
        self.swept = self.trimmed = 0
        self.sweeper.sweep = self._swept  # type: ignore[method-assign]
        self.sweeper.trim = self._trimmed  # type: ignore[method-assign]

    def _swept(self) -> None:
        self.swept += 1

    def _trimmed(self) -> None:
        self.trimmed += 1

    def wait(self, seconds: float, idle: float) -> bool:
        """Time passes; whether the sweeper then swept."""
        self.clock.advance(seconds)
        self.idle = idle
        return self.sweeper.look()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    with desk.sweeper:
        yield desk


def test_no_sweep_while_somebody_types_and_the_first_comes_with_the_first_pause(desk: Desk) -> None:
    assert not any(desk.wait(1.0, QUIET_SECONDS / 2) for _ in range(int(EVERY_SECONDS)))
    assert desk.wait(1.0, QUIET_SECONDS)


def test_the_next_sweep_waits_for_its_time_and_for_a_pause(desk: Desk) -> None:
    assert desk.wait(1.0, QUIET_SECONDS)
    assert not desk.wait(EVERY_SECONDS - 1.0, EVERY_SECONDS)
    assert not desk.wait(2.0, 0.1)
    assert desk.wait(1.0, QUIET_SECONDS)
    assert desk.swept == 2


def test_who_never_pauses_waits_once_in_a_long_time(desk: Desk) -> None:
    swept = [desk.wait(20.0, 0.1) for _ in range(int(2 * LATEST_SECONDS / 20.0))]
    assert swept.count(True) == 2


def test_a_sweep_that_is_late_takes_the_first_moment_between_two_keys(desk: Desk) -> None:
    assert not desk.wait(SHORT_FROM_SECONDS - 1.0, QUIET_SECONDS / 2)
    assert not desk.wait(1.0, SHORT_PAUSE_SECONDS / 2)
    assert desk.wait(1.0, SHORT_PAUSE_SECONDS)
    assert not desk.wait(EVERY_SECONDS - 1.0, QUIET_SECONDS)


def test_free_memory_goes_back_every_minute_whoever_types(desk: Desk) -> None:
    assert not any(desk.wait(1.0, 0.1) for _ in range(int(5 * TRIM_SECONDS)))
    assert desk.trimmed == 5
    assert desk.wait(1.0, QUIET_SECONDS)
    assert desk.trimmed == 6


async def test_what_lives_is_walked_by_sweeps_alone_and_a_sweep_finds_what_died_since() -> None:
    class Cycle:
        pass

    before = gc.get_freeze_count()
    with Sweeper(lambda: 0.0, ManualClock(datetime(2026, 1, 1, tzinfo=UTC))) as sweeper:
        cycle = Cycle()
        cycle.itself = cycle  # type: ignore[attr-defined]
        kept = weakref.ref(cycle)
        sweeper.begin()
        assert gc.get_freeze_count() > 10_000
        assert len(gc.get_objects()) < 10_000  # what a collection of Python's own walks
        del cycle
        gc.collect()
        assert kept() is not None
        Sweeper.sweep()
        assert kept() is None
        assert len(gc.get_objects()) < 10_000
    assert gc.get_freeze_count() == before
