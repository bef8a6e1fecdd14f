"""The card of the tour, at the edge of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Static

if TYPE_CHECKING:
    from textual.content import Content

CARD_CELLS = 46


class TourCard(Static):
    """Lies over the right lower corner; nothing of it takes a key or a click."""

    DEFAULT_CSS = f"""
    TourCard {{ layer: tour; display: none; width: {CARD_CELLS}; height: auto; max-height: 12; padding: 0 1;
        background: $panel; color: $foreground; border: round $accent; position: absolute; }}
    """

    def __init__(self) -> None:
        super().__init__("", id="tour", markup=False)

    def say(self, content: Content | None) -> None:
        """Show this; None hides the card."""
        self.display = content is not None
        if content is None:
            return
        self.update(content)
        wide, high = self.screen.size
        lines = sum(max(1, -(-len(line) // (CARD_CELLS - 5))) for line in content.plain.split("\n")) + 3
        self.styles.offset = (max(0, wide - CARD_CELLS - 1), max(2, high - lines - 2))
