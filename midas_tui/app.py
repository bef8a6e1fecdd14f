"""The application: modes, themes, global keys, the engine's life. What keys do stands in `shell/`."""

from __future__ import annotations

import asyncio
import gc
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import App
from textual.binding import Binding, BindingType
from textual.content import Content

from midas_engine.clock import WallClock
from midas_tui.driver import own_driver
from midas_tui.faults import describe
from midas_tui.kept import Kept
from midas_tui.keys import key_text
from midas_tui.modals.ask import Answer, AskModal, Question
from midas_tui.modals.choose import ChooseModal
from midas_tui.modes import MODE_KEYS, MODES, prepare_modes
from midas_tui.palette import shipped_themes
from midas_tui.shell.shell import make_shell
from midas_tui.stylesheet import KeptStylesheet
from midas_tui.theme import choose_glyphs
from midas_tui.user_files import config_folder
from midas_tui.welcome import WAYS, WELCOME
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from textual import events
    from textual.app import SystemCommand
    from textual.await_complete import AwaitComplete
    from textual.driver import Driver
    from textual.filter import LineFilter
    from textual.screen import Screen
    from textual.theme import Theme

    from midas_engine.clock import Clock
    from midas_engine.settings import Settings
    from midas_tui.input_gate import InputGate
    from midas_tui.runtime_protocol import RuntimePort
    from midas_tui.store import Store
    from midas_tui.tour import PlayedPort
    from midas_tui.widgets.line_table import LineTable

PLAIN = "midas-dark"
# The code with which the application asks to be started again, on the played case.
DEMO_WANTED = 64


def _key(key: str, action: str, what: str, id: str, *, shown: str = "", show: bool = False) -> Binding:
    return Binding(key, action, what, key_display=shown or None, show=show, id=id)


class MidasApp(App[int]):
    """The terminal. `make_runtime` is called after the first paint; it may import what is heavy.

    Args:
        make_runtime: Builds the engine; called in a thread.
        settings: Terminal settings are read from it.
        mode: Mode to start in.
        exit_when_ready: Leave with code 0 once the engine runs (for checks from outside).
        when_ready: Called once the engine runs and its state is drawn.
        clock: Measures how long a dialog has been shown; real time when None.
        welcome: Begin with the question what to look at: there is no base yet.
        kept: What was chosen before; nothing is remembered when None.
    """

    TITLE = "midas"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    # The first paint needs one mode; the others are imported when they are first shown.
    MODES: ClassVar[dict[str, Any]] = dict(MODES)
    DEFAULT_MODE = "live"
    CSS_PATH = "midas.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(_key(str(i), f"mode('{name}')", name, f"mode.{name}") for i, name in enumerate(MODE_KEYS, 1)),
        _key("slash", "filter", "filter", "app.filter", shown="/", show=True),
        _key("f", "maximise", "full", "app.full", show=True),
        _key("u", "undo", "undo", "app.undo", show=True),
        _key("U", "redo", "redo", "app.redo"),
        _key("colon", "command_palette", "cmd", "app.palette", shown=":", show=True),
        _key("question_mark", "help", "help", "app.help", shown="?"),
        _key("escape", "back", "back, clear, close", "app.back"),
        _key("g", "go", "go to a pane, gg top", "app.go"),
        _key("exclamation_mark", "log", "log", "app.log", shown="!"),
        _key("y", "copy(False)", "copy", "app.copy"),
        _key("Y", "copy(True)", "copy as JSON", "app.copy_json"),
        _key("I", "describe", "the card of the feature under the cursor", "app.describe"),
        _key("L", "known", "its learning, and what belongs to it", "app.known"),
        _key("space", "freeze", "freeze the display; in a replay, play or pause", "app.freeze"),
        _key("ctrl+e", "header", "hide the status line", "app.header"),
        _key("ctrl+z", "suspend_process", "to the shell, fg comes back", "app.suspend"),
        _key("tab", "app.focus_next", "next pane", "app.next_pane"),
        _key("shift+tab", "app.focus_previous", "previous pane", "app.previous_pane"),
        _key("comma", "replay('step_back')", "step back", "replay.step_back", shown=","),
        _key("full_stop", "replay('step')", "step", "replay.step", shown="."),
        _key("left_square_bracket", "replay('previous_alert')", "previous alert", "replay.previous_alert", shown="["),
        _key("right_square_bracket", "replay('next_alert')", "next alert", "replay.next_alert", shown="]"),
        _key("minus", "replay('slower')", "slower", "replay.slower", shown="-"),
        _key("plus,equals_sign", "replay('faster')", "faster", "replay.faster", shown="+"),
        _key("at", "go_to", "go to time", "replay.go_to", shown="@"),
        _key("0", "replay('restart')", "restart replay", "replay.restart"),
        _key("X", "everything('kill')", "kill everything live", "app.kill_all"),
        _key("W", "everything('pause')", "pause everything live", "app.pause_all"),
        _key("less_than_sign", "since_left", "what happened since you left", "app.since_left", shown="<"),
        _key("q", "leave", "quit", "app.quit"),
        Binding("ctrl+q", "quit", "quit now", show=False, priority=True, id="app.quit_now"),
    ]

    def __init__(
        self,
        make_runtime: Callable[[], RuntimePort],
        settings: Settings | None = None,
        *,
        mode: str = "live",
        exit_when_ready: bool = False,
        when_ready: Callable[[], object] | None = None,
        clock: Clock | None = None,
        welcome: bool = False,
        kept: Kept | None = None,
    ) -> None:
        super().__init__()
        self.stylesheet: KeptStylesheet = KeptStylesheet(variables=self.get_css_variables())
        self._welcome, self._first_mode = welcome, mode
        terminal = settings.terminal if settings is not None else None
        self._make_runtime = make_runtime
        self._exit_when_ready, self._when_ready = exit_when_ready, when_ready
        glyphs = choose_glyphs(ascii_only=bool(terminal and terminal.ascii))
        self.shell = make_shell(
            self, glyphs, clock or WallClock(), terminal.refresh_hz if terminal else 4.0, kept or Kept()
        )
        self.ready = asyncio.Event()
        self._theme_wanted = terminal.theme if terminal else PLAIN
        self._keys = dict(terminal.keys) if terminal else {}
        self._weights: LineFilter | None = None
        self._choose_theme()

    @property
    def store(self) -> Store:
        """The newest state."""
        return self.shell.store

    @property
    def runtime(self) -> RuntimePort | None:
        """The engine, once it is there."""
        return self.shell.link.runtime

    @property
    def gate(self) -> InputGate:
        """Which keys and clicks may act."""
        return self.shell.gate

    def get_driver_class(self) -> type[Driver]:
        """In a terminal one that ends in order when the terminal goes away."""
        return own_driver(super().get_driver_class())

    # -- life ------------------------------------------------------------------------------------

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Role colours for themes that are not ours."""
        return {
            "ok": "ansi_bright_blue", "warn": "ansi_bright_yellow", "crit": "ansi_bright_red",
            "accent": "ansi_bright_magenta", "muted": "ansi_bright_black", "frame": "ansi_bright_black",
        }  # fmt: skip

    def delay_update(self, delay: float = 0.05) -> None:
        """Hold frames back while a mode is put together; one that was shown before is drawn at once."""
        super().delay_update(delay if self.shell.navigator.put_together else 1e-3)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Weight in place of colour, where there is none."""
        found = super().get_line_filters()
        if not self.no_color:
            return found
        if self._weights is None:
            from midas_tui.weights import WeightFilter

            self._weights = WeightFilter(self.get_css_variables())
        return [self._weights, *found]

    def on_mount(self) -> None:
        """Theme and keys; the engine comes after the first paint."""
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        if self._keys:
            self.set_keymap(self._keys)
        self.call_after_refresh(self._begin)

    def _choose_theme(self) -> None:
        """The theme that was asked for, else the one chosen last; remembered from now on when it is changed."""
        from midas_tui.user_themes import user_themes

        own, refused = user_themes(folder / "themes" if (folder := config_folder()) is not None else None)
        for theme in (*own, *shipped_themes(self.console.color_system)):  # a name of ours stays ours
            self.register_theme(theme)
        kept, wanted = self.shell.kept, self._theme_wanted
        if wanted == PLAIN and kept.text("theme") in self.available_themes:
            wanted = kept.text("theme")
        self.theme = wanted if wanted in self.available_themes else PLAIN
        if wanted not in self.available_themes:
            self.shell.messages.say(f"there is no theme {wanted!r}: using {PLAIN}", bad=True)
        for why in (*refused[:1], kept.trouble):
            if why:
                self.shell.messages.say(why, bad=True)
        self.stylesheet.set_variables(self.get_css_variables())

    def _theme_changed(self, theme: Theme) -> None:
        self._weights = None
        self.shell.kept.keep("theme", theme.name)

    async def _begin(self) -> None:
        gc.enable()  # the command line put it off until something is drawn
        if self._first_mode != "live":
            await self.switch_mode(self._first_mode)
        in_worker(self, self._start, "runtime", exclusive=False)

    async def _start(self) -> None:
        try:
            runtime = await asyncio.to_thread(self._make_runtime)
            self.shell.bridge.attach(runtime)
            self.shell.link.runtime = runtime
            await runtime.start()
        except Exception as error:
            self.store.phase = ("failed", why := describe(error), float("nan"))
            self.shell.navigator.redraw()  # behind the question nothing is loading any more
            self.push_screen(AskModal(Question("Midas cannot start", [(why, "")], confirm="Quit")), self._give_up)
            return
        from midas_tui.plugin_modes import take_plugins  # after the first paint: it is slow

        await take_plugins(self, partial(self.shell.messages.say, bad=True))
        await self.shell.link.reload_pipeline()
        self.shell.bridge.pump()
        self.shell.bridge.take_whole()
        self.store.troubles = tuple(runtime.troubles())
        self.shell.navigator.redraw()
        self._lead(runtime)
        self.shell.since_left.came()
        self.ready.set()
        in_worker(self, partial(prepare_modes, self.stylesheet), "modes", exclusive=False)
        if self._when_ready is not None:
            self._when_ready()
        if self._exit_when_ready:
            self.exit(0)

    def _lead(self, runtime: RuntimePort) -> None:
        """Begin the played case, or ask a newcomer what to look at."""
        if runtime.mode == "DEMO":
            played = cast("PlayedPort", runtime)
            show = self.shell.overlays.show_text
            self.shell.sessions.example = self.shell.guide.begin(self.shell.store, show, runtime, played)
            self.shell.navigator.redraw()
        elif self._welcome:
            self.push_screen(ChooseModal("welcome to Midas", WELCOME), self._welcomed)

    def _welcomed(self, choice: str | None) -> None:
        if choice == "demo":
            self.exit(DEMO_WANTED)
        elif choice:
            self.shell.overlays.show_text("how", Content(WAYS[choice]))

    def _give_up(self, answer: Answer | None) -> None:
        # Whatever is answered: behind this dialog nothing works.
        self.exit(1)

    async def close_runtime(self) -> None:
        """Stop the engine; safe to call twice."""
        await self.shell.bridge.close()
        await self.shell.since_left.leave()
        runtime, self.shell.link.runtime = self.runtime, None
        if runtime is not None:
            await runtime.stop()

    async def on_unmount(self) -> None:
        """The terminal closes: monitoring stops with it."""
        self.shell.title.restore()
        await self.close_runtime()

    def _fatal_error(self) -> None:
        """A crash shows where it happened, never the values of variables: one of them could be a key."""
        from rich.segment import Segments
        from rich.traceback import Traceback

        shown = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(shown, self.console.options)))
        self._close_messages_no_wait()

    # -- what comes in: the door lets in what was meant for the screen that is shown --------------

    async def on_event(self, event: events.Event) -> None:
        """Let an event in, carry out a key, or drop it."""
        if await self.shell.door.lets_in(event):
            await super().on_event(event)

    def push_screen(self, screen: Any, *args: Any, **options: Any) -> Any:
        """Push a screen; the gate hears of its first paint."""
        found = super().push_screen(screen, *args, **options)
        self.shell.door.pushed(self.screen)
        return found

    def pop_screen(self) -> AwaitComplete:
        """Back to the screen below, which takes nothing that was typed until now."""
        self.gate.settle()
        return super().pop_screen()

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        """A row's opening has passed through its screen."""
        self.gate.release()

    # -- keys: each line leads to the object that does it -----------------------------------------

    def get_key_display(self, binding: Binding) -> str:
        """How a key is written."""
        return key_text(binding)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette lists."""
        return self.shell.overlays.commands(screen, super().get_system_commands(screen))

    async def action_mode(self, name: str) -> None:
        """Show a mode."""
        await self.shell.navigator.mode(name)

    def action_filter(self) -> None:
        """Filter the current pane."""
        self.shell.navigator.filter()

    async def action_back(self) -> None:
        """Clear, close, or restore."""
        self.shell.navigator.back()

    def action_maximise(self) -> None:
        """The focused pane over the whole screen."""
        self.shell.navigator.maximise()

    def action_header(self) -> None:
        """Hide or show the status line."""
        self.shell.navigator.toggle_header()

    def action_go(self) -> None:
        """Go to a pane by its letter, or to the top."""
        self.shell.navigator.go()

    def action_copy(self, as_json: bool) -> None:
        """Copy what is under the cursor."""
        self.shell.navigator.copy(as_json=as_json)

    def action_describe(self) -> None:
        """The card of the feature under the cursor, over whatever page."""
        self.shell.overlays.describe()

    def action_known(self) -> None:
        """The learning of the feature or session under the cursor."""
        self.shell.navigator.open_what_is_known()

    def action_help(self) -> None:
        """Keys, from the live bindings."""
        self.shell.overlays.help()

    def action_log(self) -> None:
        """Faults and queues."""
        self.shell.overlays.log()

    def action_leave(self) -> None:
        """Quit; asks when something would stop."""
        self.shell.overlays.leave()

    def action_help_quit(self) -> None:
        """Ctrl+C copies; it says how to leave."""
        self.shell.messages.say("q quits, ctrl+q quits at once")

    def action_freeze(self) -> None:
        """Freeze the display; in a replay, play or pause."""
        self.shell.replay.space()

    def action_replay(self, what: str) -> None:
        """One of the replay keys."""
        self.shell.replay.press(what)

    def action_go_to(self) -> None:
        """Ask for a time or a bar, and go there."""
        self.shell.replay.ask_where()

    def action_everything(self, action: str) -> None:
        """Kill or pause everything live."""
        self.shell.everything.act(action)

    def action_since_left(self) -> None:
        """What happened while nobody looked."""
        self.shell.since_left.show()

    async def action_undo(self) -> None:
        """Undo the last reversible action."""
        await self.shell.undo.undo()

    async def action_redo(self) -> None:
        """Redo what was undone."""
        await self.shell.undo.redo()
