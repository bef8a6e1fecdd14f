"""The go-to overlay: `g`, then the letter that stands on a pane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Static

from midas_tui.modals.dialog import Dialog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.geometry import Region

TOP = "/top"


def letters(names: Sequence[str]) -> dict[str, str]:
    """A letter for each name, its first free one; `g` is kept for the top.

    Example:
        >>> letters(["features", "alerts", "archived"])
        {'f': 'features', 'a': 'alerts', 'r': 'archived'}
    """
    found: dict[str, str] = {}
    for name in names:
        spare = [c for c in name.lower() + "abcdefhijklmnopqrstuvwxyz" if c.isalpha() and c != "g" and c not in found]
        if spare:
            found[spare[0]] = name
    return found


class GoModal(Dialog[str]):
    """Shows a letter on every pane; dismisses with the pane's id, `TOP`, or "" for neither."""

    one_key = True
    DEFAULT_CSS = """
    GoModal { background: $background 30%; }
    GoModal Static { width: auto; height: 1; padding: 0 1; background: $accent; color: $background; text-style: bold; }
    """

    def __init__(self, panes: Mapping[str, Region]) -> None:
        super().__init__()
        self._panes = dict(panes)
        self._letters = letters(list(panes))
        self._chosen: str | None = None

    def compose(self) -> ComposeResult:
        """A label at the corner of each pane."""
        for letter, name in self._letters.items():
            label = Static(f"{letter} {name}", markup=False, name=name)
            label.styles.position = "absolute"
            label.styles.offset = (self._panes[name].x + 2, self._panes[name].y)
            yield label

    def take_key(self, key: str) -> None:
        """The first key decides, even one that comes before the letters are drawn; any other than a letter gives up."""
        if self._chosen is None:
            self._chosen = TOP if key == "g" else self._letters.get(key, "")
            if self.is_mounted:
                self.dismiss(self._chosen)

    def on_mount(self) -> None:
        """A key was faster than the letters."""
        if self._chosen is not None:
            self.call_after_refresh(self.dismiss, self._chosen)

    def on_click(self, event: events.Click) -> None:
        """A click on a letter goes there, anywhere else gives up."""
        name = event.widget.name if event.widget is not None else None
        self.dismiss(name or "")

    def action_none(self) -> None:
        """Stay."""
        self.dismiss("")
