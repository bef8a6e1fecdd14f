"""Small dialogs that return one thing: a choice, a line of text, or nothing but reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, Static

from midas_tui.modals.dialog import Dialog
from midas_tui.sanitise import plain
from midas_tui.widgets.line_table import Column, LineTable
from midas_tui.widgets.scrolling import SCROLL_BINDINGS, ScrollKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.content import Content
    from textual.suggester import Suggester

# Choices seen at once; the others are scrolled to.
MOST_SHOWN = 16
_FRAME = """
    {0} {{ align: center middle; }}
    {0} > Vertical {{ width: 72; max-width: 95%; height: auto; max-height: 95%; border: round $accent;
        background: $surface; padding: 0 1; border-title-color: $accent; border-subtitle-color: $muted; }}
"""


class ChooseModal(Dialog[str]):
    """Choose one of a few; dismisses with its key, "" for none."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "none", "cancel", id="choose.cancel")]
    DEFAULT_CSS = _FRAME.format("ChooseModal") + "ChooseModal LineTable { height: auto; min-height: 3; }"

    def __init__(self, title: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title = title
        self._choices = list(choices)

    def compose(self) -> ComposeResult:
        """A list."""
        with Vertical() as box:
            box.border_title = plain(self._title)
            box.border_subtitle = "enter choose   esc cancel"
            table = LineTable([Column("text", "", 20, right=False, grow=True)], header=False, id="choices")
            table.styles.height = min(MOST_SHOWN, max(3, len(self._choices)))
            yield table

    def on_mount(self) -> None:
        """Fill and focus."""
        table = self.query_one("#choices", LineTable)
        table.set_rows([(key, {"text": (text, "")}) for key, text in self._choices])
        table.focus()

    def on_resize(self) -> None:
        """The list ends where the screen does, frame included."""
        self.query_one("#choices", LineTable).styles.max_height = max(3, min(MOST_SHOWN, self.size.height - 3))

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        """Chosen."""
        self.dismiss(event.key or "")

    def action_none(self) -> None:
        """Nothing."""
        self.dismiss("")


class LineModal(Dialog[str | None]):
    """Ask for one line of text; dismisses with it ("" when nothing was typed), None when given up."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "none", "cancel", id="line.cancel")]
    DEFAULT_CSS = _FRAME.format("LineModal") + "LineModal Static { height: auto; color: $muted; }"

    def __init__(
        self, title: str, placeholder: str, *, note: str = "", initial: str = "", words: Suggester | None = None
    ) -> None:
        super().__init__()
        self._words = words
        self._title, self._placeholder, self._note, self._initial = title, placeholder, note, initial

    def compose(self) -> ComposeResult:
        """A field."""
        with Vertical() as box:
            box.border_title = plain(self._title)
            box.border_subtitle = "enter accept   esc cancel"
            yield Input(
                value=self._initial, placeholder=self._placeholder, id="line", max_length=500, suggester=self._words
            )
            if self._note:
                yield Static(self._note, markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Accepted."""
        self.dismiss(event.value.strip())

    def action_none(self) -> None:
        """Nothing."""
        self.dismiss(None)


class TextScroll(ScrollKeys, VerticalScroll):
    """Scrolling text with the usual keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*SCROLL_BINDINGS]


class TextModal(Dialog[None]):
    """Read something."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,exclamation_mark", "dismiss", "close", id="text.close")
    ]
    DEFAULT_CSS = _FRAME.format("TextModal") + "TextModal TextScroll { height: auto; max-height: 30; }"

    def __init__(self, title: str, content: Content) -> None:
        super().__init__()
        self._title, self._content = title, content

    def compose(self) -> ComposeResult:
        """The text."""
        with Vertical() as box:
            box.border_title = plain(self._title)
            box.border_subtitle = "esc close"
            with TextScroll():
                yield Static(self._content, markup=False)
