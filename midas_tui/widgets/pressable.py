"""Words of a line that act when they are clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

Part = tuple[str, str, str]
"""Text, role, and what a click on it means ("" for nothing)."""


class Pressable(Widget):
    """One or more lines whose parts can be pressed.

    Messages:
        Pressed: A part was clicked; `name` is what it stands for.
    """

    class Pressed(Message):
        """A click on a part that stands for something."""

        def __init__(self, line: Pressable, name: str) -> None:
            super().__init__()
            self.line = line
            self.name = name

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._places: list[tuple[int, int, str]] = []

    def place(self, parts: Sequence[Part]) -> None:
        """Remember where each part stands; every character of it is one cell."""
        self._places, start = [], 0
        for text, _, name in parts:
            if name:
                self._places.append((start, start + len(text), name))
            start += len(text)

    def name_at(self, x: int) -> str:
        """What stands at cell `x`; "" for nothing that acts."""
        return next((name for start, end, name in self._places if start <= x < end), "")

    def on_click(self, event: events.Click) -> None:
        """Tell what was pressed."""
        place = event.get_content_offset(self)
        name = self.name_at(place.x) if place is not None else ""
        if name:
            self.post_message(self.Pressed(self, name))
