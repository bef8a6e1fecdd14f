"""Discovery: sessions, what each tried, the researcher's words as they come, the six verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll

from midas_engine.events import to_dict
from midas_tui.formats import dot_strip, number
from midas_tui.screens.base import ModeScreen
from midas_tui.widgets.line_table import Cell, Column, LineTable
from midas_tui.widgets.scorecard import Scorecard
from midas_tui.widgets.scrolling import SCROLL_BINDINGS, ScrollKeys
from midas_tui.widgets.stream_view import StreamView
from midas_tui.widgets.titles import entitle

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

    from midas_tui.store import SessionView, TrialRow

SESSION_COLUMNS = (
    Column("sign", "", 1),
    Column("goal", "session", 18, right=False, grow=True),
    Column("state", "state", 9, 1, right=False),
    Column("tried", "tried", 5, 2),
)
STRIP_CELLS = 12
TRIAL_COLUMNS = (
    Column("sign", "", 1),
    Column("iteration", "it", 3, 2),
    Column("name", "name", 18, right=False, grow=True, most=26),
    Column("expression", "expression", 16, 3, right=False, grow=True),
    Column("t", "t", 6, 1),
    Column("strip", "t and line", STRIP_CELLS, 2, right=False),
    Column("agents", "checks", 6, 1, right=False),
)


class ScoreScroll(ScrollKeys, VerticalScroll):
    """The verdicts, with the usual movement keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*SCROLL_BINDINGS]


class DiscoveryScreen(ModeScreen):
    """Start a session, watch it think, see why each expression was refused."""

    mode_name: ClassVar[str] = "discovery"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "run", "run session", id="discovery.run"),
        Binding("c", "cancel", "cancel", id="discovery.cancel"),
        Binding("t", "follow", "follow tail", id="discovery.follow"),
    ]
    CSS = """
    DiscoveryScreen #left { width: 2fr; }
    DiscoveryScreen #right { width: 3fr; }
    DiscoveryScreen #sessions { height: 1fr; max-height: 8; }
    DiscoveryScreen #trials { height: 3fr; }
    DiscoveryScreen #stream { height: 1fr; }
    DiscoveryScreen #score { height: auto; max-height: 20; min-height: 5; padding: 0; }
    DiscoveryScreen.-short #sessions { height: 4; }
    DiscoveryScreen.-narrow #left, DiscoveryScreen.-narrow #right { width: 1fr; }
    DiscoveryScreen.-short #score { height: 11; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._followed = ""

    def compose_body(self) -> ComposeResult:
        """Sessions and trials at the left, text and verdicts at the right."""
        glyphs = self.shell.glyphs
        with Horizontal():
            with Vertical(id="left"):
                yield LineTable(
                    SESSION_COLUMNS,
                    empty="r starts a session (no key needed)",
                    glyphs=glyphs,
                    id="sessions",
                    classes="pane",
                )
                yield LineTable(TRIAL_COLUMNS, empty="nothing tried yet", glyphs=glyphs, id="trials", classes="pane")
            with Vertical(id="right"):
                yield StreamView(empty="the researcher's words appear here", id="stream", classes="pane")
                with ScoreScroll(id="score", classes="pane"):
                    yield Scorecard(glyphs=glyphs, id="scorecard")

    def first_focus(self) -> Widget:
        """The trials."""
        return self.query_one("#trials", LineTable)

    @property
    def view(self) -> SessionView | None:
        """The session chosen."""
        key = self.query_one("#sessions", LineTable).cursor_key
        return self.store.sessions.get(key or "")

    def flush(self, topics: set[str]) -> None:
        """Redraw what changed."""
        if not topics & {"all", "session"}:
            return
        running = self.store.running_session
        sessions = self.query_one("#sessions", LineTable)
        views = list(reversed(self.store.sessions.values()))
        sessions.set_rows([(v.session_id, self._session_cells(v)) for v in views])
        entitle(sessions, f"sessions {len(views)}")
        if running is not None and running.session_id != self._followed:
            # A new session takes the eye once; after that the cursor is the reader's.
            self._followed = running.session_id
            sessions.move_to(running.session_id)
        self._flush_session()

    def _flush_session(self) -> None:
        view = self.view
        trials = self.query_one("#trials", LineTable)
        stream = self.query_one("#stream", StreamView)
        if view is None:
            trials.set_rows([])
            stream.show_lines((), 0, "")
            entitle(trials, "tried")
            entitle(stream, "researcher")
            self._flush_score()
            return
        shown = [t for t in view.trials.values() if self.needle in f"{t.name} {t.expression} {t.status}".lower()]
        at_end = trials.cursor_row >= len(trials.keys) - 1
        trials.set_rows([(t.key, self._trial_cells(t)) for t in shown])
        if at_end and shown and view.status == "running":
            trials.move_to(shown[-1].key)
        passed = sum(t.status == "accepted" for t in shown)
        saved = f"{len(view.accepted)} saved as candidates: enter opens them in 2 Pipeline" if view.accepted else ""
        entitle(trials, self.chip(f"tried {len(shown)}, passed {passed}"), saved)
        stream.show_lines(tuple(view.lines), view.dropped, view.session_id)
        cost = f", ${view.cost_usd:.4f}" if view.cost_usd else ""
        doing = f"{view.iteration}/{view.max_iterations} {view.phase}" if view.status == "running" else view.status
        entitle(stream, f"{view.researcher}: {doing}{cost}", "" if stream.following else "t follows the tail")
        self._flush_score()

    def _flush_score(self) -> None:
        row = self._row()
        self.query_one("#scorecard", Scorecard).show_trial(row)
        entitle(self.query_one("#score"), row.name if row is not None else "verdicts")

    def _row(self) -> TrialRow | None:
        view = self.view
        key = self.query_one("#trials", LineTable).cursor_key
        return view.trials.get(key or "") if view is not None else None

    def _session_cells(self, v: SessionView) -> dict[str, Cell]:
        glyphs = self.shell.glyphs
        sign = {"running": glyphs.play, "success": glyphs.mark}.get(v.status, glyphs.ok)
        role = {"running": "accent", "success": "ok", "error": "crit"}.get(v.status, "muted")
        return {
            "sign": (sign, role),
            "goal": (v.goal or v.session_id, ""),
            "state": (v.status, role),
            "tried": (str(len(v.trials)), "muted"),
        }

    def _trial_cells(self, t: TrialRow) -> dict[str, Cell]:
        glyphs = self.shell.glyphs
        sign, role = {
            "accepted": (glyphs.mark, "ok"),
            "rejected": (glyphs.killed, "muted"),
            "refused": (glyphs.killed, "warn"),
            "repeat": (glyphs.stale, "muted"),
        }.get(t.status, (glyphs.ok, "accent"))
        agents = ""
        if t.scored is not None:
            agents = "".join(glyphs.mark if a.passed else glyphs.ok for a in t.scored.agents)
        return {
            "sign": (sign, role),
            "iteration": (str(t.iteration), "muted"),
            "name": (t.name, "" if t.status != "refused" else "muted"),
            "expression": (t.expression, "muted"),
            "strip": (self._strip(t), role),
            "t": (number(t.scored.score_t, 1) if t.scored is not None else "--", role),
            "agents": (agents, role),
        }

    def _strip(self, t: TrialRow) -> str:
        """T against the line that it had to pass."""
        return dot_strip(t.scored.score_t, t.scored.line_t, STRIP_CELLS, self.shell.glyphs) if t.scored else ""

    def on_line_table_highlighted(self, event: LineTable.Highlighted) -> None:
        """Another session or another expression."""
        if event.table.id == "sessions":
            self._flush_session()
        else:
            self._flush_score()

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        """Enter on an accepted expression opens its card."""
        view = self.view
        row = view.trials.get(event.key or "") if view is not None and event.table.id == "trials" else None
        if row is not None and row.status == "accepted":
            self.shell.navigator.open_card(row.name)

    def why_not(self, action: str, parameters: tuple[object, ...]) -> str:
        """One session at a time."""
        running = self.store.running_session is not None
        if action == "run":
            return "a session runs already" if running else ""
        if action == "cancel":
            return "" if running else "no session runs"
        return ""

    def under_cursor(self) -> tuple[str, dict[str, Any] | None]:
        """The expression, or all that was found about it."""
        row = self._row()
        if row is None:
            return "", None
        return row.expression, to_dict(row.scored) if row.scored is not None else {"expression": row.expression}

    def action_run(self) -> None:
        """Ask for a goal, then start."""
        self.shell.sessions.ask_start()

    def action_cancel(self) -> None:
        """Ask, then cancel the running session."""
        self.shell.sessions.ask_cancel()

    def action_follow(self) -> None:
        """Follow the tail of the stream."""
        self.query_one("#stream", StreamView).action_follow()
