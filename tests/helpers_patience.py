"""How long a test waits, in time that the machine gave: a busy one makes a test slow, never wrong.

A limit that a healthy run never nears is `PATIENCE_SECONDS`. A bound that is itself under test ("told within a second")
is measured by `ServedClock`; a bound on work, by `time.thread_time`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.pilot import Pilot

PATIENCE_SECONDS = 90.0
"""Well below pytest's own limit, so that a wait says what it waited for."""
_TICK = 0.01


class ServedClock:
    """Seconds in which a thread that sleeps was woken in time: a tick counts once, however late it came.

    On a machine at rest it is the wall's clock. What another process takes away does not count; what the code under
    test sleeps or waits does.
    """

    def __init__(self) -> None:
        self._ticks = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, daemon=True)

    def _count(self) -> None:
        while not self._over.wait(_TICK):
            self._ticks += 1

    @property
    def seconds(self) -> float:
        """Served since the start."""
        return self._ticks * _TICK

    def __enter__(self) -> ServedClock:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()


def let_pilots_wait() -> None:
    """Have Textual's pilot wait for an answer in served seconds; a second call changes nothing.

    Its own 30 s are the wall's: a terminal that was given half a second of them has failed nothing.
    """
    from textual.pilot import Pilot, WaitForScreenTimeout

    found = Pilot._wait_for_screen
    if found.__name__ == "served_wait":
        return

    async def served_wait(self: Pilot[Any], timeout: float = 30.0) -> bool:
        with ServedClock() as served:
            while True:
                try:
                    return await found(self, timeout)
                except WaitForScreenTimeout:
                    if served.seconds >= timeout / 2:
                        raise

    Pilot._wait_for_screen = served_wait  # type: ignore[method-assign]
