"""Discovery sessions from the terminal: ask for a goal and a researcher, start, cancel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from midas_tui.modals.ask import Answer, AskModal, Question
from midas_tui.modals.choose import ChooseModal, LineModal
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from textual.app import App

    from midas_tui.input_gate import InputGate
    from midas_tui.runtime_protocol import RuntimePort
    from midas_tui.shell.engine_link import EngineLink
    from midas_tui.shell.messages import Messages
    from midas_tui.store import Store

GOALS = (
    "short-term reversal after volume shocks",
    "funding carry on majors",
    "momentum that survives costs",
    "volatility and range signals",
)
RESEARCHERS = {
    "local": "local: grammar search, no key",
    "openai": "openai (OPENAI_API_KEY)",
    "anthropic": "anthropic (ANTHROPIC_API_KEY)",
}


class SessionActions:
    """Starts and cancels sessions.

    Args:
        app: Where the questions are asked.
        gate: The page takes nothing while a question is being prepared.
        store: Whether a session runs.
        link: The engine.
        messages: Where refusals are said.

    Attributes:
        example: The goal that enter alone takes.
    """

    def __init__(self, app: App[Any], gate: InputGate, store: Store, link: EngineLink, messages: Messages) -> None:
        self._app = app
        self._gate = gate
        self._store = store
        self._link = link
        self._messages = messages
        self.example = GOALS[0]

    def ask_start(self) -> None:
        """Ask for a goal and a researcher, then start a session."""
        runtime = self._link.runtime
        if runtime is None:
            self._messages.say("still starting", bad=True)
            return
        if self._gate.asking or isinstance(self._app.screen, LineModal | ChooseModal):
            return
        if runtime.read_only:
            self._messages.say("refused: opened read-only; a session writes candidates and learnings", bad=True)
            return
        if self._store.running_session is not None:
            self._messages.say("a session runs already: c cancels it", bad=True)
            return
        self._gate.ask()
        in_worker(self._app, partial(self._ask_and_start, runtime), "session", exclusive=True)

    async def _ask_and_start(self, runtime: RuntimePort) -> None:
        try:
            note = "enter alone takes the example; others: " + "; ".join(GOALS[1:])
            goal = await self._app.push_screen_wait(LineModal("research goal", self.example, note=note))
            if goal is None:
                return
            providers = list(runtime.sessions.providers())
            provider = providers[0] if providers else ""
            if len(providers) > 1:
                choices = [(p, RESEARCHERS.get(p, p)) for p in providers]
                provider = await self._app.push_screen_wait(ChooseModal("researcher", choices)) or ""
        finally:
            self._gate.asked()
        if provider:
            await self._link.attempt(lambda r: r.sessions.start(goal or self.example, provider))

    def ask_cancel(self) -> None:
        """Ask, then cancel the running session."""
        running = self._store.running_session
        if running is None:
            self._messages.say("no session runs: r starts one")
            return
        if isinstance(self._app.screen, AskModal):
            return

        def answered(answer: Answer | None) -> None:
            if answer is not None and answer.confirmed:
                cancel = partial(self._link.attempt, lambda r: r.sessions.cancel())
                in_worker(self._app, cancel, "cancel", exclusive=False)

        body = [(running.goal, ""), ("what was tried is kept, and a learning is written", "muted")]
        self._app.push_screen(AskModal(Question("cancel this session?", body, confirm="Cancel it")), answered)
