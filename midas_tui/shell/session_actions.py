"""Discovery sessions from the terminal: ask for one and start it, run it again, repeat, continue, cancel, remember."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from midas_tui.faults import describe
from midas_tui.modals.ask import Answer, AskModal, Question
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import App

    from midas_tui.input_gate import InputGate
    from midas_tui.runtime_protocol import RuntimePort
    from midas_tui.session_view import SessionView
    from midas_tui.shell.engine_link import EngineLink
    from midas_tui.shell.messages import Messages
    from midas_tui.store import Store

EXAMPLE = "short-term reversal after volume shocks"
RESUMABLE = ("cancelled", "interrupted")


class SessionActions:
    """Starts, repeats, continues and cancels sessions, and reads what is kept of earlier ones.

    Args:
        app: Where the questions are asked.
        gate: The page takes nothing while a question is being prepared.
        store: The sessions.
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
        self._remembered = False
        self._asked: set[str] = set()
        self.example = EXAMPLE

    # -- start -------------------------------------------------------------------------------------

    def refusal(self) -> str:
        """Why nothing that writes can be started; empty when it can."""
        runtime = self._link.runtime
        if runtime is None:
            return "still starting"
        if runtime.read_only:
            return "refused: opened read-only; a session writes candidates and learnings"
        return ""

    def ask_start(self, like: SessionView | None = None) -> None:
        """Ask for a session, then start it.

        Args:
            like: An earlier one, whose values stand in the fields.
        """
        why = self.refusal()
        if why:
            self._messages.say(why, bad=True, key="refused")
            return
        runtime = self._link.runtime
        if runtime is None or self._gate.asking or self._app.screen.is_modal:
            return
        self._gate.ask()
        in_worker(self._app, partial(self._ask_and_start, runtime, like), "session", exclusive=True)

    async def _ask_and_start(self, runtime: RuntimePort, like: SessionView | None) -> None:
        from midas_tui.modals.session_form import SessionForm

        try:
            try:
                fields = await runtime.sessions.form(original(like) if like is not None else "")
            except Exception as error:
                self._link.failed(error)
                return
            title = f"again: {like.goal}" if like is not None else "run a session"
            dialog = SessionForm(title, fields, self.example, check=runtime.sessions.check, copy=self._copy)
            answers = await self._app.push_screen_wait(dialog)
        finally:
            self._gate.asked()
        if answers is not None:
            await self._link.attempt(lambda r: r.sessions.begin(answers))

    def _copy(self, command: str) -> None:
        self._app.copy_to_clipboard(command)
        self._messages.say(f"copied {command[:60]}", key="copied")

    # -- what is done to one -----------------------------------------------------------------------

    def why_not_replay(self, view: SessionView | None) -> str:
        """Why a session cannot be repeated from its record; empty when it can."""
        if view is None:
            return "no session is chosen"
        if view.replayed:
            return "this is a repetition already"
        return "it still runs" if view.running or view.status == "runs elsewhere" else ""

    def why_not_resume(self, view: SessionView | None) -> str:
        """Why a session cannot go on; empty when it can."""
        if view is None:
            return "no session is chosen"
        if view.replayed or view.status not in RESUMABLE:
            return f"it is {view.status}: only what was cancelled or interrupted goes on"
        return self.refusal()

    def why_not_cancel(self, view: SessionView | None) -> str:
        """Why a session cannot be cancelled; empty when it can."""
        if view is None or not view.running:
            return "it does not run"
        return ""

    def replay(self, view: SessionView | None) -> None:
        """Repeat a session from its record."""
        if view is not None and not self._refused(self.why_not_replay(view)):
            self._attempt(lambda r: r.sessions.replay(view.session_id))

    def ask_resume(self, view: SessionView | None) -> None:
        """Ask, then go on with a session."""
        if view is None or self._refused(self.why_not_resume(view)):
            return
        body = [
            (view.goal, ""),
            ("it goes on where it was, with the goal, the budget and the data it had", "muted"),
            ("what it was charged stays charged; nothing is tried twice", "muted"),
            (f"midas discover --resume {view.session_id}", "muted"),
        ]
        question = Question("go on with this session?", body, confirm="Go on")
        self._ask(question, lambda r: r.sessions.resume(view.session_id))

    def ask_cancel(self, view: SessionView | None = None) -> None:
        """Ask, then cancel a session; without one that which began last."""
        view = view if view is not None and view.running else self._store.running_session
        if view is None:
            self._messages.refuse("no session runs: r starts one")
            return
        kept = (
            "nothing is lost: it only repeats" if view.replayed else "what was tried is kept, and a learning is written"
        )
        body = [(view.goal, ""), (kept, "muted")]
        question = Question("stop this session?", body, confirm="Stop it", refuse="Let it run")
        self._ask(question, lambda r: r.sessions.cancel(view.session_id))

    def _refused(self, why: str) -> bool:
        if why:
            self._messages.say(f"refused: {why.removeprefix('refused: ')}", bad=True, key="refused")
        return bool(why)

    def _ask(self, question: Question, call: Callable[[RuntimePort], Awaitable[str]]) -> None:
        if self._app.screen.is_modal:
            return

        def answered(answer: Answer | None) -> None:
            if answer is not None and answer.confirmed:
                self._attempt(call)

        self._app.push_screen(AskModal(question), answered)

    def _attempt(self, call: Callable[[RuntimePort], Awaitable[str]]) -> None:
        in_worker(self._app, partial(self._link.attempt, call), "sessions", exclusive=False)

    # -- earlier ones ------------------------------------------------------------------------------

    def remember(self) -> None:
        """Read the sessions of before, once."""
        runtime = self._link.runtime
        if runtime is not None and not self._remembered:
            self._remembered = True
            in_worker(self._app, partial(self._remember, runtime), "earlier", exclusive=True)

    async def _remember(self, runtime: RuntimePort) -> None:
        try:
            self._store.keep_earlier(await runtime.sessions.earlier())
        except Exception as error:
            self._store.earlier_awaited = f"the sessions of before are unknown: {describe(error)}"
            self._store.mark("session")
            self._link.failed(error)

    def recall(self, view: SessionView) -> None:
        """Read what is kept of an earlier session: its tree."""
        runtime = self._link.runtime
        if runtime is not None and view.earlier and not view.trials and view.session_id not in self._asked:
            self._asked.add(view.session_id)
            in_worker(self._app, partial(self._recall, runtime, view), "recall", exclusive=False)

    async def _recall(self, runtime: RuntimePort, view: SessionView) -> None:
        try:
            self._store.recall(view, await runtime.sessions.recall(view.session_id))
        except Exception as error:
            self._asked.discard(view.session_id)
            self._link.failed(error)


def original(view: SessionView) -> str:
    """The session that a repetition repeats; of any other itself."""
    return view.started.replays if view.started is not None and view.replayed else view.session_id
