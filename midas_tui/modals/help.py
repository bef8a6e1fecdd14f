"""Help, built from the live bindings, searchable."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from midas_tui.modals.dialog import Dialog
from midas_tui.sanitise import plain
from midas_tui.widgets.line_table import Cell, Column, LineTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from midas_tui.keys import LiveKey


class HelpModal(Dialog[None]):
    """Every key that can act here: what it does, where it belongs, its id for remapping."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark", "dismiss", "close", id="help.close"),
        Binding("slash", "search", "search", id="help.search"),
    ]
    DEFAULT_CSS = """
    HelpModal { align: center middle; }
    HelpModal > Vertical { width: 90; max-width: 100%; height: 90%; border: round $accent; background: $surface;
        border-title-color: $accent; border-subtitle-color: $muted; }
    HelpModal Input { border: none; height: 1; padding: 0 1; background: $panel; }
    """

    def __init__(self, keys: Sequence[LiveKey]) -> None:
        super().__init__()
        self._entries = list(keys)

    def compose(self) -> ComposeResult:
        """A search line over a table."""
        with Vertical(id="keys-box") as box:
            box.border_subtitle = plain("/ search   esc close   ids can be remapped in midas.toml [terminal.keys]")
            yield Input(placeholder="search keys and actions", id="needle")
            yield LineTable(
                [
                    Column("key", "key", 12, right=False),
                    Column("what", "does", 24, right=False, grow=True, cut_end=True),
                    Column("scope", "pane", 12, 1, right=False),
                    Column("id", "id", 22, 2, right=False),
                ],
                empty="no key matches",
                id="keys",
            )

    def on_mount(self) -> None:
        """Show all."""
        self._fill("")
        self.query_one("#keys", LineTable).focus()

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
        self.query_one("#keys", LineTable).set_rows(rows)
        self.query_one("#keys-box").border_title = f"keys {len(rows)}/{len(self._entries)}"

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow while typing."""
        self._fill(event.value)

    def on_input_submitted(self) -> None:
        """Back to the list."""
        self.query_one("#keys", LineTable).focus()

    def action_search(self) -> None:
        """Type to narrow."""
        self.query_one("#needle", Input).focus()
