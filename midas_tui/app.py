"""The application: modes, themes, global keys, the engine's life."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.content import Content

from midas_engine.errors import MidasError
from midas_tui.bridge import Bridge
from midas_tui.commands import Commands
from midas_tui.modals.ask import Answer, AskModal, Question
from midas_tui.modals.help import HelpModal
from midas_tui.screens.alerts import AlertsScreen
from midas_tui.screens.base import ModeScreen
from midas_tui.screens.discovery import DiscoveryScreen
from midas_tui.screens.learnings import LearningsScreen
from midas_tui.screens.live import LiveScreen
from midas_tui.screens.pipeline import PipelineScreen
from midas_tui.store import Store
from midas_tui.theme import THEMES, choose_glyphs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.screen import Screen

    from midas_engine.settings import Settings
    from midas_tui.port import RuntimePort

MODE_KEYS = ("live", "pipeline", "discovery", "learnings", "alerts")


class MidasApp(Commands):
    """The terminal. `make_runtime` is called after the first paint; it may import what is heavy.

    Args:
        make_runtime: Builds the engine; called in a thread.
        settings: Terminal settings are read from it.
        mode: Mode to start in.
        exit_when_ready: Leave with code 0 once the engine runs (for checks from outside).
    """

    TITLE = "midas"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    MODES: ClassVar[dict[str, Any]] = {
        "live": LiveScreen,
        "pipeline": PipelineScreen,
        "discovery": DiscoveryScreen,
        "learnings": LearningsScreen,
        "alerts": AlertsScreen,
    }
    DEFAULT_MODE = "live"
    CSS_PATH = "midas.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(i), f"mode('{name}')", name, show=False, id=f"mode.{name}")
            for i, name in enumerate(MODE_KEYS, 1)
        ),
        Binding("question_mark", "help", "help", key_display="?", show=False, id="app.help"),
        Binding("colon", "command_palette", "palette", key_display=":", show=False, id="app.palette"),
        Binding("slash", "filter", "filter", key_display="/", id="app.filter"),
        Binding("escape", "back", "back", show=False, id="app.back"),
        Binding("f", "maximise", "full", show=False, id="app.full"),
        Binding("u", "undo", "undo", show=False, id="app.undo"),
        Binding("U", "redo", "redo", show=False, id="app.redo"),
        Binding("g", "go", "go to pane", show=False, id="app.go"),
        Binding("exclamation_mark", "log", "log", key_display="!", show=False, id="app.log"),
        Binding("y", "copy(False)", "copy", show=False, id="app.copy"),
        Binding("Y", "copy(True)", "copy JSON", show=False, id="app.copy_json"),
        Binding("space", "freeze", "freeze / play", show=False, id="app.freeze"),
        Binding("ctrl+e", "header", "hide header", show=False, id="app.header"),
        Binding("comma", "replay('step_back')", "step back", key_display=",", show=False, id="replay.step_back"),
        Binding("full_stop", "replay('step')", "step", key_display=".", show=False, id="replay.step"),
        Binding(
            "left_square_bracket",
            "replay('previous_alert')",
            "previous alert",
            key_display="[",
            show=False,
            id="replay.previous_alert",
        ),
        Binding(
            "right_square_bracket",
            "replay('next_alert')",
            "next alert",
            key_display="]",
            show=False,
            id="replay.next_alert",
        ),
        Binding("minus", "replay('slower')", "slower", key_display="-", show=False, id="replay.slower"),
        Binding("plus,equals_sign", "replay('faster')", "faster", key_display="+", show=False, id="replay.faster"),
        Binding("at", "go_to", "go to time", key_display="@", show=False, id="replay.go_to"),
        Binding("0", "replay('restart')", "restart replay", show=False, id="replay.restart"),
        Binding("q", "leave", "quit", show=False, id="app.quit"),
        Binding("ctrl+q", "quit", "quit now", show=False, priority=True, id="app.quit_now"),
    ]

    def __init__(
        self,
        make_runtime: Callable[[], RuntimePort],
        settings: Settings | None = None,
        *,
        mode: str = "live",
        exit_when_ready: bool = False,
    ) -> None:
        super().__init__()
        self._first_mode = mode
        terminal = settings.terminal if settings is not None else None
        self._make_runtime = make_runtime
        self._exit_when_ready = exit_when_ready
        self.glyphs = choose_glyphs(ascii_only=bool(terminal and terminal.ascii))
        self.store = Store()
        self.runtime: RuntimePort | None = None
        self.bridge = Bridge(self.store, self.flush_screen, terminal.refresh_hz if terminal else 4.0)
        self._theme_wanted = terminal.theme if terminal else "midas-dark"
        self._keys = dict(terminal.keys) if terminal else {}

    # -- life ------------------------------------------------------------------------------------

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Role colours for themes that are not ours."""
        return {
            "ok": "ansi_bright_blue", "warn": "ansi_bright_yellow", "crit": "ansi_bright_red",
            "accent": "ansi_bright_magenta", "muted": "ansi_bright_black", "frame": "ansi_bright_black",
        }  # fmt: skip

    def on_mount(self) -> None:
        """Theme and keys; the engine comes after the first paint."""
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._theme_wanted if self._theme_wanted in self.available_themes else "midas-dark"
        if self._keys:
            self.set_keymap(self._keys)
        self.call_after_refresh(self._begin)

    async def _begin(self) -> None:
        if self._first_mode != "live":
            await self.switch_mode(self._first_mode)
        self.run_worker(self._start(), group="runtime", exit_on_error=False)

    async def _start(self) -> None:
        try:
            runtime = await asyncio.to_thread(self._make_runtime)
            self.bridge.attach(runtime)
            self.runtime = runtime
            await runtime.start()
        except MidasError as error:
            self.store.phase = ("failed", error.message, float("nan"))
            self.push_screen(
                AskModal(Question("Midas cannot start", [(str(error), "")], confirm="Quit")), self._give_up
            )
            return
        self.store.reset_live(list(runtime.alerts(include_resolved=True)), dict(runtime.metrics()))
        await self.reload_pipeline()
        self.bridge.pump()
        if self._exit_when_ready:
            self.exit(0)

    def _give_up(self, answer: Answer | None) -> None:
        if answer is None or answer.confirmed:
            self.exit(1)

    async def close_runtime(self) -> None:
        """Stop the engine; safe to call twice."""
        await self.bridge.close()
        runtime, self.runtime = self.runtime, None
        if runtime is not None:
            await runtime.stop()

    async def on_unmount(self) -> None:
        """The terminal closes: monitoring stops with it."""
        await self.close_runtime()

    def clock_seconds(self) -> float:
        """Monotonic seconds, for dialogs that ignore early keys."""
        return asyncio.get_running_loop().time()

    # -- drawing ---------------------------------------------------------------------------------

    def flush_screen(self, topics: set[str]) -> None:
        """Redraw the mode that is shown."""
        if "pipeline" in topics:
            self.run_worker(self.reload_pipeline_quietly(), group="pipeline", exclusive=True)
        screen = self.screen if isinstance(self.screen, ModeScreen) else self._mode_screen()
        if screen is not None and screen.is_mounted:
            with self.batch_update():
                screen.apply(topics)

    def _mode_screen(self) -> ModeScreen | None:
        return next((s for s in reversed(self.screen_stack) if isinstance(s, ModeScreen)), None)

    async def reload_pipeline_quietly(self) -> None:
        """Read the pipeline and redraw, without marking it changed again."""
        await self.reload_pipeline()
        self.store.take_dirty()
        screen = self._mode_screen()
        if screen is not None and screen.is_mounted:
            screen.apply({"pipeline"})

    @property
    def frozen(self) -> bool:
        """Whether the display stands still."""
        return self.bridge.frozen

    @property
    def behind(self) -> int:
        """Events behind a frozen display."""
        return self.bridge.behind

    @property
    def queue_depth(self) -> int:
        """Events waiting for the terminal."""
        return self.bridge.depth

    # -- actions ---------------------------------------------------------------------------------

    async def action_mode(self, name: str) -> None:
        """Show a mode."""
        if isinstance(self.screen, ModeScreen):
            await self.switch_mode(name)

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

    async def action_freeze(self) -> None:
        """Freeze the display; in a replay, play or pause."""
        if self._replaying() is not None:
            await self.action_replay("toggle")
            return
        self.bridge.frozen = not self.bridge.frozen
        screen = self._mode_screen()
        if screen is not None:
            screen.refresh_all()

    def action_header(self) -> None:
        """Hide or show the status line."""
        status = self.screen.query("#status")
        if status:
            status.first().display = not status.first().display

    def action_help(self) -> None:
        """Keys, from the live bindings."""
        if isinstance(self.screen, HelpModal):
            return
        rows: list[tuple[str, str, str, str]] = []
        for key, active in self.screen.active_bindings.items():
            b = active.binding
            if b.description:
                scope = active.node.id or type(active.node).__name__.removesuffix("Screen").removesuffix("App").lower()
                rows.append((self.get_key_display(b) or key, b.description, scope, b.id or ""))
        rows.sort(key=lambda row: (row[2] == "midas", row[2], row[1]))
        self.push_screen(HelpModal(list(dict.fromkeys(rows))))

    def action_go(self) -> None:
        """Go to a pane by its letter."""
        from midas_tui.modals.choose import ChooseModal

        panes = [w for w in self.screen.query("*") if w.can_focus and w.display and w.id and w.id != "filter"]

        def chosen(name: str | None) -> None:
            if name:
                self.screen.query_one(f"#{name}").focus()

        self.push_screen(ChooseModal("go to pane", [(w.id or "", w.id or "") for w in panes]), chosen)

    def action_log(self) -> None:
        """Faults and queues."""
        parts: list[tuple[str, str] | str] = []
        status = self.runtime.status() if self.runtime is not None else {}
        for key, value in status.items():
            parts += [(f"{key:<24}", "$muted"), f"{value}\n"]
        parts.append("\n")
        for fault in reversed(self.store.faults):
            parts += [(f"{fault.at:%m-%d %H:%M} {fault.where}: ", "$warn"), f"{fault.message}  {fault.hint}\n"]
        if not self.store.faults:
            parts.append(("no fault was reported\n", "$muted"))
        self.show_text("log", Content.assemble(*parts))

    def action_copy(self, as_json: bool) -> None:
        """Copy what is under the cursor."""
        from midas_tui.copying import copied_text

        text = copied_text(self, as_json=as_json)
        if not text:
            self.say("nothing to copy here")
            return
        self.copy_to_clipboard(text)
        self.say(f"copied: {text.splitlines()[0][:60]}")

    def open_card(self, name: str) -> None:
        """Show a feature in the pipeline."""
        self.run_worker(self._open_card(name), group="open", exclusive=True)

    async def _open_card(self, name: str) -> None:
        await self.switch_mode("pipeline")
        screen = self.screen
        if isinstance(screen, PipelineScreen):
            screen.call_after_refresh(screen.show_feature, name)

    def open_document(self, path: str) -> None:
        """Show a document."""
        self.run_worker(self._open_document(path), group="open", exclusive=True)

    async def _open_document(self, path: str) -> None:
        await self.switch_mode("learnings")
        screen = self.screen
        if isinstance(screen, LearningsScreen):
            await screen.open_path(path)

    def action_leave(self) -> None:
        """Quit; asks when a session runs or a monitor would stop."""
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

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every binding that can act is a palette command too."""
        yield from super().get_system_commands(screen)
        seen: set[str] = set()
        for key, active in screen.active_bindings.items():
            binding = active.binding
            if binding.description and binding.id and binding.id not in seen and active.enabled:
                seen.add(binding.id)
                title = f"{binding.id.replace('.', ': ')} ({self.get_key_display(binding) or key})"
                yield SystemCommand(title, binding.description, _runner(self, binding.action, active.node))


def _runner(app: MidasApp, action: str, node: Any) -> Callable[[], None]:
    def run() -> None:
        app.call_later(app.run_action, action, node)

    return run
