"""The movement keys every scrollable has, from day one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

if TYPE_CHECKING:
    from textual.widget import Widget

    Base = Widget
else:
    Base = object

SCROLL_BINDINGS = (
    Binding("j,down", "line(1)", "down", show=False, id="scroll.down"),
    Binding("k,up", "line(-1)", "up", show=False, id="scroll.up"),
    Binding("ctrl+d,pagedown", "half(1)", "half page down", show=False, id="scroll.half_down"),
    Binding("ctrl+u,pageup", "half(-1)", "half page up", show=False, id="scroll.half_up"),
    Binding("home", "end_of(-1)", "top", show=False, id="scroll.top"),
    Binding("G,end", "end_of(1)", "bottom", show=False, id="scroll.bottom"),
)


class TrueBar(Base):
    """A bar that shows where the text stands, also one that is drawn only after the first scrolling.

    Textual tells the bar its place only while the bar is shown: what overflows and is scrolled at once came out at the
    top or at its place, by which happened first.
    """

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """Give a bar that appears its place."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y


class ScrollKeys(TrueBar):
    """Actions behind `SCROLL_BINDINGS`."""

    def action_line(self, by: int) -> None:
        """Scroll by lines."""
        self.scroll_relative(y=by, animate=False)

    def action_half(self, by: int) -> None:
        """Scroll by half a page."""
        self.scroll_relative(y=by * max(1, self.size.height // 2), animate=False)

    def action_end_of(self, where: int) -> None:
        """Scroll to the top or the bottom."""
        if where < 0:
            self.scroll_home(animate=False)
        else:
            self.scroll_end(animate=False)


class ScrollPane(ScrollKeys, VerticalScroll):
    """A scrolling pane with the usual movement keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*SCROLL_BINDINGS]
