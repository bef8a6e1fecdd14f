"""The question every destructive or reversible action asks, and the ones it reuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from midas_tui.clipboard import copy_out
from midas_tui.modals.dialog import Dialog
from midas_tui.sanitise import clean, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

MOST_OF_SCREEN = 0.95
# Lines of a dialog that are not its body or its fields: the frame, the hint, the buttons.
BESIDE_BODY = 2 + 1 + 3


@dataclass(frozen=True, slots=True)
class Question:
    """What a dialog asks.

    Attributes:
        title: In the border.
        body: Lines of (text, role).
        confirm: Label of the button that acts.
        reason_label: Ask for a reason under this label; empty asks for none.
        reason_required: The reason may not be empty.
        typed_name: The user must type exactly this before the action is possible.
        danger: Final or loud: coloured.
        refuse: Label of the button that does nothing.
        command: What does the same on the command line; `c` copies it.
    """

    title: str
    body: Sequence[tuple[str, str]]
    confirm: str = "Yes"
    reason_label: str = ""
    reason_required: bool = False
    typed_name: str = ""
    danger: bool = False
    refuse: str = "Cancel"
    initial: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the user said."""

    confirmed: bool
    reason: str = ""
    extra: dict[str, str] = field(default_factory=dict)


class AskModal(Dialog[Answer]):
    """One generic dialog: Cancel has the focus, the body scrolls, the buttons are always visible."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="ask.cancel"),
        Binding("n", "cancel", "cancel", show=False, id="ask.no"),
        Binding("y", "confirm", "confirm", id="ask.yes"),
        Binding("c", "copy_command", "copy the command line", show=False, id="ask.copy"),
        Binding("left,h", "app.focus_previous", "previous", show=False, id="ask.left"),
        Binding("right,l", "app.focus_next", "next", show=False, id="ask.right"),
    ]
    DEFAULT_CSS = """
    AskModal { align: center middle; }
    AskModal > Vertical { width: 72; max-width: 95%; height: auto; border: round $accent;
        background: $surface; padding: 0 1; border-title-color: $accent; }
    AskModal.danger > Vertical { border: round $crit; border-title-color: $crit; }
    AskModal VerticalScroll { height: auto; }
    AskModal Input { margin: 1 0 0 0; border: none; height: 1; padding: 0 1; background: $panel; }
    AskModal Input:focus { background: $panel; border: none; }
    AskModal Horizontal { height: 3; align-horizontal: right; }
    AskModal Button { margin: 0 1; min-width: 12; }
    AskModal .hint { color: $warn; height: 1; }
    """

    def __init__(self, question: Question) -> None:
        super().__init__(classes="danger" if question.danger else "")
        self.question = question

    def compose(self) -> ComposeResult:
        """Body, inputs, buttons."""
        q = self.question
        with Vertical() as box:
            box.border_title = plain(q.title)
            box.border_subtitle = "c copies the command line" if q.command else ""
            with VerticalScroll(can_focus=False):
                styled = [(f"{clean(text)}\n", f"${role}" if role else "") for text, role in q.body]
                yield Static(Content.assemble(*styled), markup=False)
            if q.reason_label:
                yield Input(value=q.initial, placeholder=q.reason_label, id="reason", max_length=500)
            if q.typed_name:
                yield Input(placeholder=f"type {q.typed_name} to confirm", id="typed", max_length=200)
            what = " and ".join(w for w, asked in (("reason", q.reason_label), ("name", q.typed_name)) if asked)
            yield Static(f"tab goes to the {what}" if what else "", classes="hint", id="hint", markup=False)
            with Horizontal():
                yield Button(q.refuse, id="cancel")
                yield Button(q.confirm, id="confirm", variant="error" if q.danger else "primary")

    def on_mount(self) -> None:
        """Cancel has the focus; tab goes to what must be typed."""
        self.query_one("#confirm", Button).disabled = not self._ready()
        self.query_one("#cancel", Button).focus()

    def on_resize(self) -> None:
        """The body has what the screen leaves it: fields and buttons are always visible, and nothing else is empty."""
        fields = sum(2 for asked in (self.question.reason_label, self.question.typed_name) if asked)
        room = int(self.size.height * MOST_OF_SCREEN) - BESIDE_BODY - fields
        self.query_one(VerticalScroll).styles.max_height = max(1, room)

    def _ready(self) -> bool:
        q = self.question
        if q.typed_name and self.query_one("#typed", Input).value != q.typed_name:
            return False
        return not (q.reason_required and not self.query_one("#reason", Input).value.strip())

    def on_input_changed(self) -> None:
        """The button follows what is typed."""
        self.query_one("#confirm", Button).disabled = not self._ready()

    def on_input_submitted(self) -> None:
        """Enter in a field confirms once everything is there."""
        self.action_confirm()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A button."""
        if event.button.id == "confirm":
            self.action_confirm()
        else:
            self.action_cancel()

    def action_confirm(self) -> None:
        """Act, when everything asked for is there."""
        if self.deaf:
            return
        if not self._ready():
            name = self.question.typed_name
            typed = not name or self.query_one("#typed", Input).value == name
            self.query_one("#hint", Static).update(
                Content("a reason is required" if typed else "type the name exactly")
            )
            return
        reason = self.query_one("#reason", Input).value.strip() if self.question.reason_label else ""
        self.dismiss(Answer(True, reason))

    def action_copy_command(self) -> None:
        """What does the same on the command line."""
        if self.question.command:
            copy_out(self.app, self.question.command)
            self.query_one("#hint", Static).update(Content("copied the command line"))

    def action_cancel(self) -> None:
        """Do nothing."""
        self.dismiss(Answer(False))
