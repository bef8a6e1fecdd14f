"""The answers to alerts: acknowledge, snooze, ask for a diagnosis."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from midas_tui.faults import describe
from midas_tui.formats import kind_words
from midas_tui.modals.choose import ChooseModal
from midas_tui.shell.history import Done
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import App

    from midas_tui.shell.engine_link import EngineLink
    from midas_tui.shell.history import History
    from midas_tui.shell.messages import Messages
    from midas_tui.store import Store

SNOOZES = (("0.25", "15 minutes"), ("1", "1 hour"), ("4", "4 hours"), ("24", "1 day"))


PAST = "this is the past: esc comes back to now"


class AlertAnswers:
    """Answers alerts and remembers it for `u`.

    Args:
        app: Where the question how long is asked.
        store: The alerts as they are known.
        link: The engine.
        messages: Where is said what was done.
        history: Remembers each answer.
    """

    def __init__(self, app: App[Any], store: Store, link: EngineLink, messages: Messages, history: History) -> None:
        self._app = app
        self._store = store
        self._link = link
        self._messages = messages
        self._history = history

    async def give(self, done: Done) -> bool:
        """Give one answer, or give it again."""
        if done.what == "snooze":
            return await self._link.attempt(lambda r: r.queries.snooze(done.alert_id, done.hours))
        return await self._link.attempt(lambda r: r.queries.acknowledge(done.alert_id))

    async def acknowledge(self, ids: Sequence[str]) -> None:
        """Acknowledge alerts; several at once are said once."""
        runtime = self._link.runtime
        if not ids or self._store.past is not None:
            self._messages.refuse("no open alert here" if self._store.past is None else PAST)
            return
        if runtime is None:
            self._messages.say("still starting", bad=True)
            return
        said, count = "", 0
        for alert_id in ids:
            try:
                await runtime.queries.acknowledge(alert_id)
            except Exception as error:
                said = describe(error)
                continue
            count += 1
            self._history.did(Done("acknowledge", alert_id))
        self._store.mark("alerts")
        if count:
            self._messages.say(f"acknowledged {self._called(ids[:count])}; u takes it back")
        if said:
            self._messages.say(said, bad=True)

    def _called(self, ids: Sequence[str]) -> str:
        """One alert by its name, several by their number."""
        alert = self._store.alerts.get(ids[0])
        return (
            f"{kind_words(alert.alert_type)} of {alert.feature}"
            if alert is not None and len(ids) == 1
            else f"{len(ids)} alerts"
        )

    def snooze(self, ids: Sequence[str]) -> None:
        """Ask how long, then snooze."""
        if not ids or self._store.past is not None:
            self._messages.refuse("no open alert here" if self._store.past is None else PAST)
            return
        if isinstance(self._app.screen, ChooseModal):
            return

        async def carry(hours: float) -> None:
            for alert_id in ids:
                done = Done("snooze", alert_id, hours)
                if await self.give(done):
                    self._history.did(done)

        def chosen(hours: str | None) -> None:
            if hours:
                in_worker(self._app, partial(carry, float(hours)), "answer", exclusive=False)

        self._app.push_screen(ChooseModal(f"snooze {self._called(ids)} for", SNOOZES), chosen)

    async def diagnose(self, feature: str | None) -> None:
        """Ask for a diagnosis."""
        if feature is None:
            self._messages.refuse("choose a feature first")
            return
        await self._link.attempt(lambda r: r.diagnosing.ask(feature))
