"""Pipeline actions from the terminal: preview, ask, carry out, follow. One place for all modes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from midas_tui.modals.ask import Answer, AskModal
from midas_tui.shell.history import PIPELINE, Done
from midas_tui.shell.pipeline_question import LOOKED_AT
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import App

    from midas_tui.input_gate import InputGate
    from midas_tui.modals.ask import Question
    from midas_tui.runtime_protocol import Preview
    from midas_tui.shell.engine_link import EngineLink
    from midas_tui.shell.history import History
    from midas_tui.shell.messages import Messages
    from midas_tui.shell.navigator import Navigator
    from midas_tui.shell.pipeline_question import PipelineQuestions


class PipelineActions:
    """Carries out what is asked for; what it means is the engine's `commands`.

    Args:
        app: Where the question is asked.
        gate: The page takes nothing while a question is being prepared.
        link: The engine.
        messages: Where is said what is being looked at.
        navigator: Follows what was moved.
        questions: Words the dialog.
        history: Remembers each move.
    """

    def __init__(
        self,
        app: App[Any],
        gate: InputGate,
        link: EngineLink,
        messages: Messages,
        navigator: Navigator,
        questions: PipelineQuestions,
        history: History,
    ) -> None:
        self._app = app
        self._gate = gate
        self._link = link
        self._messages = messages
        self._navigator = navigator
        self._questions = questions
        self._history = history

    def act(self, action: str, names: Sequence[str]) -> None:
        """Ask about a pipeline action on one feature or several, then carry it out. A second key press is nothing."""
        if not names or self._gate.asking or isinstance(self._app.screen, AskModal) or self._link.refused():
            return
        self._gate.ask()
        in_worker(self._app, partial(self._ask_and_act, action, list(names)), "act", exclusive=True)

    async def _ask_and_act(self, action: str, names: list[str]) -> None:
        try:
            question = await self._question(action, names)
            answer = await self._app.push_screen_wait(AskModal(question)) if question is not None else Answer(False)
        finally:
            self._gate.asked()
        if not answer.confirmed:
            return
        before = self._navigator.places()
        for name in names:
            done = await self._link.attempt(lambda r, n=name: r.pipeline.act(action, n, answer.reason))  # type: ignore[misc]
            if done and action != "kill":
                self._history.did(Done(PIPELINE))
        await self._navigator.follow(before, names)

    async def _question(self, action: str, names: list[str]) -> Question | None:
        """What the dialog says; None when the action is not possible, which has been said then."""
        runtime = self._link.runtime
        if runtime is None:
            return None
        previews: list[Preview] = []
        for place, name in enumerate(names, 1):
            if action in LOOKED_AT:
                many = f" ({place} of {len(names)})" if len(names) > 1 else ""
                self._messages.say(f"looking at {name} on today's data{many}, esc gives up ...", key="looking")
            try:
                previews.append(await runtime.pipeline.preview(action, name))
            except Exception as error:
                self._link.failed(error)
                return None
        return self._questions.question(action, names, previews, runtime)
