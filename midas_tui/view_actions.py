"""What the keys do to the view: modes, panes, help, overlays, opening and copying things."""

from __future__ import annotations

import os
import shlex
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import SuspendNotSupported, SystemCommand
from textual.content import Content

from midas_tui.keys import key_text, live_keys
from midas_tui.modals.ask import Answer, AskModal, Question
from midas_tui.modals.choose import TextModal
from midas_tui.modals.go import TOP, GoModal
from midas_tui.modals.help import HelpModal
from midas_tui.replay_actions import Transport
from midas_tui.sanitise import clean
from midas_tui.screens.base import LIVE_HINT, ModeScreen
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.binding import Binding
    from textual.screen import Screen

    from midas_tui.event_pump import Bridge
    from midas_tui.theme import Glyphs

# Built-in palette entries that make no sense here: the footer and `?` show the keys, `q` asks before it quits.
_NOT_OURS = ("Keys", "Quit", "Screenshot", "Maximize", "Minimize")

# Features named in the drawer; the rest is a number.
MOST_NAMED = 20


class Views(Transport):
    """Actions of the application that reach no further than the screen."""

    bridge: Bridge
    glyphs: Glyphs

    def mode_screen(self) -> ModeScreen | None:
        """The mode that is shown, under whatever dialog."""
        return next((s for s in reversed(self.screen_stack) if isinstance(s, ModeScreen)), None)

    def get_key_display(self, binding: Binding) -> str:
        """How a key is written."""
        return key_text(binding)

    # -- modes and panes -------------------------------------------------------------------------

    async def action_mode(self, name: str) -> None:
        """Show a mode."""
        if isinstance(self.screen, ModeScreen):
            await self.switch_mode(name)

    async def action_next_mode(self) -> None:
        """Show the mode after this one."""
        names = list(self._modes)
        if self.current_mode in names:
            await self.action_mode(names[(names.index(self.current_mode) + 1) % len(names)])

    def action_filter(self) -> None:
        """Filter the current pane."""
        if isinstance(self.screen, ModeScreen):
            self.screen.action_filter()

    async def action_back(self) -> None:
        """Clear, close, or restore."""
        if isinstance(self.screen, ModeScreen):
            self.screen.action_back()

    def action_maximise(self) -> None:
        """The focused pane over the whole screen."""
        focused = self.screen.focused
        if self.screen.maximized is not None:
            self.screen.minimize()
        elif focused is not None:
            self.screen.maximize(focused, container=False)
        if isinstance(self.screen, ModeScreen):
            self.screen.refresh_all()

    def action_freeze(self) -> None:
        """Freeze the display, never the engine; in a replay, play or pause."""
        if self.replaying() is not None:
            self.action_replay("toggle")
        elif self.runtime is None or self.runtime.mode == "REPLAY":
            self.say("still starting")
        else:
            self.bridge.frozen = not self.bridge.frozen
            self.bridge.pump()
            screen = self.mode_screen()
            if screen is not None:
                screen.refresh_all()

    def action_header(self) -> None:
        """Hide or show the status line."""
        status = self.screen.query("#status")
        if status:
            status.first().display = not status.first().display

    def action_go(self) -> None:
        """Go to a pane by its letter, or to the top."""
        screen = self.screen
        if not isinstance(screen, ModeScreen):
            return
        panes = {
            w.id: w.region
            for w in screen.query("*")
            if w.id and w.can_focus and w.region.area and w.id != "filter" and w.display
        }

        def chosen(name: str | None) -> None:
            if name == TOP:
                if screen.focused is not None:
                    self.call_later(self.run_action, "edge(-1)", screen.focused)
                    self.call_later(self.run_action, "end_of(-1)", screen.focused)
            elif name:
                screen.query_one(f"#{name}").focus()

        self.push_screen(GoModal(panes), chosen)

    # -- overlays --------------------------------------------------------------------------------

    def action_help(self) -> None:
        """Keys, from the live bindings."""
        if not isinstance(self.screen, HelpModal):
            self.push_screen(
                HelpModal(sorted(live_keys(self.screen), key=lambda k: (k.scope == "everywhere", k.scope)))
            )

    def action_log(self) -> None:
        """Faults and queues."""
        if isinstance(self.screen, TextModal):
            return
        parts: list[tuple[str, str] | str] = [*self._wrong_now(), "\n"]
        self.store.unread = 0
        self.store.mark("faults")
        status = self.runtime.status() if self.runtime is not None else {}
        for key, value in status.items():
            parts += [(f"{key:<20}", "$muted"), f"{clean(value, newlines=False)}\n"]
        parts.append("\n")
        for fault in reversed(self.store.faults):
            where, message = clean(fault.where, newlines=False), clean(fault.message, newlines=False)
            parts += [(f"{fault.at:%m-%d %H:%M} {where}: ", "$warn"), f"{message}  "]
            parts.append((f"{clean(fault.hint, newlines=False)}\n", "$muted"))
        if not self.store.faults:
            parts.append(("no fault was reported\n", "$muted"))
        self.show_text("log", Content.assemble(*parts))

    def _wrong_now(self) -> list[tuple[str, str] | str]:
        """What is wrong at this moment, before what went wrong once."""
        parts: list[tuple[str, str] | str] = []
        for trouble in self.store.troubles:
            parts += [(f"{clean(trouble.badge)}: ", "$crit"), clean(trouble.what, newlines=False)]
            parts.append((f"  {clean(trouble.hint, newlines=False)}\n", "$muted"))
        phase, detail, _ = self.store.phase
        if phase in ("degraded", "failed"):
            parts.append((f"{phase}: {clean(detail, newlines=False)}\n", "$crit"))
        unwatched = self.store.report.unwatched if self.store.report is not None else ()
        for one in unwatched[:MOST_NAMED]:
            parts.append((f"{clean(one.name)} is not watched: {clean(one.why, newlines=False)}\n", "$warn"))
        if len(unwatched) > MOST_NAMED:
            parts.append((f"{len(unwatched) - MOST_NAMED} more are not watched\n", "$warn"))
        if self.runtime is not None and self.runtime.mode == "OFFLINE":
            parts.append((f"recorded data: nothing moves; {LIVE_HINT}\n", "$muted"))
        return [("wrong now\n", "$accent"), *(parts or [("nothing\n", "$muted")])]

    def show_text(self, title: str, content: Content) -> None:
        """Read something in a dialog."""
        self.push_screen(TextModal(title, content))

    def action_leave(self) -> None:
        """Quit; asks when a session runs or a monitor would stop."""
        if isinstance(self.screen, AskModal):
            return
        reasons = []
        if self.store.running_session is not None:
            reasons.append("a discovery session runs: it will be cancelled and its learning written")
        if self.runtime is not None and self.runtime.mode == "LIVE":
            reasons.append("monitoring stops when the terminal closes")
        if not reasons:
            self.exit(0)
            return

        def answered(answer: Answer | None) -> None:
            if answer is not None and answer.confirmed:
                self.exit(0)

        self.push_screen(AskModal(Question("quit midas?", [(r, "") for r in reasons], confirm="Quit")), answered)

    def action_help_quit(self) -> None:
        """Ctrl+C copies; it says how to leave."""
        self.say("q quits, ctrl+q quits at once")

    # -- opening and copying ---------------------------------------------------------------------

    def open_card(self, name: str) -> None:
        """Show a feature in the pipeline."""
        in_worker(self, partial(self._open_card, name), "open", exclusive=True)

    async def _open_card(self, name: str) -> None:
        from midas_tui.screens.pipeline import PipelineScreen

        await self.switch_mode("pipeline")
        screen = self.screen
        if isinstance(screen, PipelineScreen):
            screen.call_after_refresh(screen.show_feature, name)

    def open_document(self, path: str) -> None:
        """Show a document."""
        in_worker(self, partial(self._open_document, path), "open", exclusive=True)

    async def _open_document(self, path: str) -> None:
        from midas_tui.screens.learnings import LearningsScreen

        await self.switch_mode("learnings")
        screen = self.screen
        if isinstance(screen, LearningsScreen):
            await screen.open_path(path)

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
                subprocess.run([*editor, self.runtime.documents.file(path)], check=False)
        except (SuspendNotSupported, OSError) as error:
            self.say(f"{editor[0]} could not be run: {error}", bad=True)

    def action_copy(self, as_json: bool) -> None:
        """Copy what is under the cursor."""
        screen = self.screen
        text = screen.copied(as_json=as_json) if isinstance(screen, ModeScreen) else ""
        if not text:
            self.say("nothing to copy here")
            return
        self.copy_to_clipboard(text)
        what = "the record as JSON" if as_json else text.splitlines()[0][:60]
        self.say(f"copied {what}", key="copied")

    # -- palette ---------------------------------------------------------------------------------

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every binding that can act is a palette command too, with its key."""
        yield from (c for c in super().get_system_commands(screen) if c.title not in _NOT_OURS)
        for key in live_keys(screen):
            if key.id and not key.refusal:
                group, _, verb = key.id.partition(".")
                # The palette reads its titles as markup: square brackets would be tags.
                shown = key.keys.split(" ")[0].replace("[", r"\[")
                title = f"{group}: {verb.replace('_', ' ')}  {shown}"
                yield SystemCommand(title, key.what, self._runner(key.action, key.node))

    def _runner(self, action: str, node: Any) -> Callable[[], None]:
        def run() -> None:
            self.call_later(self.run_action, action, node)

        return run
