"""What every dialog is: dimmed page behind it, one answer only, deaf until it can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from textual import events
from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen

if TYPE_CHECKING:
    from midas_tui.input_gate import Gated, InputGate

Result = TypeVar("Result")
_ACTING = (events.MouseDown, events.MouseUp, events.Click)


class Guarded(Screen[Any]):
    """A screen whose clicks pass the application's gate, whoever posts them."""

    @property
    def gate(self) -> InputGate:
        """Says which keys and clicks may act."""
        return cast("Gated", self.app).gate

    def _forward_event(self, event: events.Event) -> None:
        if isinstance(event, _ACTING) and not event.is_forwarded and not self.gate.admits(event, self):
            return
        super()._forward_event(event)


class Dialog(ModalScreen[Result], Guarded, Generic[Result]):
    """The base of all dialogs and overlays. Dismissing twice is dismissing once."""

    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]
    # An overlay that the first key closes, whatever it is.
    one_key = False

    def __init__(self, *, classes: str = "") -> None:
        super().__init__(classes=classes)
        self._answered = False

    @property
    def deaf(self) -> bool:
        """Whether nobody can have read it yet."""
        return self.gate.deaf(self)

    def take_key(self, key: str) -> None:
        """The key of a one-key overlay."""

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close with `result`; nothing when it was closed before, or something stands above it."""
        if self._answered or self.app.screen is not self:
            return AwaitComplete()
        self._answered = True
        return super().dismiss(result)
