"""The engine as the terminal holds it: asked by everybody in one way, its answer said, its failure told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError
from midas_tui.faults import describe, fault_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import App

    from midas_tui.runtime_protocol import ReplayPort, RuntimePort
    from midas_tui.shell.messages import Messages
    from midas_tui.store import Store

DAY_SECONDS = 86_400


class EngineLink:
    """Holds the engine once it runs. A failure is said and kept in the log; it never ends the terminal.

    Args:
        app: The application; whether a browser shows it decides how a refusal is worded.
        store: Told what may have changed after a call.
        messages: Where answers and refusals are said.
    """

    def __init__(self, app: App[Any], store: Store, messages: Messages) -> None:
        self._app = app
        self._store = store
        self._messages = messages
        self.runtime: RuntimePort | None = None

    @property
    def replay(self) -> ReplayPort | None:
        """The recording's controls; None when the source is no recording."""
        return self.runtime.replay if self.runtime is not None else None

    def bars_per_day(self) -> float:
        """Bars of the data in a day."""
        return DAY_SECONDS / self.runtime.bar_seconds if self.runtime is not None else 24.0

    async def attempt(self, call: Callable[[RuntimePort], Awaitable[str]]) -> bool:
        """Call the engine; say what happened or why it did not."""
        if self.runtime is None:
            self._messages.say("still starting", bad=True)
            return False
        try:
            self._messages.say(await call(self.runtime))
        except Exception as error:
            self.failed(error)
            return False
        finally:
            self._store.mark("pipeline", "alerts", "session", "documents")
        return True

    def failed(self, error: Exception) -> None:
        """Say what went wrong; what nobody expected goes to the log too."""
        self._messages.say(describe(error), bad=True, key="refused")
        if not isinstance(error, MidasError) and self.runtime is not None:
            self._store.apply(fault_of(error, "terminal", self.runtime.now()))

    def refusal(self) -> str:
        """Why the pipeline cannot be changed from here; empty when it can."""
        runtime, troubles = self.runtime, self._store.troubles
        if runtime is None:
            return "still starting"
        if self._store.past is not None:
            return "refused: this is the past; esc comes back to now"
        if runtime.mode == "REPLAY":
            return "refused: this is a replay; start midas-tui without --replay to change the pipeline"
        if runtime.read_only:
            way = "serve it with --allow-actions" if self._app.is_web else "start midas-tui without --read-only"
            return f"refused: opened read-only; {way}, on a base that can be written"
        if troubles and troubles[0].badge == "BASE GONE":
            return f"refused: {troubles[0].what}"
        return ""

    def refused(self) -> bool:
        """Say why actions are refused, if they are."""
        why = self.refusal()
        if why:
            self._messages.say(why, bad=True, key="refused")
        return bool(why)

    async def reload_pipeline(self) -> None:
        """Read the pipeline again."""
        if self.runtime is not None:
            try:
                summary = await self.runtime.pipeline.summary()
                self._store.set_pipeline(summary)
                self._store.set_report(self.runtime.queries.watch_report(summary))
            except Exception as error:
                self.failed(error)
