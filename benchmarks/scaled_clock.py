"""A clock that runs faster than the wall's: one for all processes that are given the same origin."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta


class ScaledClock:
    """Engine time that began at `start` when the wall stood at `origin`, and passes `factor` times as fast.

    Args:
        start: The first instant, UTC.
        factor: Engine seconds in a real one.
        origin: Wall time of the start, seconds since 1970; None: now.
    """

    def __init__(self, start: datetime, factor: float, origin: float | None = None) -> None:
        self.start, self.factor, self._before = start, factor, 0.0
        self.origin = time.time() if origin is None else origin
        self._shift = time.time() - time.monotonic()  # wall and monotonic time of one machine go together

    def now(self) -> datetime:
        """The engine's instant."""
        return self.start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Engine seconds since the start."""
        return self._before + (time.monotonic() + self._shift - self.origin) * self.factor

    def change(self, factor: float) -> None:
        """Pass so many times as fast from now on. Who sleeps already wakes by the old factor."""
        self._before, self.origin, self.factor = self.monotonic(), time.monotonic() + self._shift, factor

    async def sleep(self, seconds: float) -> None:
        """Wait for so much engine time."""
        await asyncio.sleep(seconds / self.factor)
