"""The one door through which keys, pastes and clicks come in: one after another, and none for a screen it never saw.

Textual hands a key to the focused widget's queue and looks for its binding when the key has bubbled back, one queue
after another: in a burst the next key is on its way before the first has opened its dialog or moved the focus. Here a
key that is not text is carried out at once, before the next is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import events
from textual.widgets import Input

from midas_tui.input_gate import made_now
from midas_tui.modals.dialog import Dialog
from midas_tui.shell.prompt_frame import draw_focused

if TYPE_CHECKING:
    from textual.app import App
    from textual.screen import Screen

    from midas_tui.input_gate import InputGate
    from midas_tui.shell.messages import Messages

# Workers that prepare a question; escape ends them.
ASKING = ("act", "session")
# What Textual makes of an escape in front of a key it knows no sequence for.
_LOST_ESCAPE = "circumflex_accent"


class InputDoor:
    """Carries out keys, and lets in or drops the rest.

    Args:
        app: The application whose bindings are looked at.
        gate: Says whether an event may act.
        messages: Says when what a key asked for is refused.
    """

    def __init__(self, app: App[Any], gate: InputGate, messages: Messages) -> None:
        self._app = app
        self._gate = gate
        self._messages = messages
        self._heard = made_now()

    def idle_seconds(self) -> float:
        """Seconds since somebody typed, clicked or moved the mouse."""
        return made_now() - self._heard

    def pushed(self, top: Screen[Any]) -> None:
        """A screen was pushed; what is no page becomes readable with its first paint."""
        if top.is_modal:
            top.call_after_refresh(self._gate.painted, top)

    def give_up_asking(self) -> None:
        """Escape, while a question is being prepared: it is not asked."""
        for group in ASKING:
            self._app.workers.cancel_group(self._app, group)
        self._gate.asked()  # a worker that never began has no end of its own

    async def lets_in(self, event: events.Event) -> bool:
        """Whether Textual may have `event`: not one that was carried out here, nor one that was dropped."""
        if not isinstance(event, events.InputEvent | events.Paste):
            return True
        self._heard = made_now()
        if isinstance(event, events.Key) and not event.is_forwarded:
            before = self._messages.refusals
            left_over = await self._is_left_over(event)
            draw_focused(self._app)
            if self._messages.refusals != before:
                # What was typed behind it was meant for the dialog that did not open: a reason, a name, a y.
                self._gate.settle()
            return left_over
        if self._harmless(event) or self._gate.admits(event, self._app.screen, text=self._is_text(event)):
            return True
        event.stop()
        event.prevent_default()
        if isinstance(event, events.MouseDown):
            self._app._mouse_down_widget = None  # a release alone is no click
        return False

    @staticmethod
    def _harmless(event: events.Event) -> bool:
        """Moving, scrolling and letting go of the mouse never act by themselves."""
        kinds = (events.MouseMove, events.MouseScrollDown, events.MouseScrollUp)
        return isinstance(event, kinds)

    def _is_text(self, event: events.Event) -> bool:
        """Whether a key is a letter for the focused line. The palette is one: letters are text from the first there."""
        if isinstance(self._app.screen, Dialog) or not isinstance(event, events.Key):
            return False
        line = self._app.focused
        return isinstance(line, Input) and line.check_consume_key(event.key, event.character)

    async def _is_left_over(self, event: events.Key) -> bool:
        """Carry out a key; True when it is for the focused line to edit with."""
        app, key, screen, line = self._app, event.key, self._app.screen, self._app.focused
        if any(binding.action == "quit" for binding in app._bindings.key_to_bindings.get(key, ())):
            await app._check_bindings(key, priority=True)
        elif isinstance(screen, Dialog) and screen.one_key:
            screen.take_key(key)
        elif self._gate.asking and not screen.is_modal and key == "escape":
            self.give_up_asking()
        elif not self._gate.admits(event, screen, text=self._is_text(event)):
            app.log.debug("dropped", key)
        elif await app._check_bindings(key, priority=True):
            pass
        elif _takes(app.focused, event):
            return True
        else:
            if key == "escape":
                screen.clear_selection()
            if not await app._check_bindings(key) and ("+" in key or key == _LOST_ESCAPE):
                # On a busy machine an escape is read in one with the key behind it, and is no escape then: what was
                # typed with them was meant for what that key should have opened.
                self._gate.settle()
        if isinstance(line, Input) and app.focused is not line and not self._next_line(screen):
            self._gate.settle()  # a line was left: what was typed with that was text
        return False

    def _next_line(self, screen: Screen[Any]) -> bool:
        """Whether the key went on to another line of the same dialog: what follows is text for that one."""
        return self._app.screen is screen and isinstance(self._app.focused, Input)


def _takes(widget: object, event: events.Key) -> bool:
    """Whether a line takes a key, as text or to edit."""
    if not isinstance(widget, Input):
        return False
    return widget.check_consume_key(event.key, event.character) or event.key in widget._bindings.key_to_bindings
