"""The card of the tour, at the edge of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Static

if TYPE_CHECKING:
    from textual.content import Content

CARD_CELLS = 46
# On a narrower page the card would lie over a third of it; two or three lines of their own take a tenth.
LEAST_COLUMNS = 100


class TourCard(Static):
    """Lies over the right lower corner, or is a strip above the hints; nothing of it takes a key or a click."""

    DEFAULT_CSS = f"""
    TourCard {{ layer: tour; display: none; width: {CARD_CELLS}; height: auto; max-height: 12; padding: 0 1;
        background: $panel; color: $foreground; border: round $accent; position: absolute; }}
    TourCard.strip {{ layer: default; width: 1fr; max-height: 4; border: none; position: relative; }}
    """

    def __init__(self) -> None:
        super().__init__("", id="tour", markup=False)

    @property
    def strip(self) -> bool:
        """Whether the page is too narrow for a card."""
        return self.screen.size.width < LEAST_COLUMNS

    @property
    def lines(self) -> int:
        """Lines of the page that it has for itself."""
        return self.outer_size.height if self.display and self.has_class("strip") else 0

    def say(self, content: Content | None) -> None:
        """Show this; None hides the card."""
        self.display = content is not None
        if content is None:
            return
        self.set_class(self.strip, "strip")
        self.update(content)
        if self.strip:
            self.styles.offset = (0, 0)
            return
        wide, high = self.screen.size
        lines = sum(max(1, -(-len(line) // (CARD_CELLS - 5))) for line in content.plain.split("\n")) + 3
        self.styles.offset = (max(0, wide - CARD_CELLS - 1), max(2, high - lines - 2))
