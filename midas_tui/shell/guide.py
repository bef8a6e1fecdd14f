"""Leads through the played case, where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_tui.tour import GOAL, Tour

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App
    from textual.content import Content

    from midas_tui.runtime_protocol import RuntimePort
    from midas_tui.shell.navigator import Navigator
    from midas_tui.store import Store
    from midas_tui.tour import PlayedPort

LOOK_SECONDS = 0.25


class Guide:
    """Holds the tour and looks whether its step is done.

    Args:
        app: Its clock calls.
        navigator: Draws the page again when a step was done.

    Attributes:
        tour: None where nothing is played.
    """

    def __init__(self, app: App[Any], navigator: Navigator) -> None:
        self._app, self._navigator = app, navigator
        self.tour: Tour | None = None

    def begin(
        self, store: Store, show: Callable[[str, Content], object], runtime: RuntimePort, played: PlayedPort
    ) -> str:
        """Begin the case; the goal that a session is asked for with."""
        self.tour = Tour(store, show, runtime, played)
        self._app.set_interval(LOOK_SECONDS, self.look)
        return GOAL

    def look(self) -> None:
        """See whether the step is done."""
        if self.tour is not None and self.tour.look():
            self._navigator.redraw()

    def card(self, *, brief: bool) -> Content | None:
        """What the card says, in a sentence or two when `brief`; None where nothing is played."""
        return self.tour.card(brief=brief) if self.tour is not None else None
