"""Timers of Textual that have no time left, or less than none, or ring where nobody is any more."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from textual.command import CommandList, CommandPalette
from textual.timer import Timer

if TYPE_CHECKING:
    from collections.abc import Callable

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


def keep_palette_whole() -> None:
    """Have no timer of the command palette ring once it is taken down; a second call changes nothing.

    Textual 8 asks for its list when half a second has passed without a match. Where the palette is closed in that
    moment the list is gone, and the program ends with an error.
    """
    if "set_timer" in CommandPalette.__dict__:
        return

    def set_timer(self: CommandPalette, delay: float, callback: Callable[[], object], **options: Any) -> Timer:
        def while_open() -> None:
            if self.query(CommandList):
                callback()

        return super(CommandPalette, self).set_timer(delay, while_open, **options)

    CommandPalette.set_timer = set_timer  # type: ignore[method-assign,assignment]
