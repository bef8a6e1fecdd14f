"""The one door through which keys, pastes and clicks come in: one after another, and none for a screen it never saw.

Textual hands a key to the focused widget's queue and looks for its binding when the key has bubbled back, one queue
after another: in a burst the next key is on its way before the first has opened its dialog or moved the focus. Here a
key that is not text is carried out at once, before the next is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import App
from textual.widgets import Input

from midas_engine.clock import WallClock
from midas_tui.input_gate import InputGate
from midas_tui.modals.dialog import Dialog

if TYPE_CHECKING:
    from textual.await_complete import AwaitComplete
    from textual.screen import Screen

    from midas_engine.clock import Clock
    from midas_tui.widgets.line_table import LineTable


class GuardedApp(App[int]):
    """An application whose screens are told only what was meant for them.

    Args:
        clock: Measures how long a dialog has been shown; real time when None.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__()
        self.gate = InputGate(clock or WallClock())

    @property
    def asking(self) -> bool:
        """Whether a question is being prepared or answered."""
        return False

    def give_up_asking(self) -> None:
        """Escape, while a question is being prepared."""

    # -- screens come and go ---------------------------------------------------------------------

    def push_screen(self, screen: Any, *args: Any, **options: Any) -> Any:
        """Push a screen; what is no page becomes readable with its first paint."""
        found = super().push_screen(screen, *args, **options)
        top = self.screen
        if top.is_modal:
            top.call_after_refresh(self.gate.painted, top)
        return found

    def pop_screen(self) -> AwaitComplete:
        """Back to the screen below, which takes nothing that was typed until now."""
        self.gate.settle()
        return super().pop_screen()

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        """A row's opening has passed through its screen."""
        self.gate.release()

    # -- what comes in ---------------------------------------------------------------------------

    def admits(self, event: events.Event, screen: Screen[Any]) -> bool:
        """Whether `event` may act on `screen`."""
        if self.gate.stale(event.time) or self.gate.held(screen):
            return False
        if not screen.is_modal:
            return not self.asking
        if isinstance(event, events.Key):
            if event.key == "escape":
                return self.gate.shown(screen)
            # The palette is a line to type into: letters are text from the first, enter is not.
            if not isinstance(screen, Dialog) and _is_text(self.focused, event):
                return True
        return not self.gate.deaf(screen, event.time)

    async def on_event(self, event: events.Event) -> None:
        """Let an event in, or drop it."""
        if not isinstance(event, events.InputEvent | events.Paste):
            await super().on_event(event)
        elif isinstance(event, events.Key) and not event.is_forwarded:
            await self._take_key(event)
        elif self._harmless(event) or self.admits(event, self.screen):
            await super().on_event(event)
        else:
            event.stop()
            event.prevent_default()
            if isinstance(event, events.MouseDown):
                self._mouse_down_widget = None  # a release alone is no click

    @staticmethod
    def _harmless(event: events.Event) -> bool:
        """Moving, scrolling and letting go of the mouse never act by themselves."""
        kinds = (events.MouseMove, events.MouseScrollDown, events.MouseScrollUp)
        return isinstance(event, kinds)

    async def _take_key(self, event: events.Key) -> None:
        key, screen = event.key, self.screen
        if any(binding.action == "quit" for binding in self._bindings.key_to_bindings.get(key, ())):
            await self._check_bindings(key, priority=True)
        elif isinstance(screen, Dialog) and screen.one_key:
            screen.take_key(key)
        elif self.asking and not screen.is_modal and key == "escape":
            self.give_up_asking()
        elif not self.admits(event, screen):
            self.log.debug("dropped", key)
        elif await self._check_bindings(key, priority=True):
            pass
        elif _is_text(self.focused, event) or _edits(self.focused, key):
            await super().on_event(event)
        else:
            if key == "escape":
                screen.clear_selection()
            await self._check_bindings(key)


def _is_text(widget: object, event: events.Key) -> bool:
    return isinstance(widget, Input) and widget.check_consume_key(event.key, event.character)


def _edits(widget: object, key: str) -> bool:
    return isinstance(widget, Input) and key in widget._bindings.key_to_bindings
