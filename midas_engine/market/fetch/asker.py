"""`Asker`: one request until it is answered: faults by name, pauses that grow, and the venue's own wish to be left."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, TypeVar

from midas_engine.market.fetch.faults import FaultCounts, VenueFaultError, as_fault
from midas_engine.market.venues.client import REQUEST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from midas_engine.clock import Clock

T = TypeVar("T")
BACK_OFF = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 60.0)
# What no waiting mends is asked for only twice: a name, or a request the venue does not take.
_ATTEMPTS = {"unknown": 2, "said": 4}
_MOST_ATTEMPTS = len(BACK_OFF) + 1
_MOST_THROTTLED = 40
# Longer than this is not waited for: whoever runs it should know, and come back.
MOST_WAIT_SECONDS = 900.0
_JITTER = 0.2


class Asker:
    """Asks a venue, one pause for all who ask.

    Args:
        name: The venue.
        clock: For the pauses.
        tell: Hears of each fault, in words.
        rng: For the jitter of pauses.

    Attributes:
        counts: What came beside sound answers.
    """

    def __init__(self, name: str, clock: Clock, tell: Callable[[str], None], rng: random.Random | None = None) -> None:
        self.name, self.counts = name, FaultCounts()
        self._clock, self._tell, self._rng = clock, tell, rng or random.Random()
        self._resume_at = clock.monotonic()

    async def ask(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """The answer to `call`, however many attempts it takes within reason.

        Raises:
            VenueFaultError: It refuses, wants to be left alone for long, or failed too often in a row.
        """
        tried = throttled = 0
        while True:
            await self._wait()
            fault = await self._attempt(what, call)
            if not isinstance(fault, _Failed):
                return fault
            failure = fault.error
            self.counts.faults[failure.kind] += 1
            self._tell(failure.message)
            if failure.kind == "refused" or (failure.retry_after or 0.0) > MOST_WAIT_SECONDS:
                raise failure
            tried, throttled = tried + (failure.kind != "throttled"), throttled + (failure.kind == "throttled")
            if tried >= _ATTEMPTS.get(failure.kind, _MOST_ATTEMPTS) or throttled >= _MOST_THROTTLED:
                raise failure
            pause = BACK_OFF[min(max(tried, throttled) - 1, len(BACK_OFF) - 1)]
            pause *= 1 + _JITTER * (2 * self._rng.random() - 1)
            # a pause that the venue asks for is kept to the end, and by everybody
            self._resume_at = max(self._resume_at, self._clock.monotonic() + max(pause, failure.retry_after or 0.0))

    async def _attempt(self, what: str, call: Callable[[], Awaitable[T]]) -> T | _Failed:
        try:
            async with asyncio.timeout(REQUEST_SECONDS + 10.0):
                return await call()
        except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return _Failed(VenueFaultError(self.name, "cut", what, "it cancelled itself"))
        except Exception as error:
            return _Failed(error if isinstance(error, VenueFaultError) else as_fault(self.name, what, error))

    async def pause(self, seconds: float) -> None:
        """Let some time pass before the next request."""
        self._resume_at = max(self._resume_at, self._clock.monotonic() + seconds)
        await self._wait()

    async def _wait(self) -> None:
        while (left := self._resume_at - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)


class _Failed:
    """A failure in the place of an answer."""

    def __init__(self, error: VenueFaultError) -> None:
        self.error = error
