"""Help, searchable: what the words on the screen mean, and the keys, built from the live bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from midas_tui.modals.dialog import Dialog
from midas_tui.sanitise import plain
from midas_tui.widgets.columns import REST
from midas_tui.widgets.line_table import Cell, Column, LineTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from midas_tui.keys import LiveKey


class HelpModal(Dialog[None]):
    """Every key that can act here, and every word with its meaning in the numbers under the cursor.

    Args:
        keys: Live keys of the screen below.
        words: Words and what they mean; keys alone when empty.
        first: The word to begin at, words first; empty: keys first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark", "dismiss", "close", id="help.close"),
        Binding("slash", "search", "search", id="help.search"),
    ]
    DEFAULT_CSS = """
    HelpModal { align: center middle; }
    HelpModal > Vertical { width: 90; max-width: 100%; height: 90%; border: round $accent; background: $surface;
        border-title-color: $accent; border-subtitle-color: $muted; }
    HelpModal #meaning { height: auto; max-height: 8; padding: 0 1; color: $foreground; background: $panel; }
    HelpModal Input { border: none; height: 1; padding: 0 1; background: $panel; }
    """

    def __init__(self, keys: Sequence[LiveKey], words: Sequence[tuple[str, str]] = (), first: str = "") -> None:
        super().__init__()
        self._entries = list(keys)
        self._words = list(words)
        self._first = first

    def compose(self) -> ComposeResult:
        """A search line over a table."""
        with Vertical(id="keys-box") as box:
            box.border_subtitle = plain("/ search   esc close   ids can be remapped in midas.toml [terminal.keys]")
            yield Input(placeholder="search keys, actions and words", id="needle")
            yield LineTable(
                [
                    Column("key", "key or word", 17, right=False),
                    Column("what", "does", 24, right=False, grow=True, cut_end=True),
                    Column("scope", "pane", 12, 1, right=False),
                    Column("id", "id", 22, 2, right=False),
                ],
                empty="no key and no word matches",
                id="keys",
            )
            yield Static("", id="meaning", markup=False)

    def on_mount(self) -> None:
        """Show all."""
        self._fill("")
        table = self.query_one("#keys", LineTable)
        place = next((i for i, (word, _) in enumerate(self._words) if word == self._first), -1)
        table.move_to(f"word {place}" if self._first else "0")
        table.focus()

    def _fill(self, needle: str) -> None:
        rows: list[tuple[str, dict[str, Cell]]] = []
        for i, key in enumerate(self._entries):
            what = f"{key.what}: {key.refusal}" if key.refusal else key.what
            if needle.lower() not in f"{key.keys} {what} {key.scope} {key.id}".lower():
                continue
            role = "muted" if key.refusal else ""
            rows.append(
                (
                    str(i),
                    {
                        "key": (key.keys, role or "accent"),
                        "what": (what, role),
                        "scope": (key.scope, "muted"),
                        "id": (key.id, "muted"),
                    },
                )
            )
        words: list[tuple[str, dict[str, Cell]]] = [
            (f"word {i}", {"key": (word, "ok"), REST: (text, "")})
            for i, (word, text) in enumerate(self._words)
            if needle.lower() in f"{word} {text}".lower()
        ]
        rows = [*words, *rows] if self._first else [*rows, *words]
        self.query_one("#keys", LineTable).set_rows(rows)
        known = len(self._entries) + len(self._words)
        self.query_one("#keys-box").border_title = f"words and keys {len(rows)}/{known}"

    def on_line_table_highlighted(self, event: LineTable.Highlighted) -> None:
        """The whole meaning of the word under the cursor."""
        kind, _, place = (event.key or "").partition(" ")
        self.query_one("#meaning", Static).update(Content(self._words[int(place)][1] if kind == "word" else ""))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow while typing."""
        self._fill(event.value)

    def on_input_submitted(self) -> None:
        """Back to the list."""
        self.query_one("#keys", LineTable).focus()

    def action_search(self) -> None:
        """Type to narrow."""
        self.query_one("#needle", Input).focus()
