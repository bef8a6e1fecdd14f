"""Everything live at once, from any mode: killed for good, or set aside; confirmed by typing it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from midas_tui.modals.ask import Answer, AskModal, Question
from midas_tui.shell.history import PIPELINE, Done
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import App

    from midas_tui.input_gate import InputGate
    from midas_tui.runtime_protocol import AllDone, RuntimePort
    from midas_tui.shell.engine_link import EngineLink
    from midas_tui.shell.history import History
    from midas_tui.shell.messages import Messages
    from midas_tui.shell.navigator import Navigator

_DONE = {"kill": "killed", "pause": "paused"}
_NAMED = 8


class Everything:
    """Carries out `kill all` and `pause all`; what they mean is the engine's `commands`.

    Args:
        app: Where the question is asked.
        gate: The page takes nothing while the question is being prepared.
        link: The engine.
        messages: Where is said what was done.
        navigator: Follows what was moved.
        history: Remembers each pause, so that it can be undone.
    """

    def __init__(
        self,
        app: App[Any],
        gate: InputGate,
        link: EngineLink,
        messages: Messages,
        navigator: Navigator,
        history: History,
    ) -> None:
        self._app = app
        self._gate = gate
        self._link = link
        self._messages = messages
        self._navigator = navigator
        self._history = history

    def act(self, action: str) -> None:
        """Ask, then carry `action` (kill or pause) out on everything live. A second key press is nothing."""
        if self._gate.asking or isinstance(self._app.screen, AskModal) or self._link.refused():
            return
        self._gate.ask()
        in_worker(self._app, partial(self._ask_and_act, action), "act", exclusive=True)

    async def _ask_and_act(self, action: str) -> None:
        runtime = self._link.runtime
        answer = Answer(False)
        try:
            names = await self._live(runtime, action) if runtime is not None else ()
            if names:
                answer = await self._app.push_screen_wait(AskModal(_question(action, names)))
        finally:
            self._gate.asked()
        if not answer.confirmed:
            return
        before = self._navigator.places()
        done: list[AllDone] = []

        async def carry_out(asked: RuntimePort) -> str:
            pipeline = asked.pipeline
            done.append(await (pipeline.kill_all if action == "kill" else pipeline.pause_all)(answer.reason))
            return _said(action, done[0])

        if not await self._link.attempt(carry_out):
            return
        if action == "pause":
            for _ in done[0].features:
                self._history.did(Done(PIPELINE))
        if done[0].failed:
            self._messages.say(_failed(action, done[0]), bad=True, key="refused")
        await self._navigator.follow(before, list(done[0].features))

    async def _live(self, runtime: RuntimePort, action: str) -> Sequence[str]:
        """For whom it would hold; nobody is said."""
        try:
            names = await runtime.pipeline.live()
        except Exception as error:
            self._link.failed(error)
            return ()
        if action == "pause":
            places = self._navigator.places()
            names = [name for name in names if not places.get(name, ("", False))[1]]
        if not names:
            rest = "live" if action == "kill" else "live that is not paused"
            self._messages.say(f"nothing is {rest}: there is nothing to {action}", bad=True, key="refused")
        return names


def _question(action: str, names: Sequence[str]) -> Question:
    body = [(f"this holds for {len(names)} live feature{'s' if len(names) > 1 else ''}:", "")]
    body += [(f"  {name}", "accent") for name in names]
    if action == "kill":
        body.append(("final: cannot be undone; every kill is latched at once, whatever else waits", "crit"))
        body.append(("to bring one back later: redeploy it, as a new promotion with a reason", "muted"))
    else:
        body.append(("each is taken up again by Z; u takes back one after another", "muted"))
    body.append((f'same as: midas {action} --all --reason "..."', "muted"))
    return Question(
        title=f"{action} everything",
        body=body,
        confirm=f"{action.capitalize()} all",
        reason_label="reason",
        reason_required=action == "kill",
        typed_name=f"{action} all",
        danger=True,
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _said(action: str, done: AllDone) -> str:
    waits = f"; the files of {_listed(list(done.waits))} move later" if done.waits else ""
    return f"{_DONE[action]} {len(done.features)}: {_listed(list(done.features)) or 'nobody'}{waits}"


def _failed(action: str, done: AllDone) -> str:
    name, why = next(iter(done.failed.items()))
    return f"not {_DONE[action]}: {_listed(list(done.failed))}; the first because {why}"
