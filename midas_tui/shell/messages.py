"""The messages over a screen: few at once, newest last, one that is said again takes its own place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_tui.sanitise import clean
from midas_tui.toasts import TimedMessage

if TYPE_CHECKING:
    from textual.app import App

    from midas_engine.clock import Clock

# Messages at once; a terminal below TALL lines has one line for them.
MESSAGES = 2
TALL = 32


class Messages:
    """Says things over whatever screen is shown.

    Args:
        app: The application that draws them.
        clock: Measures how long they have stood there.

    Attributes:
        refusals: How many messages so far said that something is refused, has nothing to act on, or went wrong.
    """

    def __init__(self, app: App[Any], clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._said: dict[str, TimedMessage] = {}
        self.refusals = 0

    def refuse(self, text: str, *, key: str = "") -> None:
        """Say that there is nothing to do what a key asked for: what was typed behind that key is dropped too."""
        self.refusals += 1
        self.say(text, key=key)

    def say(self, text: str, *, bad: bool = False, key: str = "") -> None:
        """A toast; its text is data. It takes the place of an earlier one of the same `key` (its text, when empty)."""
        app, text = self._app, clean(text)
        self.refusals += bad
        note = TimedMessage(text, "error" if bad else "information", 8.0 if bad else 4.0, self._clock)
        self._said.pop(key or text, None)
        room = MESSAGES if app.size.height >= TALL else 1
        standing = [(k, n) for k, n in self._said.items() if n in app._notifications]
        self._said = dict([*standing, (key or text, note)][-room:])
        app._notifications.clear()
        for shown in self._said.values():
            app._notifications.add(shown)
        app._refresh_notifications()
