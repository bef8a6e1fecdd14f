"""What the six modes share: status line, replay bar, footer, focus, freeze, filter."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static

from midas_tui.formats import clock_time
from midas_tui.keys import footer_hints, live_keys
from midas_tui.page import LIVE_HINT, Page
from midas_tui.widgets.bars import WIDE, FooterLine, ReplayBar, SentenceLine, Status, StatusBar
from midas_tui.widgets.filter_line import FilterLine
from midas_tui.widgets.line_table import LineTable
from midas_tui.widgets.tour_card import TourCard

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from textual import events
    from textual.app import ComposeResult
    from textual.widget import Widget

    from midas_engine.sentence import Money
    from midas_tui.runtime_protocol import RuntimePort
    from midas_tui.shell.shell import HasShell, Shell
    from midas_tui.store import Store
    from midas_tui.widgets.pressable import Pressable


LEAST_COLUMNS, LEAST_LINES = 60, 16
# Room for money over time below the table.
HIGH_LINES = 40
VAST_COLUMNS = 200


class ModeScreen(Page):
    """One mode. Subclasses give `compose_body`, `flush` and `mode_name`."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (LEAST_COLUMNS, "-narrow"), (100, "-normal"), (140, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (LEAST_LINES, "-short"), (32, "-tall")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "match(1)", "next match", show=False, id="app.next_match"),
        Binding("N", "match(-1)", "previous match", show=False, id="app.previous_match"),
    ]
    mode_name: ClassVar[str] = ""
    # Attributes that are remembered from one start to the next, and how many values each has.
    KEPT: ClassVar[Mapping[str, int]] = {}
    AUTO_FOCUS = ""  # what `first_focus` says, or nothing: never the closed filter line, which takes every key

    def __init__(self) -> None:
        super().__init__()
        self._css_update_count = self.app._css_update_count  # it is styled when it is mounted: no theme was missed
        self.needle = ""
        self._filtering: Widget | None = None

    @property
    def shell(self) -> Shell:
        """The objects behind the screens."""
        return cast("HasShell", self.app).shell

    @property
    def store(self) -> Store:
        """The newest state."""
        return self.shell.store

    @property
    def runtime(self) -> RuntimePort | None:
        """The engine, once it is there."""
        return self.shell.link.runtime

    def compose(self) -> ComposeResult:
        """Status, body, filter, replay bar, footer."""
        yield StatusBar(id="status")
        yield SentenceLine(id="sentence")
        yield from self.compose_body()
        yield FilterLine(id="filter")
        yield TourCard()
        yield ReplayBar(id="replay")
        yield FooterLine(id="footer")
        yield Static("", id="too-small", markup=False)

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
        self._recall()
        self.refresh_all()

    def _recall(self) -> None:
        """What was chosen here before."""
        kept = self.shell.kept
        for name, places in self.KEPT.items():
            key = f"{self.mode_name}.{name}"
            setattr(self, name, kept.flag(key) if isinstance(getattr(self, name), bool) else kept.number(key, places))
        for table in self.query(LineTable):
            if table.id:
                table.order_by(kept.text(f"{self.mode_name}.order of {table.id}"))

    def remember(self) -> None:
        """Keep what is chosen here now."""
        kept = self.shell.kept
        for name in self.KEPT:
            kept.keep(f"{self.mode_name}.{name}", getattr(self, name))
        for table in self.query(LineTable):
            if table.id and (table.order or kept.text(f"{self.mode_name}.order of {table.id}")):
                kept.keep(f"{self.mode_name}.order of {table.id}", table.order)

    def on_resize(self, event: events.Resize) -> None:
        """The bars say more on a wide screen; below the least size one line says what is needed."""
        # All at once, and before Textual lays out and draws: it does both by the old ones and then again.
        kinds = ((event.size.width, self.HORIZONTAL_BREAKPOINTS), (event.size.height, self.VERTICAL_BREAKPOINTS))
        fitting = {max((least, name) for least, name in points if least <= size)[1] for size, points in kinds}
        classes = {name: name in fitting for _, points in kinds for _, name in points}
        high, vast = event.size.height >= HIGH_LINES, event.size.width >= VAST_COLUMNS
        self.update_classes({**classes, "-high": high, "-vast": vast}, animate=False)
        small = f"{self.size.width} x {self.size.height}: Midas needs at least {LEAST_COLUMNS} x {LEAST_LINES}"
        self.query_one("#too-small", Static).update(Content(small))
        self.call_after_refresh(self.refresh_all)

    @property
    def room(self) -> int:
        """Lines that the panes share, whether one of them has them all just now or not."""
        bars = (StatusBar, SentenceLine, FilterLine, ReplayBar, FooterLine)
        taken = sum(widget.display for widget in self.children if isinstance(widget, bars))
        return self.size.height - taken - self.query_one(TourCard).lines

    def watch_maximized(self) -> None:
        """A pane that takes the screen or gives it back, by whatever key, changes the room of every other."""
        self.refresh_all()  # called for the first time before there are panes

    def on_screen_resume(self) -> None:
        """Shown again: repaint once with everything missed."""
        self.refresh_all()

    def on_descendant_focus(self) -> None:
        """Hints belong to the focused pane."""
        self.call_after_refresh(self.update_hints)

    @property
    def drawable(self) -> bool:
        """Whether its panes are there: not yet before the first mount, not any more while it is taken down."""
        return self.is_mounted and bool(self.query("#status")) and bool(self.query("#footer"))

    def apply(self, topics: set[str]) -> None:
        """Bars, then the mode's panes."""
        self._update_status()
        self._say()
        self._update_replay()
        card = self.query_one(TourCard)
        card.say(self.shell.guide.card(brief=card.strip))
        self.flush(topics)
        if topics & {"all", "pipeline", "session", "alerts"}:
            self.update_hints()

    def _update_status(self) -> None:
        store = self.store
        note, loud = self._note()
        status = Status(
            badge=self._badge(),
            source=self._source(),
            at=self._now(),
            regime=self._regime(),
            features=len(store.metrics),
            unwatched=store.unwatched,
            faults=len(store.troubles) + store.unread,
            alarm=bool(store.troubles),
            counts=store.counts,
            note=note,
            loud=loud,
            known=bool(store.metrics) or store.phase[0] not in ("starting", "warming"),
        )
        self.query_one("#status", StatusBar).update_status(status, self.shell.glyphs)

    def _say(self) -> None:
        """The sentence on top, and the window's title."""
        runtime = self.runtime
        proposals = runtime.queries.kill_proposals() if runtime is not None else {}
        ended = runtime.data_ends if runtime is not None and runtime.mode == "OFFLINE" else None
        found = self.store.sentence(proposals, ended, self._money())
        self.query_one("#sentence", SentenceLine).say(found, self.shell.glyphs)
        self.shell.title.show(found.short)

    def _money(self) -> Money | None:
        """What the book earned."""
        store = self.store
        return store.earned.at(self.runtime, store.bar, store.answers)

    def _now(self) -> datetime | None:
        store, runtime = self.store, self.runtime
        if (shown := store.past or store.bar) is not None:
            return shown.at
        return None if runtime is None or store.awaited else runtime.now()

    def _regime(self) -> str:
        store = self.store
        if store.past is not None:
            return next((m.regime for m in store.past.metrics.values()), "")
        return store.bar.regime if store.bar is not None else ""

    def _badge(self) -> str:
        runtime, replay, troubles = self.runtime, self.store.replay, self.store.troubles
        if runtime is None or (runtime.attached and self.store.phase[0] == "degraded"):
            return "STARTING" if runtime is None else "NOT ATTACHED"  # what it was before is no news of now
        if troubles:
            more = f" +{len(troubles) - 1}" if len(troubles) > 1 else ""
            badge = troubles[0].badge
            # At 80 columns the words before the comma are what fits; the drawer has the rest.
            return (badge if self.size.width >= WIDE else badge.partition(",")[0]) + more
        if runtime.mode == "REPLAY":
            return f"REPLAY x{replay.speed:g}" if replay is not None else "REPLAY"
        mode = self._recorded() if runtime.mode == "OFFLINE" else runtime.mode
        return f"READ-ONLY {mode}" if runtime.read_only else mode

    def _recorded(self) -> str:
        """Recorded data moves nothing, and says when it ends."""
        runtime = self.runtime
        name = "SAMPLE" if runtime is not None and runtime.source.startswith("sample") else "RECORDED"
        ends = runtime.data_ends if runtime is not None else None
        ends = ends - timedelta(seconds=1) if ends is not None else None  # the day of the last bar, not of its close
        if self.size.width < WIDE:
            return name if ends is None else f"{name}, ends {ends:%Y-%m-%d}"
        return f"{name}, nothing moves" if ends is None else f"{name}, ends {ends:%Y-%m-%d}, nothing moves"

    def _note(self) -> tuple[str, bool]:
        """What goes on in a few words, and whether it must be seen."""
        store, bridge = self.store, self.shell.bridge
        phase, detail, progress = store.phase
        if store.past is not None:
            return f"THE PAST, {clock_time(store.past.at)}, esc: now", True
        if bridge.frozen:
            return f"FROZEN, {bridge.behind} updates behind", True
        if phase != "running":
            share = "" if math.isnan(progress) else f" {progress:.0%}"
            return f"{phase} {detail}{share}".strip(), phase in ("degraded", "failed")
        if running := store.running_words:
            return running, False
        if bridge.depth > 1000:
            return f"queue {bridge.depth}", True
        if self.runtime is not None and self.runtime.mode == "OFFLINE":
            return (LIVE_HINT if self.size.width >= WIDE else ""), False
        return (f"bar {store.bar.seconds * 1000:.0f} ms" if store.bar is not None else ""), False

    def _source(self) -> str:
        """What the data is called; the badge says it already of the sample."""
        name = self.runtime.source.rpartition("/")[2] if self.runtime is not None else ""
        return "" if name == "sample" and self.runtime is not None and self.runtime.mode == "OFFLINE" else name

    def _update_replay(self) -> None:
        bar = self.query_one("#replay", ReplayBar)
        moved = self.store.replay
        bar.display = moved is not None
        if moved is not None:
            replay = self.runtime.replay if self.runtime is not None else None
            bar.update_replay(moved, replay.alert_bars if replay is not None else (), self.shell.glyphs)

    def update_hints(self) -> None:
        """Redraw the footer from the live bindings."""
        if self.drawable:
            self.query_one("#footer", FooterLine).update_hints(footer_hints(self))

    def why_not(self, action: str, parameters: tuple[object, ...]) -> str:
        """Why an action cannot be taken now, in words; empty when it can. Greys it in footer, help and palette."""
        return ""

    def on_line_table_highlighted(self, event: LineTable.Highlighted) -> None:
        """What can be done depends on the row under the cursor."""
        self.call_after_refresh(self.update_hints)

    def on_line_table_header_clicked(self, event: LineTable.HeaderClicked) -> None:
        """A heading sorts its table."""
        self.sort_table(event.table, event.column)
        self.remember()

    def sort_table(self, table: LineTable, column: str) -> None:
        """Sort a table by a column that was clicked."""
        table.sort_by(column)

    async def on_pressable_pressed(self, event: Pressable.Pressed) -> None:
        """A word of a bar acts as its key does."""
        if event.name == "help":
            self.shell.overlays.help()
        elif event.name == "mode":
            await self.shell.navigator.next_mode()
        elif event.name == "log":
            self.shell.overlays.log()
        elif event.name == "alerts":
            await self.shell.navigator.mode("alerts")
        elif event.name == "play":
            self.shell.replay.press("toggle")
        for key in live_keys(self):
            if not key.refusal and f"key {key.keys.split(' ')[0]}" == event.name:
                await self.app.run_action(key.action, key.node)
                return

    def on_replay_bar_seek(self, event: ReplayBar.Seek) -> None:
        """Where the bar was pressed."""
        self.shell.replay.seek_to(event.position)

    def under_cursor(self) -> tuple[str, dict[str, Any] | None]:
        """What `y` and `Y` copy: text, and the whole thing as a JSON-ready record."""
        return "", None

    def subject(self) -> str:
        """The feature or the session of the row under the cursor."""
        focused = self.focused
        key = (focused.cursor_key if isinstance(focused, LineTable) else None) or ""
        alert = self.store.alerts.get(next(iter(self.store.members(key)), ""))  # of an incident its loudest
        name = alert.feature if alert is not None else key
        if alert is not None or self.store.record(name) is not None or name in self.store.metrics:
            return f"feature:{name}"
        return f"session:{key}" if key in self.store.sessions else ""

    def show_session(self, session: str) -> None:
        """The cursor goes to the session, where it is a row."""
        for table in self.query(LineTable):
            if session in table.keys:
                table.move_to(session)
                table.focus()

    def copied(self, *, as_json: bool) -> str:
        """Text for the clipboard; empty when there is nothing under the cursor."""
        text, record = self.under_cursor()
        return json.dumps(record, indent=2, default=str) if as_json and record is not None else text

    # -- filter ----------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Open the filter line."""
        line = self.query_one("#filter", FilterLine)
        if not line.has_class("open"):
            self._filtering = self.focused
        line.open(self.needle)
        # At once, not with the next message: the next key may be here already, and it is text.
        self.set_focus(line)

    def action_match(self, by: int) -> None:
        """The next or previous row that the filter left."""
        if isinstance(self.focused, LineTable):
            self.focused.action_cursor(by)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow while typing."""
        if event.input.id == "filter" and event.input.has_class("open"):
            self._narrow(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, close the line."""
        if event.input.id == "filter":
            self._narrow(event.value)
            self._close_filter()

    def _narrow(self, text: str) -> None:
        self.needle = text.strip().lower()
        self.flush({"all"})

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
        elif self.store.past is not None:
            self.shell.past.go(None)

    def _close_filter(self) -> None:
        line = self.query_one("#filter", FilterLine)
        line.close()
        self.set_focus(self._filtering or self.first_focus())
        self.gate.settle()

    def chip(self, title: str, more: str = "") -> str:
        """A border title with the filter in it."""
        return (f"{title} /{self.needle}" if self.needle else title) + more
