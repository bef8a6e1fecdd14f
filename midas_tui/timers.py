"""Timers of Textual that have no time left, or less than none."""

from __future__ import annotations

from functools import wraps
from typing import Any

from textual.timer import Timer

# A frame is a hundredth of a second: nobody sees what comes sooner.
LEAST_SECONDS = 1e-3


def always_ring() -> None:
    """Have every timer ring, whatever is left of its time; a second call changes nothing.

    Textual 8 divides by the time to find out which rings it missed. At 0 the timer ends with an error that nobody sees
    and never rings: a screen that waits for it stays as it is. Below 0 (a message whose time ran out between two
    looks at the clock) it counts without an end and without letting anything else run: the program stands.
    """
    found = Timer.__init__
    if hasattr(found, "__wrapped__"):
        return

    @wraps(found)
    def with_time(self: Timer, target: Any, interval: float, **options: Any) -> None:
        found(self, target, max(interval, LEAST_SECONDS), **options)

    Timer.__init__ = with_time  # type: ignore[method-assign,assignment]
