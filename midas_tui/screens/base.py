"""What the five modes share: status line, replay bar, footer, focus, freeze, filter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from textual.screen import Screen
from textual.widgets import Input

from midas_tui.formats import clock_time
from midas_tui.widgets.bars import FooterLine, ReplayBar, StatusBar, live_hints

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

    from midas_tui.app import MidasApp
    from midas_tui.port import RuntimePort
    from midas_tui.store import Store


class FilterLine(Input):
    """The `/` line of a pane: narrows while typing, enter keeps it, escape clears it."""

    DEFAULT_CSS = """
    FilterLine { display: none; height: 1; border: none; padding: 0 1; background: $panel; }
    FilterLine.open { display: block; }
    """


class ModeScreen(Screen[None]):
    """One mode. Subclasses give `compose_body`, `flush` and `mode_name`."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-normal"), (140, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-short"), (32, "-tall")]
    mode_name: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.needle = ""
        self.stale = True

    @property
    def midas(self) -> MidasApp:
        """The application, typed."""
        return self.app  # type: ignore[return-value]

    @property
    def store(self) -> Store:
        """The newest state."""
        return self.midas.store

    @property
    def runtime(self) -> RuntimePort | None:
        """The engine, once it is there."""
        return self.midas.runtime

    def compose(self) -> ComposeResult:
        """Status, body, filter, replay bar, footer."""
        yield StatusBar(id="status")
        yield from self.compose_body()
        yield FilterLine(placeholder="filter", id="filter")
        yield ReplayBar(id="replay")
        yield FooterLine(id="footer")

    def compose_body(self) -> ComposeResult:
        """The mode's own panes."""
        raise NotImplementedError

    def flush(self, topics: set[str]) -> None:
        """Redraw what `topics` touch; {"all"} redraws everything."""
        raise NotImplementedError

    def first_focus(self) -> Widget | None:
        """What has the focus when the mode is first shown."""
        return None

    def on_mount(self) -> None:
        """Focus, and draw once."""
        target = self.first_focus()
        if target is not None:
            target.focus()
        self.refresh_all()

    def on_screen_resume(self) -> None:
        """Shown again: repaint once with everything missed."""
        self.refresh_all()

    def on_descendant_focus(self) -> None:
        """Hints belong to the focused pane."""
        self.call_after_refresh(self.update_hints)

    def refresh_all(self) -> None:
        """Draw everything."""
        if self.is_mounted:
            self.apply({"all"})

    def apply(self, topics: set[str]) -> None:
        """Bars, then the mode's panes."""
        self._update_status()
        self._update_replay()
        if topics & {"all"}:
            self.update_hints()
        self.flush(topics)

    def _update_status(self) -> None:
        store, app = self.store, self.midas
        runtime = self.runtime
        criticals, warnings = store.counts
        badge = "STARTING" if runtime is None else runtime.mode
        if runtime is not None and runtime.read_only and runtime.mode != "REPLAY":
            badge = f"READ-ONLY {badge}"
        if store.replay is not None and badge == "REPLAY":
            badge = f"REPLAY x{store.replay.speed:g}"
        phase, detail, progress = store.phase
        note = ""
        if app.frozen:
            note = f"FROZEN, {app.behind} updates behind"
        elif phase != "running":
            note = f"{phase} {detail} {'' if math.isnan(progress) else f'{progress:.0%}'}".strip()
        elif store.running_session is not None:
            session = store.running_session
            note = f"discovering {session.iteration}/{session.max_iterations} {session.phase}"
        elif store.bar is not None:
            note = f"bar {store.bar.seconds * 1000:.0f} ms"
            if app.queue_depth > 1000:
                note += f"  queue {app.queue_depth}"
        bar = store.bar
        at = bar.at if bar is not None else (runtime.now() if runtime is not None else None)
        self.query_one("#status", StatusBar).update_status(
            badge=badge,
            source=runtime.source if runtime is not None else "",
            at=clock_time(at),
            regime=bar.regime if bar is not None else "",
            features=len(store.metrics),
            criticals=criticals,
            warnings=warnings,
            note=note,
            glyphs=app.glyphs,
        )

    def _update_replay(self) -> None:
        bar = self.query_one("#replay", ReplayBar)
        moved = self.store.replay
        bar.display = moved is not None
        if moved is not None:
            bar.update_replay(moved, self.midas.glyphs)

    def update_hints(self) -> None:
        """Redraw the footer from the live bindings."""
        if self.is_mounted:
            self.query_one("#footer", FooterLine).update_hints(live_hints(self))

    # -- filter ----------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Open the filter line."""
        line = self.query_one("#filter", FilterLine)
        line.add_class("open")
        line.value = self.needle
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow while typing."""
        if event.input.id == "filter":
            self.needle = event.value.strip().lower()
            self.flush({"all"})

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, close the line."""
        if event.input.id == "filter":
            self._close_filter()

    def action_back(self) -> None:
        """Close the filter line, or clear the filter, or restore a maximised pane."""
        line = self.query_one("#filter", FilterLine)
        if line.has_class("open"):
            self.needle = ""
            self._close_filter()
            self.flush({"all"})
        elif self.maximized is not None:
            self.minimize()
        elif self.needle:
            self.needle = ""
            self.flush({"all"})

    def _close_filter(self) -> None:
        line = self.query_one("#filter", FilterLine)
        line.remove_class("open")
        target = self.first_focus()
        if target is not None:
            target.focus()

    def chip(self, title: str) -> str:
        """A border title with the filter in it."""
        return f"{title} /{self.needle}" if self.needle else title
