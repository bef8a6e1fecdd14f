"""Which keys and clicks may act: what was typed before a dialog could be read answers nothing.

Three rules, for every screen alike, by the moment an event was made and not by the moment it is handled, so that a
burst in one write, a slow link and a busy loop make no difference:

- A dialog is deaf until `DEAF_SECONDS` after its first paint.
- What was typed before an overlay or the filter closed is not for the page that comes back.
- While a question is being prepared, or a row being opened, the page takes nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary, ref

from textual import events
from textual.message import Message

if TYPE_CHECKING:
    from textual.dom import DOMNode
    from textual.screen import Screen

    from midas_engine.clock import Clock

# A key meant for the pane below must not answer a dialog that has just opened.
DEAF_SECONDS = 0.3


def made_now() -> float:
    """The moment an event made now would carry."""
    return Message().time


class InputGate:
    """Says whether an event may act. Knows screens only as things that were painted.

    Args:
        clock: Measures how long a dialog has been shown.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._settled = -math.inf
        self._painted: WeakKeyDictionary[DOMNode, float] = WeakKeyDictionary()
        self._held: ref[DOMNode] | None = None
        self._asking = False

    @property
    def asking(self) -> bool:
        """Whether a question is being prepared or answered."""
        return self._asking

    def ask(self) -> None:
        """A question is being prepared: the page takes nothing until it is answered."""
        self._asking = True

    def asked(self) -> None:
        """The question is answered, or was not asked: what was typed meanwhile is not for the page."""
        self._asking = False
        self.settle()

    def settle(self) -> None:
        """Something closed: what was typed until now is not for what comes back."""
        self._settled = made_now()

    def painted(self, screen: DOMNode) -> None:
        """A dialog stands on the screen from now on; only the first time counts."""
        self._painted.setdefault(screen, self._clock.monotonic())

    def hold(self, screen: DOMNode) -> None:
        """`screen` takes nothing until `release`: what it was just told is still on its way."""
        self._held = ref(screen)

    def release(self) -> None:
        """What was held goes on; what was typed meanwhile is gone."""
        if self._held is not None:
            self._held = None
            self.settle()

    def stale(self, time: float) -> bool:
        """Whether an event made at `time` was meant for something that has closed since."""
        return time <= self._settled

    def held(self, screen: DOMNode) -> bool:
        """Whether `screen` waits for what it was told."""
        return self._held is not None and self._held() is screen

    def shown(self, dialog: DOMNode) -> bool:
        """Whether a dialog has been painted at all."""
        return dialog in self._painted

    def deaf(self, dialog: DOMNode, time: float | None = None) -> bool:
        """Whether `dialog` could not have been read yet when an event was made at `time` (None: now)."""
        painted = self._painted.get(dialog)
        if painted is None:
            return True
        age = 0.0 if time is None else max(0.0, made_now() - time)
        return self._clock.monotonic() - age < painted + DEAF_SECONDS

    def admits(self, event: events.Event, screen: Screen[Any], *, text: bool = False) -> bool:
        """Whether `event` may act on `screen`; `text`: it is a letter for a line that takes them from the first."""
        if self.stale(event.time) or self.held(screen):
            return False
        if not screen.is_modal:
            return not self.asking
        if isinstance(event, events.Key) and event.key == "escape":
            return self.shown(screen)
        return text or not self.deaf(screen, event.time)


@runtime_checkable
class Gated(Protocol):
    """An application with such a gate."""

    @property
    def gate(self) -> InputGate:
        """Its gate."""
        ...
