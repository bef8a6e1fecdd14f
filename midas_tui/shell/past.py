"""Looking at a past moment: every pane shows it, until it is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from midas_tui.shell.engine_link import EngineLink
    from midas_tui.shell.navigator import Navigator
    from midas_tui.store import Store


class PastView:
    """Takes the whole screen to a moment and back.

    Args:
        store: What the screens show.
        link: The engine has the figures of the moment.
        navigator: Redraws.
    """

    def __init__(self, store: Store, link: EngineLink, navigator: Navigator) -> None:
        self._store, self._link, self._navigator = store, link, navigator
        self._answers = 0

    def again(self) -> None:
        """Take the moment's figures once more when a service has answered meanwhile."""
        past = self._store.past
        if past is not None and self._answers != self._store.answers:
            self.go(past.at)

    def go(self, at: datetime | None) -> None:
        """Show `at`; None: now."""
        runtime = self._link.runtime
        if runtime is None:
            return
        figures = runtime.queries.moment(at, self._store.pipeline) if at is not None else {}
        self._store.look_at(at, figures)
        self._answers = self._store.answers
        self._navigator.redraw()
