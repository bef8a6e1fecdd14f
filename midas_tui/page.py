"""What a mode is to those who lead to it: it can be drawn, filtered, copied from and pointed at something."""

from __future__ import annotations

from midas_tui.modals.dialog import Guarded

LIVE_HINT = "live bars: --data live:binance"


class Page(Guarded):
    """A screen that is a mode; `screens.base.ModeScreen` is the one there is."""

    @property
    def drawable(self) -> bool:
        """Whether its panes are there."""
        raise NotImplementedError

    def apply(self, topics: set[str]) -> None:
        """Redraw what `topics` touch; {"all"} redraws everything."""
        raise NotImplementedError

    def refresh_all(self) -> None:
        """Draw everything."""
        if self.drawable:
            self.apply({"all"})

    def action_filter(self) -> None:
        """Open the filter line."""
        raise NotImplementedError

    def action_back(self) -> None:
        """Close, clear, or restore."""
        raise NotImplementedError

    def copied(self, *, as_json: bool) -> str:
        """Text for the clipboard; empty when there is nothing under the cursor."""
        raise NotImplementedError

    def follow_feature(self, name: str) -> None:
        """A feature was moved by a key: modes that show where it stands go there."""

    def show_feature(self, name: str) -> None:
        """Put the cursor on a feature, in the mode that has them all."""

    def show_session(self, session: str) -> None:
        """Put the cursor on a session, in the mode that has them."""

    def subject(self) -> str:
        """What is under the cursor: `feature:NAME`, `session:ID`, or nothing."""
        return ""

    async def open_path(self, path: str) -> None:
        """Open a document, in the mode that shows documents."""

    def explained(self) -> tuple[list[tuple[str, str]], str]:
        """Words of this mode and what they mean, in the numbers under the cursor; and the word to begin at."""
        return [], ""
