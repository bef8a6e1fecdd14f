"""The window's title: what a tab of a terminal says while its program is not in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_tui.sanitise import clean

if TYPE_CHECKING:
    from textual.app import App

# xterm's: keep the title that was there, put it back. Terminals that know no such thing ignore it.
KEEP, BACK = "\x1b[22;2t", "\x1b[23;2t"


class Title:
    """Writes the title when it is news. A browser's tab is not ours to write.

    Args:
        app: Whose terminal it is.
    """

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._shown = ""

    def show(self, words: str) -> None:
        """Say these few words after the program's name."""
        text = f"midas: {clean(words, newlines=False)}" if words else "midas"
        if text == self._shown:
            return
        self._write(("" if self._shown else KEEP) + f"\x1b]2;{text}\x07")
        self._shown = text

    def restore(self) -> None:
        """Give the window its own title back."""
        if self._shown:
            self._write(BACK)

    def _write(self, text: str) -> None:
        app = self._app
        if app._driver is not None and not app.is_web and not app.is_headless:
            app._driver.write(text)
