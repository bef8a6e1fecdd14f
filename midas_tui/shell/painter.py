"""Draws what changed: the mode that is shown, and a word about new critical alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App

    from midas_engine.models import Alert
    from midas_tui.page import Page
    from midas_tui.shell.engine_link import EngineLink
    from midas_tui.shell.messages import Messages
    from midas_tui.shell.navigator import Navigator
    from midas_tui.store import Store
    from midas_tui.theme import Glyphs

# Faster than this a replay raises alerts faster than toasts can be read; the feed has them all.
TOAST_SPEED = 8.0


class Painter:
    """Told by the bridge which topics changed.

    Args:
        app: Batches what is drawn.
        store: The newest state.
        link: The pipeline is read again when it changed.
        messages: Where criticals are said.
        navigator: Knows the mode that is shown.
        glyphs: The sign of a critical alert.
        phase_changed: Told when the engine stands otherwise than before.
    """

    def __init__(
        self,
        app: App[Any],
        store: Store,
        link: EngineLink,
        messages: Messages,
        navigator: Navigator,
        glyphs: Glyphs,
        *,
        phase_changed: Callable[[], None],
    ) -> None:
        self._app = app
        self._store = store
        self._link = link
        self._messages = messages
        self._navigator = navigator
        self._glyphs = glyphs
        self._phase_changed = phase_changed

    def flush(self, topics: set[str]) -> None:
        """Redraw the mode that is shown."""
        if "pipeline" in topics:
            in_worker(self._app, self._reload_and_draw, "pipeline", exclusive=True)
        self._draw(self._navigator.page, topics)
        self._toast(self._store.take_criticals())
        for kill in self._store.take_kills()[-1:]:
            text = f"{self._glyphs.killed} {kill.feature} was killed by the detector: {kill.reason}"
            self._messages.say(text, bad=True, key="killed")
        if "phase" in topics:
            self._phase_changed()

    async def _reload_and_draw(self) -> None:
        await self._link.reload_pipeline()
        self._draw(self._navigator.page, {"pipeline"})

    def _draw(self, page: Page | None, topics: set[str]) -> None:
        if page is not None and page.drawable:
            with self._app.batch_update():
                page.apply(topics)

    def _toast(self, alerts: list[Alert]) -> None:
        replay = self._store.replay
        if not alerts or (replay is not None and replay.playing and replay.speed > TOAST_SPEED):
            return
        more = f" (+{len(alerts) - 1} more)" if len(alerts) > 1 else ""
        newest = self._store.alerts.get(alerts[0].id, alerts[0])
        text = f"{self._glyphs.critical} {newest.feature}: {newest.message}{more}"
        self._messages.say(text, bad=True, key="critical")
