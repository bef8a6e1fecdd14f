"""What the keys do: ask, call the engine, say what happened. One place for all modes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from textual.app import App, SuspendNotSupported

from midas_engine.errors import MidasError
from midas_tui.modals.ask import Answer, AskModal, Question
from midas_tui.modals.choose import ChooseModal, LineModal, TextModal
from midas_tui.sanitise import clean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual.content import Content

    from midas_tui.port import RuntimePort
    from midas_tui.store import Store

SNOOZES = (("0.25", "15 minutes"), ("1", "1 hour"), ("4", "4 hours"), ("24", "1 day"))
GOALS = (
    "short-term reversal after volume shocks",
    "funding carry on majors",
    "momentum that survives costs",
    "volatility and range signals",
)


class Commands(App[int]):
    """Actions of the application that reach the engine."""

    runtime: RuntimePort | None
    store: Store

    # -- helpers ---------------------------------------------------------------------------------

    def say(self, text: str, *, bad: bool = False) -> None:
        """A toast; its text is data."""
        self.notify(clean(text), severity="error" if bad else "information", markup=False, timeout=8 if bad else 4)

    async def attempt(self, call: Callable[[RuntimePort], Awaitable[str]]) -> None:
        """Call the engine; say what happened or why it did not."""
        if self.runtime is None:
            self.say("still starting", bad=True)
            return
        try:
            self.say(await call(self.runtime))
        except MidasError as error:
            self.say(str(error), bad=True)
        self.store.mark("pipeline", "alerts", "session", "documents")
        await self.reload_pipeline()

    async def reload_pipeline(self) -> None:
        """Read the pipeline again."""
        if self.runtime is not None:
            try:
                self.store.pipeline = await self.runtime.pipeline()
            except MidasError as error:
                self.say(str(error), bad=True)
            self.store.mark("pipeline")

    def refused(self) -> bool:
        """Say why actions are refused, if they are."""
        runtime = self.runtime
        if runtime is None:
            self.say("still starting", bad=True)
            return True
        if runtime.mode == "REPLAY" or runtime.read_only:
            why = "this is a replay" if runtime.mode == "REPLAY" else "the terminal was opened read-only"
            self.say(f"refused: {why}; start midas-tui without it to change the pipeline", bad=True)
            return True
        return False

    # -- pipeline --------------------------------------------------------------------------------

    def act(self, action: str, name: str) -> None:
        """Ask about a pipeline action, then carry it out."""
        if self.refused() or isinstance(self.screen, AskModal):
            return
        self.run_worker(self._ask_and_act(action, name), group="act", exclusive=True)

    async def _ask_and_act(self, action: str, name: str) -> None:
        runtime = self.runtime
        if runtime is None:
            return
        try:
            preview = await runtime.preview(action, name)
        except MidasError as error:
            self.say(str(error), bad=True)
            return
        body: list[tuple[str, str]] = [(f"{verb:<7}{path}", "") for verb, path in preview.changes]
        body += [(f"not met: {gate}", "warn") for gate in preview.unmet]
        live = runtime.metrics().get(name)
        if live is not None:
            body.append(
                (f"live: {live.status}, ic 5d {live.ic_5d.value:+.3f}, 1-day {live.pnl_1d_bps:+.1f} bps", "muted")
            )
        body.append((f"same as: {preview.command}", "muted"))
        if not preview.undoable:
            body.append(("final: cannot be undone; the kill callback fires at once", "crit"))
        kill = action == "kill"
        answer = await self.push_screen_wait(
            AskModal(
                Question(
                    title=f"{action} {name}",
                    body=body,
                    confirm=action.capitalize(),
                    reason_label="reason" if preview.needs_reason else "",
                    reason_required=preview.needs_reason,
                    typed_name=name if kill else "",
                    danger=kill,
                )
            )
        )
        if answer.confirmed:
            await self.attempt(lambda r: r.act(action, name, answer.reason))

    async def action_undo(self) -> None:
        """Undo the last reversible action."""
        if not self.refused():
            await self.attempt(lambda r: r.undo())

    async def action_redo(self) -> None:
        """Redo what was undone."""
        if not self.refused():
            await self.attempt(lambda r: r.redo())

    # -- alerts ----------------------------------------------------------------------------------

    async def acknowledge(self, ids: Sequence[str]) -> None:
        """Acknowledge alerts."""
        if not ids:
            self.say("no open alert here")
            return
        for alert_id in ids:
            await self.attempt(lambda r, a=alert_id: r.acknowledge(a))  # type: ignore[misc]

    def snooze(self, alert_id: str | None) -> None:
        """Ask how long, then snooze."""
        if alert_id is None:
            self.say("no open alert here")
            return

        def chosen(hours: str | None) -> None:
            if hours:
                self.run_worker(self.attempt(lambda r: r.snooze(alert_id, float(hours))), group="act")

        self.push_screen(ChooseModal("snooze for", SNOOZES), chosen)

    async def diagnose(self, feature: str | None) -> None:
        """Ask for a diagnosis."""
        if feature is None:
            self.say("choose a feature first")
            return
        await self.attempt(lambda r: r.diagnose(feature))

    # -- discovery -------------------------------------------------------------------------------

    def ask_session(self) -> None:
        """Ask for a goal and a researcher, then start a session."""
        if self.runtime is None or isinstance(self.screen, LineModal):
            self.say("still starting", bad=True)
            return
        self.run_worker(self._ask_session(), group="session", exclusive=True)

    async def _ask_session(self) -> None:
        runtime = self.runtime
        if runtime is None:
            return
        goal = await self.push_screen_wait(
            LineModal(
                "research goal", GOALS[0], note="enter alone takes the example; for example: " + "; ".join(GOALS[1:])
            )
        )
        goal = goal or GOALS[0]
        providers = list(runtime.providers())
        provider = providers[0] if providers else ""
        if len(providers) > 1:
            notes = {
                "local": "local: grammar search, no key",
                "openai": "openai (OPENAI_API_KEY)",
                "anthropic": "anthropic (ANTHROPIC_API_KEY)",
            }
            provider = await self.push_screen_wait(ChooseModal("researcher", [(p, notes.get(p, p)) for p in providers]))
        if provider:
            await self.attempt(lambda r: r.start_session(goal, provider))

    def ask_cancel(self) -> None:
        """Ask, then cancel the running session."""
        running = self.store.running_session
        if running is None:
            self.say("no session runs")
            return

        def answered(answer: Answer | None) -> None:
            if answer is not None and answer.confirmed:
                self.run_worker(self.attempt(lambda r: r.cancel_session()), group="act")

        body = [(running.goal, ""), ("what was tried is kept, and a learning is written", "muted")]
        self.push_screen(AskModal(Question("cancel this session?", body, confirm="Cancel it")), answered)

    # -- documents -------------------------------------------------------------------------------

    def show_text(self, title: str, content: Content) -> None:
        """Read something in a dialog."""
        self.push_screen(TextModal(title, content))

    def edit_document(self, path: str) -> None:
        """Open a document in $EDITOR; the viewer follows the file."""
        if self.runtime is None or self.refused():
            return
        editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
        if not editor:
            self.say("set $EDITOR to edit documents", bad=True)
            return
        try:
            with self.suspend():
                subprocess.run([*editor, self.runtime.document_file(path)], check=False)
        except (SuspendNotSupported, OSError) as error:
            self.say(f"{editor[0]} could not be run: {error}", bad=True)

    # -- replay ----------------------------------------------------------------------------------

    def _replaying(self) -> Any:
        return self.runtime.replay if self.runtime is not None else None

    async def action_replay(self, what: str) -> None:
        """One of the replay keys."""
        replay = self._replaying()
        if replay is None:
            self.say("not a replay: start with midas-tui --replay")
            return
        match what:
            case "step":
                await replay.step(1)
            case "step_back":
                await replay.step(-1)
            case "faster":
                replay.faster()
            case "slower":
                replay.slower()
            case "next_alert":
                if not await replay.next_alert():
                    self.say("no further alert in what was scanned")
            case "previous_alert":
                if not await replay.previous_alert():
                    self.say("no earlier alert")
            case "restart":
                await replay.restart()
            case _:
                await (replay.pause() if replay.playing else _played(replay))

    def action_go_to(self) -> None:
        """Ask for a time or a bar, and go there."""
        replay = self._replaying()
        if replay is None:
            self.say("not a replay: start with midas-tui --replay")
            return

        def chosen(text: str | None) -> None:
            if not text:
                return
            if re.fullmatch(r"\d{1,7}", text):
                self.run_worker(replay.seek(int(text)), group="replay", exclusive=True)
                return
            try:
                at = datetime.fromisoformat(text)
            except ValueError:
                self.say(f"{text!r} is neither a bar number nor a time like 2026-01-15 08:00", bad=True)
                return
            self.run_worker(replay.seek_time(at.replace(tzinfo=at.tzinfo or UTC)), group="replay", exclusive=True)

        note = f"a UTC time, or a bar number from 0 to {replay.total}"
        self.push_screen(LineModal("go to", "2026-01-15 08:00", note=note), chosen)


async def _played(replay: Any) -> None:
    replay.play()
