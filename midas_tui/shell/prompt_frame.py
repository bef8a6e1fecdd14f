"""What a key changed in the pane that took it is drawn with the key, ahead of the frame that is due for the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App


def draw_focused(app: App[Any]) -> bool:
    """Draw the lines that changed in the focused pane; whether there were any.

    Textual sends a changed widget through two queues to a frame that is made sixty times a second, and draws with it
    whatever else changed: beside a session that is a map, a stream and a table, six times the cost of a cursor's two
    rows. Where something moves (a scroll, a layout) that frame is needed, and nothing is done here.
    """
    screen, pane = app.screen, app.focused
    if pane is None or pane.screen is not screen or not screen.is_current or app._batch_count:
        return False
    if screen._layout_required or screen._scroll_required or screen._repaint_required or screen._layout_widgets:
        return False
    if not pane._repaint_required or pane._layout_required or pane._scroll_required or not pane._repaint_regions:
        return False
    waiting = screen._dirty_widgets - {pane}
    screen._compositor.update_widgets({pane})
    screen._compositor_refresh()
    screen._dirty_widgets |= waiting  # drawing forgets who else has something to show
    return True
