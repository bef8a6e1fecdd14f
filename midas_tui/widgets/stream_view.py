"""Streamed text that follows its tail, unless the reader scrolled up: then it never moves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from midas_tui.widgets.scrolling import SCROLL_BINDINGS, ScrollKeys

if TYPE_CHECKING:
    from collections.abc import Sequence


class StreamView(ScrollKeys, ScrollView, can_focus=True):
    """Lines of (text, role), wrapped at the width."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLL_BINDINGS,
        Binding("t", "follow", "follow tail", id="stream.follow"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"stream--{role}" for role in ("ok", "warn", "crit", "muted", "accent")}
    DEFAULT_CSS = """
    StreamView { height: 1fr; background: $background; overflow-x: hidden; scrollbar-size-vertical: 1; }
    StreamView > .stream--ok { color: $ok; }
    StreamView > .stream--warn { color: $warn; }
    StreamView > .stream--crit { color: $crit; }
    StreamView > .stream--muted { color: $muted; }
    StreamView > .stream--accent { color: $accent; text-style: bold; }
    """

    def __init__(self, *, empty: str, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._empty = empty
        self._source: Sequence[tuple[str, str]] = ()
        self._wrapped: list[tuple[str, str]] = []
        self._key: tuple[int, int, int, str] = (-1, 0, 0, "")
        self.following = True

    def show_lines(self, lines: Sequence[tuple[str, str]], dropped: int, owner: str) -> None:
        """Show these lines; `dropped` counts those cut from the front, `owner` names the stream."""
        width = max(10, self.size.width - 1)
        last = lines[-1][0] if lines else ""
        key = (width, len(lines) + dropped, len(last), owner)
        if key == self._key:
            return
        other = owner != self._key[3]
        self._key = key
        at_end = self.following or other
        before = len(self._wrapped)
        self._source = lines
        self._wrapped = [piece for line in lines for piece in _wrap(line, width)]
        self.virtual_size = Size(self.size.width, max(1, len(self._wrapped)))
        if at_end:
            self.following = True
            # The new height counts only after the layout: scrolling now would stop short of the end.
            self.call_after_refresh(self._to_end)
        elif dropped and len(self._wrapped) < before:
            self.scroll_to(y=max(0, self.scroll_offset.y), animate=False)
        self.refresh()

    def _to_end(self) -> None:
        if self.following:
            # Forced: until its bar is drawn a pane that has just overflowed takes no scrolling at all.
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True, force=True)

    @property
    def behind(self) -> int:
        """Lines below the visible part."""
        return max(0, len(self._wrapped) - self.scroll_offset.y - self.size.height)

    def on_resize(self) -> None:
        """Wrap anew."""
        if self._source:
            lines, owner = self._source, self._key[3]
            self._key = (-1, 0, 0, owner)
            self.show_lines(lines, 0, owner)

    def watch_scroll_y(self, old: float, new: float) -> None:
        """Reading up stops the following; reaching the end starts it again."""
        super().watch_scroll_y(old, new)
        self.following = new >= self.max_scroll_y - 0.5

    def action_follow(self) -> None:
        """Jump to the end and follow, or stop following."""
        self.following = not self.following
        self._to_end()

    def render_line(self, y: int) -> Strip:
        """One wrapped line."""
        width = self.size.width
        base = self.rich_style
        if not self._wrapped:
            text = self._empty if y == 0 else ""
            style = base + self.get_component_rich_style("stream--muted", partial=True)
            return Strip([Segment(f" {text}", style)]).adjust_cell_length(width, base)
        index = y + self.scroll_offset.y
        if index >= len(self._wrapped):
            return Strip.blank(width, base)
        text, role = self._wrapped[index]
        style = base + self.get_component_rich_style(f"stream--{role}", partial=True) if role else base
        if y == self.size.height - 1 and not self.following and self.behind > 0:
            pill = f" {self.behind + 1} lines below: t to follow "
            style = base + self.get_component_rich_style("stream--accent", partial=True)
            return Strip([Segment(pill, style)]).adjust_cell_length(width, base)
        return Strip([Segment(text, style)]).adjust_cell_length(width, base)


def _wrap(line: tuple[str, str], width: int) -> list[tuple[str, str]]:
    text, role = line
    if len(text) <= width:
        return [(text, role)]
    pieces: list[tuple[str, str]] = []
    while len(text) > width:
        cut = text.rfind(" ", 1, width + 1)
        cut = cut if cut > width // 3 else width
        pieces.append((text[:cut], role))
        text = text[cut:].lstrip(" ")
    return [*pieces, (text, role)]
