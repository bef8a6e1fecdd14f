"""The go-to overlay: `g`, then the letter that stands on a pane."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Static

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


class GoModal(ModalScreen[str]):
    """Shows a letter on every pane; dismisses with the pane's id, `TOP`, or "" for neither."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "none", "cancel", id="go.cancel")]
    DEFAULT_CSS = """
    GoModal { background: $background 30%; }
    GoModal Static { width: auto; height: 1; padding: 0 1; background: $accent; color: $background; text-style: bold; }
    """

    def __init__(self, panes: Mapping[str, Region]) -> None:
        super().__init__()
        self._panes = dict(panes)
        self._letters = letters(list(panes))

    def compose(self) -> ComposeResult:
        """A label at the corner of each pane."""
        for letter, name in self._letters.items():
            label = Static(f"{letter} {name}", markup=False)
            label.styles.position = "absolute"
            label.styles.offset = (self._panes[name].x + 2, self._panes[name].y)
            yield label

    def on_key(self, event: events.Key) -> None:
        """The letter decides; any other key gives up."""
        if event.key == "escape":
            return
        event.stop()
        self.dismiss(TOP if event.key == "g" else self._letters.get(event.key, ""))

    def action_none(self) -> None:
        """Stay."""
        self.dismiss("")
