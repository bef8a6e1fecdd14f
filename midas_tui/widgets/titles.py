"""Titles in the frames of panes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from midas_tui.sanitise import plain

if TYPE_CHECKING:
    from textual.widget import Widget

_SHOWN: WeakKeyDictionary[Widget, tuple[str, str]] = WeakKeyDictionary()


def entitle(widget: Widget, title: str, subtitle: str = "") -> None:
    """Give a pane its titles, as data. Setting a title redraws the whole pane, so only news is set."""
    if _SHOWN.get(widget) == (title, subtitle):
        return
    _SHOWN[widget] = (title, subtitle)
    widget.border_title = plain(title)
    widget.border_subtitle = plain(subtitle)


def give_lines(pane: Widget, lines: int | None, *, most: bool = False) -> None:
    """Give a pane a height, or (`most`) the most it may have; None for that of its style.

    Only a change lays the page out anew: Textual does it for every None.
    """
    rule = "max_height" if most else "height"
    now = getattr(pane.styles.inline, rule)
    if (None if now is None else now.value) != lines:
        setattr(pane.styles, rule, lines)
