"""The start dialog: one field a line with its error beside it, and what could be reached on this data."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from midas_tui.faults import describe
from midas_tui.modals.dialog import Dialog
from midas_tui.sanitise import clean, plain
from midas_tui.widgets.scrolling import ScrollPane
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual.app import ComposeResult

    from midas_tui.sessions_protocol import OrderField, Reach

# After the last letter; a look at the data takes longer than one letter.
SETTLE_SECONDS = 0.4
# While the data is being loaded.
AGAIN_SECONDS = 1.0
WAITS = "looking at what could be found on this data"
Answers = dict[str, str]


class FieldLine(Input):
    """One field; with choices the arrow keys go through them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "turn(-1)", "previous", show=False, id="session.previous"),
        Binding("down", "turn(1)", "next", show=False, id="session.next"),
    ]

    def __init__(self, field: OrderField, placeholder: str = "") -> None:
        super().__init__(
            value=field.value, placeholder=placeholder, id=f"field-{field.name}", max_length=500, compact=True
        )
        self._choices = list(field.choices)

    def action_turn(self, by: int) -> None:
        """The next choice, or the next field."""
        if not self._choices:
            self.app.action_focus_next() if by > 0 else self.app.action_focus_previous()
            return
        place = self._choices.index(self.value) + by if self.value in self._choices else 0
        self.value = self._choices[place % len(self._choices)]
        self.cursor_position = len(self.value)


class SessionForm(Dialog[Answers | None]):
    """Ask for a session; dismisses with the answers, None when given up.

    Args:
        title: In the border.
        fields: What to ask for.
        example: The goal that an empty line takes.
        check: Says what is wrong with the answers and, asked for it, what they could reach.
        copy: Takes the command of the same effect.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "give_up", "cancel", id="session.give_up"),
        Binding("ctrl+y", "copy_command", "copy the command", id="session.copy_command"),
    ]
    DEFAULT_CSS = """
    SessionForm { align: center middle; }
    SessionForm > Vertical { width: 122; max-width: 100%; height: auto; max-height: 100%; border: round $accent;
        background: $surface; padding: 0 1; border-title-color: $accent; border-subtitle-color: $muted; }
    SessionForm #fields { height: auto; max-height: 14; }
    SessionForm .line { height: 1; }
    SessionForm .label { width: 10; color: $muted; }
    SessionForm Input { width: 2fr; height: 1; border: none; padding: 0 1; background: $panel; }
    SessionForm Input:focus { border: none; background: $panel; }
    SessionForm .side { width: 3fr; height: 1; padding: 0 0 0 1; color: $muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    SessionForm .side.bad { color: $crit; text-style: bold; }
    SessionForm #reach { height: auto; min-height: 2; max-height: 6; margin: 1 0 0 0; }
    SessionForm.-short #reach { margin: 0; max-height: 5; }
    SessionForm.-tall #reach { max-height: 12; }
    SessionForm #buttons { height: 1; align-horizontal: right; }
    SessionForm Button { margin: 0 1; }
    """

    def __init__(
        self,
        title: str,
        fields: Sequence[OrderField],
        example: str,
        *,
        check: Callable[[Answers, bool], Awaitable[Reach]],
        copy: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._title, self._fields, self._example = title, list(fields), example
        self._check, self._copy = check, copy
        self._checked: tuple[Answers, Reach] | None = None

    def compose(self) -> ComposeResult:
        """Fields, what could be reached, buttons."""
        with Vertical() as box:
            box.border_title = plain(self._title)
            box.border_subtitle = "enter start   up/down choose   ctrl+y copy the command   esc cancel"
            with VerticalScroll(id="fields", can_focus=False):
                for field in self._fields:
                    with Horizontal(classes="line"):
                        yield Static(field.label, classes="label", markup=False)
                        yield FieldLine(field, self._example if field.name == "goal" else "")
                        yield Static(Content(self._hint(field)), classes="side", id=f"side-{field.name}", markup=False)
            with ScrollPane(id="reach"):
                yield Static(WAITS, id="reached", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Start", id="start", variant="primary", compact=True)

    @staticmethod
    def _hint(field: OrderField) -> str:
        told = ", ".join(choice for choice in field.choices if choice)
        return clean(f"{told}; {field.hint}" if told else field.hint, newlines=False)

    def on_mount(self) -> None:
        """The goal has the focus; what could be reached is looked at once."""
        self.query_one("#field-goal", FieldLine).focus()
        self._look()

    @property
    def answers(self) -> Answers:
        """What stands in the fields; an empty goal is the example."""
        found = {f.name: self.query_one(f"#field-{f.name}", FieldLine).value.strip() for f in self._fields}
        found["goal"] = found["goal"] or self._example
        return found

    def on_input_changed(self, event: Input.Changed) -> None:
        """Look again once nothing is typed for a moment."""
        event.stop()
        self.set_timer(SETTLE_SECONDS, partial(self._settled, self.answers))

    def _settled(self, answers: Answers) -> None:
        if answers == self.answers and (self._checked is None or self._checked[0] != answers):
            self._look()

    def _look(self) -> None:
        in_worker(self, partial(self._ask, self.answers, reach=True), "reach", exclusive=True)

    async def _ask(self, answers: Answers, *, reach: bool) -> Reach | None:
        if self._checked is not None and self._checked[0] == answers:
            return self._checked[1]
        try:
            found = await self._check(answers, reach)
        except Exception as error:  # a service that went away, say; the form stays and says so
            if self.is_attached:
                self.query_one("#reached", Static).update(Content.styled(clean(describe(error)), "$crit"))
            return None
        if self.is_attached and answers == self.answers and (reach or found.errors):
            self._checked = None if found.again else (answers, found)
            self._show(found)
            if found.again:
                self.set_timer(AGAIN_SECONDS, partial(self._settled, answers))
        return found

    def _show(self, reach: Reach) -> None:
        for field in self._fields:
            side, wrong = self.query_one(f"#side-{field.name}", Static), reach.errors.get(field.name, "")
            side.set_class(bool(wrong), "bad")
            side.update(Content(clean(wrong, newlines=False) or self._hint(field)))
        if reach.errors:
            count = len(reach.errors)
            told = f"{count} field{'s' * (count != 1)} must be put right before this can start"
            self.query_one("#reached", Static).update(Content.styled(told, "$crit"))
        else:
            self.query_one("#reached", Static).update(Content(clean("\n".join(reach.lines))))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in a field starts."""
        event.stop()
        self.action_start()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A button."""
        if event.button.id == "start":
            self.action_start()
        else:
            self.action_give_up()

    def action_start(self) -> None:
        """Start, when nothing is wrong; else the first field that is wrong has the focus."""
        if not self.deaf:
            in_worker(self, self._start, "start", exclusive=True)

    async def _start(self) -> None:
        answers = self.answers
        found = await self._ask(answers, reach=False)  # nobody who knows what they want waits for the rest
        if found is None or not self.is_attached:
            return
        wrong = next((f.name for f in self._fields if f.name in found.errors), "")
        if wrong:
            self.query_one(f"#field-{wrong}", FieldLine).focus()
        elif not found.errors:
            self.dismiss(answers)

    def action_give_up(self) -> None:
        """Start nothing."""
        self.dismiss(None)

    def action_copy_command(self) -> None:
        """The command of the same effect, to the clipboard."""
        if self._checked is not None and self._checked[1].command:
            self._copy(self._checked[1].command)
