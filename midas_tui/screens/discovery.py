"""Discovery: sessions as a tree with a map, why each expression was refused, the researcher's words as they come."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container

from midas_engine.events import to_dict
from midas_tui.expression_diff import change_words
from midas_tui.formats import clock_time, dot_strip, elide, number
from midas_tui.screens.base import ModeScreen
from midas_tui.session_tree import ASCII_LINES, LINES, Node, flat_of, tree_of, trial_key
from midas_tui.widgets.columns import REST, LazyRow, Row
from midas_tui.widgets.line_table import Cell, Column, LineTable
from midas_tui.widgets.scorecard import Scorecard, told
from midas_tui.widgets.scrolling import ScrollPane
from midas_tui.widgets.stream_view import StreamView
from midas_tui.widgets.titles import entitle
from midas_tui.widgets.trial_map import NONE_YET, TrialMap
from midas_tui.widgets.trial_map import title as map_title

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.widget import Widget

    from midas_tui.session_view import SessionView, TrialRow

STRIP_CELLS = 12
NO_SESSION = "r starts a session (no key needed)"
# Cells of a session's line that are neither its goal nor what is said of it: margins, sign, scroll bar.
AROUND = 5
TREE_COLUMNS = (
    Column("sign", "", 1),
    Column("name", "plans, expressions", 18, right=False, grow=True, most=28),
    Column("t", "t", 5, 1),
    Column("strip", "t and line", STRIP_CELLS, 2, right=False),
    Column("words", "state", 16, 1, right=False, grow=True, cut_end=True),
)


class DiscoveryScreen(ModeScreen):
    """Start a session, watch it think, see why each expression was refused."""

    mode_name: ClassVar[str] = "discovery"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "run", "run session", id="discovery.run"),
        Binding("c", "cancel", "cancel", id="discovery.cancel"),
        Binding("R", "rerun", "run again", id="discovery.rerun"),
        Binding("o", "resume", "go on", id="discovery.resume"),
        Binding("v", "replay", "repeat from its record", id="discovery.replay"),
        Binding("t", "follow", "follow tail", id="discovery.follow"),
        Binding("h,left", "fold(False)", "fold", show=False, id="discovery.fold"),
        Binding("l,right", "fold(True)", "unfold", show=False, id="discovery.unfold"),
    ]
    CSS = """
    DiscoveryScreen #panes { layout: horizontal; height: 1fr; }
    DiscoveryScreen #left { width: 3fr; height: 1fr; }
    DiscoveryScreen #right { width: 2fr; height: 1fr; }
    DiscoveryScreen #map { height: 8; padding: 0; }
    DiscoveryScreen #tree { height: 1fr; }
    DiscoveryScreen #detail { height: 3fr; }
    DiscoveryScreen #stream { height: 2fr; }
    DiscoveryScreen.-narrow #panes { layout: vertical; }
    DiscoveryScreen.-narrow #left, DiscoveryScreen.-narrow #right { width: 1fr; }
    DiscoveryScreen.-narrow #left { height: 3fr; }
    DiscoveryScreen.-narrow #right { height: 2fr; layout: horizontal; }
    DiscoveryScreen.-narrow #detail { width: 3fr; height: 1fr; }
    DiscoveryScreen.-narrow #stream { width: 2fr; height: 1fr; }
    DiscoveryScreen.-short #map { height: 3; }
    DiscoveryScreen.-high #map { height: 12; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._followed = ""
        self._folds: dict[str, bool] = {}
        self._by_key: dict[str, Node] = {}
        self._drawn: dict[str, tuple[object, Row]] = {}
        self._tail = ""

    def compose_body(self) -> ComposeResult:
        """Map and tree at the left, verdicts and text at the right; above one another on a narrow screen."""
        glyphs = self.shell.glyphs
        with Container(id="panes"):
            with Container(id="left"):
                with Container(id="map", classes="pane"):
                    yield TrialMap(glyphs=glyphs, id="trial-map")
                tree = LineTable(
                    TREE_COLUMNS,
                    empty="loading ...",
                    glyphs=glyphs,
                    id="tree",
                    classes="pane",
                )
                tree.keeps_cursor_seen = False  # a session that starts comes above, and is what one looks for
                yield tree
            with Container(id="right"):
                with ScrollPane(id="detail", classes="pane"):
                    yield Scorecard(glyphs=glyphs, id="scorecard")
                yield StreamView(empty="the researcher speaks here", id="stream", classes="pane")

    def first_focus(self) -> Widget:
        """The tree."""
        return self.table

    @property
    def table(self) -> LineTable:
        """Sessions, plans and expressions."""
        return self.query_one("#tree", LineTable)

    @property
    def node(self) -> Node | None:
        """The row under the cursor."""
        return self._by_key.get(self.table.cursor_key or "")

    @property
    def view(self) -> SessionView | None:
        """The session chosen: the one the cursor is in."""
        node = self.node
        return node.session if node is not None else None

    def flush(self, topics: set[str]) -> None:
        """Redraw what changed."""
        if not topics & {"all", "session", "phase"}:
            return
        self.shell.sessions.remember()
        table, running = self.table, self.store.running_session
        at_tail = table.cursor_key == self._tail
        nodes = self._listed()
        self._by_key = {node.key: node for node in nodes}
        self._drawn = {node.key: self._row(node) for node in nodes}
        none = f"nothing matches {self.needle}: esc clears the filter" if self.needle else NO_SESSION
        table.say_when_empty(self._awaited or none)
        table.set_rows([(key, row) for key, (_, row) in self._drawn.items()])
        if running is not None and running.session_id != self._followed:
            # A new session takes the eye once; after that the cursor is the reader's.
            self._followed, at_tail = running.session_id, True
        # Its last expression may come with its end.
        followed = self.store.sessions.get(self._followed)
        if followed is not None:
            newest = next(reversed(followed.trials.values()), None)
            tail = trial_key(followed, newest) if newest is not None else followed.session_id
            if at_tail:
                table.move_to(tail)
            self._tail = tail
        sessions = len(self.store.sessions)
        tried = sum(v.tried for v in self.store.sessions.values())
        saved = sum(len(v.accepted) for v in self.store.sessions.values())
        count = f"{sessions} session{'s' * (sessions != 1)}, {tried} tried, {saved} saved" if sessions else "sessions"
        entitle(table, self.chip(count), "enter on what was saved opens it in 2 Pipeline" if saved else "")
        self._flush_session()

    @property
    def _awaited(self) -> str:
        """What is waited for before it is known whether there were sessions."""
        return self.store.awaited or self.store.earlier_awaited

    def _listed(self) -> list[Node]:
        sessions = list(reversed(self.store.sessions.values()))
        if self.table.sorted and (self.view or sessions):
            return flat_of(self.view or sessions[0], self._wanted)
        guides = ASCII_LINES if self.shell.glyphs.ascii else LINES
        return tree_of(sessions, self._is_open, self._wanted, guides)

    def _is_open(self, session: SessionView) -> bool:
        newest = next(reversed(self.store.sessions), "")
        default = session.running or (session.session_id == newest and not session.earlier) or bool(self.needle)
        return self._folds.get(session.session_id, default)

    def _wanted(self, t: TrialRow) -> bool:
        return not self.needle or self.needle in f"{t.name} {t.expression} {t.status} {t.why}".lower()

    def _flush_session(self) -> None:
        view = self.view
        stream, map_ = self.query_one("#stream", StreamView), self.query_one("#trial-map", TrialMap)
        map_.show_session(view, self._awaited or NONE_YET)
        if view is None:
            stream.show_lines((), 0, "")
            entitle(stream, "researcher")
            entitle(self.query_one("#map"), "t against the line")
            self._flush_detail()
            return
        stream.show_lines(tuple(view.lines), view.dropped, view.session_id)
        entitle(self.query_one("#map"), map_title(view))
        entitle(stream, f"{view.researcher}: {self._doing(view)}", "" if stream.following else "t follows the tail")
        self._flush_detail()

    def _flush_detail(self) -> None:
        node = self.node
        none = self._awaited or ("nothing chosen" if self._by_key else "r starts a session: its verdicts stand here")
        self.query_one("#scorecard", Scorecard).show_node(node, none)
        title = "verdicts"
        if node is not None:
            title = node.trial.name if node.trial is not None else f"plan {node.iteration}" if node.iteration else ""
        entitle(self.query_one("#detail"), title or "session")

    def _doing(self, v: SessionView) -> str:
        if not v.running:
            return v.status
        return f"{v.iteration}/{v.max_iterations} {v.phase}".strip() if v.iteration else "starting"

    # -- cells -----------------------------------------------------------------------------------

    def _row(self, node: Node) -> tuple[object, Row]:
        """A row with what it shows; that of an expression is made when it is seen, and kept while it shows the same."""
        t = node.trial
        if t is None:
            return None, self._cells(node)
        shows = (node.guide, t.name, t.expression, t.status, t.why, t.parent, t.scored)
        known = self._drawn.get(node.key)
        if known is not None and known[0] == shows:
            return known
        return shows, LazyRow(shows, partial(self._cells, node))

    def _cells(self, node: Node) -> Mapping[str, Cell]:
        if node.trial is not None:
            return self._trial_cells(node, node.trial)
        if node.iteration:
            plan = node.session.plans.get(node.iteration, "")
            return {"sign": ("", ""), REST: (f"{node.guide}{node.iteration}. {plan}", "muted")}
        return self._session_cells(node.session)

    def _session_cells(self, v: SessionView) -> Mapping[str, Cell]:
        glyphs = self.shell.glyphs
        sign = {"running": glyphs.play, "success": glyphs.mark, "error": glyphs.killed}.get(v.status, glyphs.ok)
        role = {"running": "accent", "success": "ok", "error": "crit"}.get(v.status, "muted")
        state = f"running {self._doing(v)}" if v.running else v.status
        saved = f", {len(v.accepted)} saved" if v.accepted else ""
        told = f"{'again, ' if v.replayed else ''}{state}, {v.tried} tried{saved}"
        fold = "-" if self._is_open(v) else "+"
        begun = v.began
        at = clock_time(begun, date=v.earlier) if begun is not None else ""
        room = self.table.size.width - len(f"{fold} {at} : {told}") - AROUND
        goal = elide(v.goal or v.session_id, max(12, room), glyphs.ellipsis)
        return {"sign": (sign, role), REST: (f"{fold} {at} {goal}: {told}", role if v.running else "")}

    def _trial_cells(self, node: Node, t: TrialRow) -> Mapping[str, Cell]:
        glyphs = self.shell.glyphs
        sign, role = {
            "accepted": (glyphs.mark, "ok"),
            "rejected": (glyphs.killed, "muted"),
            "refused": (glyphs.killed, "warn"),
            "repeat": (glyphs.stale, "muted"),
        }.get(t.status, (glyphs.ok, "accent"))
        scored = t.scored
        strip = dot_strip(scored.score_t, scored.line_t, STRIP_CELLS, glyphs) if scored is not None else ""
        return {
            "sign": (sign, role),
            "name": (node.guide + t.name, "" if t.status != "refused" else "muted"),
            "t": (number(scored.score_t, 1) if scored is not None else "--", role),
            "strip": (strip, role),
            "words": (self._words(node.session, t), role),
        }

    def _words(self, v: SessionView, t: TrialRow) -> str:
        """What it changed in its parent, and where it stands."""
        parent = v.trials.get(t.parent)
        if parent is None:
            return t.brief
        arrow = "->" if self.shell.glyphs.ascii else "→"
        return f"{change_words(parent.expression, t.expression, arrow)}: {t.brief}"

    # -- what the user does ----------------------------------------------------------------------

    def on_line_table_highlighted(self, event: LineTable.Highlighted) -> None:
        """Another session or another expression."""
        super().on_line_table_highlighted(event)
        if self.view is not None:
            self.shell.sessions.recall(self.view)  # of an earlier one only its line in the list is known
        self._flush_session()

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        """Enter folds a session, opens the card of what was saved, or shows all of what was not."""
        node = self._by_key.get(event.key or "")
        if node is None:
            return
        if node.trial is None and not node.iteration:
            self._fold(node.session, not self._is_open(node.session))
        elif node.trial is not None and node.trial.status == "accepted":
            self.shell.navigator.open_card(node.trial.name)
        else:
            title = node.trial.name if node.trial is not None else f"plan {node.iteration}"
            self.shell.overlays.show_text(title, told(node, self.shell.glyphs))

    def sort_table(self, table: LineTable, column: str) -> None:
        """A heading lists the expressions of the session chosen in its order; once more turns it, then the tree."""
        if column != "sign":
            table.sort_by(column)
            self.flush({"all"})

    def _fold(self, session: SessionView, unfold: bool) -> None:
        self._folds[session.session_id] = unfold
        if unfold:
            self.shell.sessions.recall(session)
        self.flush({"all"})
        if not unfold:
            self.table.move_to(session.session_id)

    def why_not(self, action: str, parameters: tuple[object, ...]) -> str:
        """What the session under the cursor, the base and the engine allow."""
        sessions, view = self.shell.sessions, self.view
        match action:
            case "run":
                return sessions.refusal()
            case "rerun":
                return sessions.refusal() or ("" if view is not None else "no session is chosen")
            case "resume":
                return sessions.why_not_resume(view)
            case "replay":
                return sessions.why_not_replay(view)
            case "cancel":
                return sessions.why_not_cancel(self._cancelled)
        return ""

    @property
    def _cancelled(self) -> SessionView | None:
        """What `c` is about: the session under the cursor while it runs, else the one that began last."""
        view = self.view
        return view if view is not None and view.running else self.store.running_session

    def under_cursor(self) -> tuple[str, dict[str, Any] | None]:
        """The expression, or all that was found about it."""
        node = self.node
        if node is None:
            return "", None
        row = node.trial
        if row is None:
            return node.session.plans.get(node.iteration, node.session.goal), {"session": node.session.session_id}
        return row.expression, to_dict(row.scored) if row.scored is not None else {"expression": row.expression}

    def action_run(self) -> None:
        """Ask for a session, then start it."""
        self.shell.sessions.ask_start()

    def action_rerun(self) -> None:
        """Ask for a session like the one under the cursor."""
        self.shell.sessions.ask_start(self.view)

    def action_resume(self) -> None:
        """Ask, then go on with the session under the cursor."""
        self.shell.sessions.ask_resume(self.view)

    def action_replay(self) -> None:
        """Repeat the session under the cursor from its record."""
        self.shell.sessions.replay(self.view)

    def action_cancel(self) -> None:
        """Ask, then cancel the session under the cursor, or the one that runs."""
        self.shell.sessions.ask_cancel(self._cancelled)

    def action_follow(self) -> None:
        """Follow the tail of the stream, and the newest expression."""
        self.query_one("#stream", StreamView).action_follow()
        self.table.move_to(self._tail)

    def action_fold(self, unfold: bool) -> None:
        """Fold the session under the cursor, or unfold it."""
        view = self.view
        if view is not None:
            self._fold(view, unfold)
