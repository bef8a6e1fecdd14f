"""When Python looks through everything for garbage: while nobody waits for the screen."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Self

from midas_engine.allocator import give_back, trim

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.clock import Clock

# Nobody waits for a frame when no key and no click came for so long.
QUIET_SECONDS = 5.0
EVERY_SECONDS = 300.0
# A minute later a moment between two thoughts will do; who has none is made to wait this seldom, a key in a thousand.
SHORT_PAUSE_SECONDS = 0.5
SHORT_FROM_SECONDS = 360.0
LATEST_SECONDS = 420.0
# What drawing and bars freed lies between what is in use: 40 MB a minute of keys, given back in 5 ms.
TRIM_SECONDS = 60.0
_LOOK_SECONDS = 1.0


class Sweeper:
    """Goes through all objects, which stops everything for 100 to 300 ms, at moments of its own choice.

    What lives then is kept out of Python's own collections. Left to themselves they come in the middle of a key and
    walk all that was imported and all that is watched; so they walk what is new, which takes 10 to 20 ms. They must
    stay: what Textual lays out and what was closed holds itself. Of what lived at the last sweep nothing that died
    since leaves before the next one, so that it is not put off for long: quarters of an hour cost 25 MB an hour.
    Free memory goes back once a minute. Leaving the `with` puts everything back.

    Args:
        idle: Seconds since the last key or click.
        clock: Counts the time between two sweeps.
    """

    def __init__(self, idle: Callable[[], float], clock: Clock) -> None:
        self._idle, self._clock = idle, clock
        self._swept: float | None = None
        self._began = self._trimmed = 0.0
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        give_back()
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None and not self._task.get_loop().is_closed():
            self._task.cancel()
        gc.unfreeze()

    def begin(self) -> None:
        """The engine runs, on this loop: from now on it sweeps."""
        gc.freeze()  # what was imported is no garbage: a first key need not wait for walking it
        self._began = self._trimmed = self._clock.monotonic()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="sweeper")

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(_LOOK_SECONDS)
            self.look()

    def look(self) -> bool:
        """Sweep when it is time and nobody waits, or when it is late; whether it did."""
        now = self._clock.monotonic()
        past = now - (self._began if self._swept is None else self._swept)
        # The first one comes with the first pause: it finds what starting left behind.
        due = past >= EVERY_SECONDS or self._swept is None
        pause = QUIET_SECONDS if past < SHORT_FROM_SECONDS else SHORT_PAUSE_SECONDS
        if not (due and self._idle() >= pause) and past < LATEST_SECONDS:
            if now - self._trimmed >= TRIM_SECONDS:
                self._trimmed = now
                self.trim()
            return False
        self._swept = self._trimmed = now
        self.sweep()
        self.trim()
        return True

    @staticmethod
    def sweep() -> None:
        """Collect everything, what was kept out too; keep out what lives."""
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    @staticmethod
    def trim() -> None:
        """Give free memory back."""
        trim()
