"""The `/` line of a pane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

if TYPE_CHECKING:
    from textual import events


class FilterLine(Input):
    """The `/` line of a pane: narrows while typing, enter keeps it, escape clears it. Closed, it takes nothing."""

    DEFAULT_CSS = """
    FilterLine { display: none; height: 1; border: none; padding: 0 1; background: $panel; }
    FilterLine.open { display: block; }
    """

    def __init__(self, id: str) -> None:
        super().__init__(placeholder="filter", id=id)
        self._entered = True

    def open(self, text: str) -> None:
        """Take letters from now on."""
        self._entered = False
        self.value = text
        self.add_class("open")

    def close(self) -> None:
        """Take none."""
        self._entered = True
        self.remove_class("open")

    def on_key(self, event: events.Key) -> None:
        """Letters behind enter in one burst are neither text nor commands."""
        if self._entered:
            event.stop()
            event.prevent_default()
        elif event.key == "enter":
            self._entered = True

    def on_paste(self, event: events.Paste) -> None:
        """No paste into a closed line."""
        if self._entered:
            event.stop()
            event.prevent_default()
