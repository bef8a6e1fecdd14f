"""Live: every feature with its gauges, charts of the chosen one, the alert feed."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from midas_engine.events import FeatureTicked, to_dict
from midas_tui.legend import column_meaning
from midas_tui.modals.feature import FeatureModal
from midas_tui.screens.base import ModeScreen
from midas_tui.screens.live_detail import FeatureDetail, facts
from midas_tui.screens.live_rows import (
    FEATURE_COLUMNS,
    ORDER,
    SEVERITY,
    SORT_HEADINGS,
    SORTS,
    feature_cells,
    portfolio_words,
)
from midas_tui.widgets.alert_rows import ALERT_COLUMNS, alert_row, copied_alert
from midas_tui.widgets.line_table import Cell, LazyRow, LineTable, Row
from midas_tui.widgets.time_axis import NO_BAR, TimeAxis
from midas_tui.widgets.titles import entitle, give_lines
from midas_tui.widgets.watch_rows import left_rows, unwatched_rows, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.app import ComposeResult
    from textual.content import Content
    from textual.widget import Widget

    from midas_engine.models import FeatureMetrics

WINDOWS = ((10, "10 d"), (30, "30 d"), (3, "3 d"))
# The feed with one alert, and with four; the axis with a chart of at least three lines.
LEAST_FEED_LINES, FEED_LINES, AXIS_LINES = 3, 7, 10
RESOLVED_SHOWN = 50


class LiveScreen(ModeScreen):
    """What is live, is it healthy, what needs me now."""

    mode_name: ClassVar[str] = "live"
    KEPT: ClassVar[Mapping[str, int]] = {"sort": len(SORTS), "descending": 2, "window": len(WINDOWS), "of_feature": 2}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort(1)", "sort", id="live.sort"),
        Binding("S", "reverse", "reverse", show=False, id="live.reverse"),
        Binding("a", "acknowledge", "ack", id="alerts.ack"),
        Binding("A", "acknowledge_all", "ack all shown", show=False, id="alerts.ack_all"),
        Binding("w", "snooze", "snooze", id="alerts.snooze"),
        Binding("D", "diagnose", "diagnose", id="alerts.diagnose"),
        Binding("m", "money", "book or feature over time", show=False, id="live.money"),
        Binding("right,l", "column(1)", "next column: ? says what it means", show=False, id="live.next_column"),
        Binding("left,h", "column(-1)", "previous column", show=False, id="live.previous_column"),
        Binding("i", "window", "chart window", show=False, id="live.window"),
    ]
    CSS = """
    LiveScreen #live-left { width: 1fr; }
    LiveScreen #features { height: 3fr; }
    LiveScreen #alerts { height: 1fr; min-height: 5; }
    LiveScreen #time { height: 2fr; min-height: 10; max-height: 24; display: none; }
    LiveScreen.-high #time, LiveScreen.-money #time { display: block; }
    LiveScreen #detail { width: 46; display: none; }
    LiveScreen.-normal #detail { width: 42; }
    LiveScreen.-wide #detail { width: 48; }
    LiveScreen.-vast #detail { width: 72; }
    LiveScreen.-normal.-tall #detail, LiveScreen.-wide #detail { display: block; }
    LiveScreen.-short #features { height: 12fr; }
    LiveScreen.-short #alerts { min-height: 0; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.sort = 0
        self.descending = False
        self.window = 0
        self._lazy: dict[str, tuple[FeatureMetrics, bool, LazyRow]] = {}
        self._called: frozenset[str] = frozenset()
        self._detail: tuple[object, ...] = ()
        self.of_feature = False
        self._drawn_time: tuple[object, ...] = ()
        self._seen_past = False

    def compose_body(self) -> ComposeResult:
        """Table over alerts at the left, charts and figures at the right."""
        glyphs = self.shell.glyphs
        with Horizontal(id="live-body"):
            with Vertical(id="live-left"):
                yield LineTable(FEATURE_COLUMNS, empty="loading ...", glyphs=glyphs, id="features", classes="pane")
                yield TimeAxis(glyphs=glyphs, id="time", classes="pane")
                yield LineTable(ALERT_COLUMNS, empty="loading ...", glyphs=glyphs, id="alerts", classes="pane")
            yield FeatureDetail(glyphs, id="detail", classes="pane")

    def first_focus(self) -> Widget:
        """The feature table."""
        return self.query_one("#features", LineTable)

    def flush(self, topics: set[str]) -> None:
        """Redraw what changed."""
        if topics & {"all", "metrics", "bar", "pipeline", "phase"} or self.store.called != self._called:
            self._flush_features()
        if topics & {"all", "alerts", "phase"}:
            self._flush_alerts()
        if topics & {"all", "metrics", "bar", "pipeline", "alerts", "phase"}:
            self._flush_time()
            self._flush_detail()

    # -- money and time --------------------------------------------------------------------------

    def _flush_time(self) -> None:
        self.shell.past.again()
        axis = self.query_one("#time", TimeAxis)
        axis.say_when_empty(self.store.awaited or NO_BAR)
        if self.store.past is None and self._seen_past:  # not before: a cursor that just moved is still to be told of
            axis.release()
        self._seen_past = self.store.past is not None
        if not axis.display or self.runtime is None:
            return
        name = self.chosen or "" if self.of_feature else ""
        pipeline = self.store.pipeline if self.runtime.mode != "REPLAY" else None
        store = self.store
        drawn = (store.bar, name, pipeline, len(store.alerts), axis.size, store.past, store.answers)
        if drawn == self._drawn_time:
            return
        self._drawn_time = drawn
        axis.show_time(self.runtime.queries.timeline(name, pipeline))
        title = axis.heading(f"{name}, by itself" if name else "the book, all that count")
        entitle(axis, title, "m book or feature, left and right go back in time")

    def on_time_axis_moved(self, event: TimeAxis.Moved) -> None:
        """Every pane goes to that moment, unless the cursor has left it meanwhile."""
        if event.at == self.query_one("#time", TimeAxis).moment:
            self.shell.past.go(event.at)

    def action_money(self) -> None:
        """The book, or the feature under the cursor."""
        self.of_feature = not self.of_feature
        self.remember()
        self._flush_time()

    # -- features --------------------------------------------------------------------------------

    def _flush_features(self) -> None:
        table = self.query_one("#features", LineTable)
        metrics = self.store.metrics
        self._called = self.store.called
        shown = [m for m in metrics.values() if not self.needle or self.needle in m.feature.lower()]
        shown.sort(key=ORDER[SORTS[self.sort]], reverse=self.descending)
        rows = self._with_unwatched([(m.feature, self._row(m)) for m in shown], shown)
        table.set_rows(rows)
        heading, falling = SORT_HEADINGS[SORTS[self.sort]]
        table.show_sort(heading, falling=falling != self.descending)
        table.say_when_empty(self._empty())
        order = SORTS[self.sort] + (" reversed" if self.descending else "")
        book = portfolio_words(self.runtime.queries.portfolio() if self.runtime is not None and metrics else None)
        framed = self.has_class("-tall")
        words = "" if framed else "  ".join(("", f"sort {order}", book))
        below = "  ".join(t for t in (book, f"sort: {order}") if t) if framed else ""
        missing = f", {self.store.unwatched} not watched" if self.store.unwatched else ""
        count = "--" if self.store.awaited and not metrics else f"{len(shown)}/{len(metrics)}{missing}"
        entitle(table, self.chip(f"features {count}", words), below)
        # The table takes what its rows need, the feed what is left. On a short page its least height is kept here:
        # where one pane's most and the other's least are met at once, Textual gives the second one the whole page.
        asked = max(6, len(rows) + (3 if framed else 2))
        most = max(LEAST_FEED_LINES, asked if framed else min(asked, self.room - LEAST_FEED_LINES))
        give_lines(table, None if self.maximized is table else most, most=True)
        self._give_money_room(table, asked)

    def _give_money_room(self, table: LineTable, asked: int) -> None:
        """A high page always shows money over time; one of 32 lines where its table leaves room for it."""
        axis, spare = self.query_one("#time", TimeAxis), self.room - asked - FEED_LINES
        was = axis.display
        self.set_class(self.has_class("-tall") and not self.has_class("-high") and spare >= AXIS_LINES, "-money")
        given = self.has_class("-money") and self.maximized is None  # in lines: by shares the feed would have it all
        give_lines(axis, spare if given else None)
        give_lines(table, asked if given else None)
        if was and axis.has_focus and not axis.display:
            table.focus()
        elif axis.display != was:
            self.call_after_refresh(self._flush_time)

    def _with_unwatched(self, rows: list[tuple[str, Row]], shown: Sequence[FeatureMetrics]) -> list[tuple[str, Row]]:
        """Live features that nobody watches stand behind what is loud, those that left today at the end."""
        report, glyphs = self.store.report, self.shell.glyphs
        missing, gone = unwatched_rows(report, self.needle, glyphs), left_rows(report, self.needle, glyphs)
        place = len(rows)
        if SORTS[self.sort] == "severity" and not self.descending:
            place = sum(SEVERITY.get(m.status, 5) < SEVERITY["stale"] for m in shown)
        there = {key for key, _ in rows}
        extra = [(key, row) for key, row in missing if key not in there]
        return [*rows[:place], *extra, *rows[place:], *(g for g in gone if g[0] not in there)]

    def _empty(self) -> str:
        if self.needle:
            return f"no feature matches {self.needle}: esc clears the filter"
        if self.store.awaited or self.runtime is None:
            return self.store.awaited or "loading ..."
        if self.runtime.mode == "REPLAY":
            return "nothing can be watched in this recording: it is too short, or has too few columns"
        pipeline = self.store.pipeline
        if pipeline is not None and pipeline.candidates:
            return "nothing is live: 2 shows the candidates, p promotes one, b lets it run in shadow"
        return "nothing is live: 3 then r discovers candidates; midas-tui --replay shows a market"

    def _row(self, m: FeatureMetrics) -> LazyRow:
        """The row of these figures; the same one while they are the same."""
        called = m.feature in self._called
        kept = self._lazy.get(m.feature)
        if kept is None or kept[0] is not m or kept[1] != called:
            kept = self._lazy[m.feature] = (m, called, LazyRow((m, called), lambda: self._cells(m)))
        return kept[2]

    def _cells(self, m: FeatureMetrics) -> dict[str, Cell]:
        spark = self.store.spark(m.feature, self.runtime)
        shadow, called = self.store.is_shadow(m.feature), m.feature in self._called
        return feature_cells(m, spark, self.shell.glyphs, shadow=shadow, called=called)

    def action_column(self, by: int) -> None:
        """Choose a column; `?` says what it means."""
        self.query_one("#features", LineTable).choose_column(by)

    def explained(self) -> tuple[list[tuple[str, str]], str]:
        """What the columns say of the feature under the cursor, and the heading that is chosen."""
        table = self.query_one("#features", LineTable)
        m = self.store.metrics.get(self.chosen or "")
        told = [(c.title or "sign", column_meaning(c.key, m)) for c in FEATURE_COLUMNS]
        chosen = next((c.title or "sign" for c in FEATURE_COLUMNS if c.key == table.chosen_column), "")
        told += zip(("regime, over time", "events, over time"), self.query_one("#time", TimeAxis).legend(), strict=True)
        return [(word, text) for word, text in told if text], chosen

    @property
    def chosen(self) -> str | None:
        """The feature under the cursor."""
        return self.query_one("#features", LineTable).cursor_key

    def on_line_table_highlighted(self, event: LineTable.Highlighted) -> None:
        """Another feature: other charts."""
        if event.table.id == "features":
            self._flush_time()
            self._flush_detail()

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        """Enter opens the feature: its detail where there is no pane for it, else its card; or the alert's feature."""
        features = self.query_one("#features", LineTable)
        if event.table is features and event.key is not None:
            shown = self.query_one("#detail").display or event.key not in self.store.metrics
            if shown and self.store.record(event.key) is not None:
                self.shell.navigator.open_card(event.key)
            else:
                self._open_detail(event.key)
        elif event.key is not None and (found := self.store.members(event.key)):
            features.move_to(self.store.alerts[found[0]].feature)
            features.focus()

    def _flush_detail(self) -> None:
        name = self.chosen
        metrics = self.store.metrics.get(name or "")
        detail = self.query_one("#detail", FeatureDetail)
        if metrics is None or name is None or self.runtime is None:
            # No chart of another feature, and none of one that left, may stand here.
            self._detail = ()
            said = words_of(self.store.report, name or "")
            entitle(detail, name if name and said else "feature" if self.store.awaited else "no feature")
            detail.clear(said or self.store.awaited)
            return
        entitle(detail, name, f"{WINDOWS[self.window][1]}, i changes")
        if not detail.display:
            return
        alerts = tuple(a for a in self.store.open_alerts if a.feature == name)
        past = self.store.past
        drawn = (metrics, self.window, detail.size, alerts, self.store.record(name), self.store.bar)
        if drawn == self._detail and drawn[0] is self._detail[0]:
            return
        self._detail = drawn
        data = self.runtime.queries.chart(name)
        if data is not None:
            end = bisect_right(data.at, past.at) if past is not None else len(data.at)
            detail.show_charts(metrics, data, self._bars(), end)
        else:
            detail.show_no_bars()
        detail.show_facts(self._facts(metrics))

    def _bars(self) -> int:
        return max(2, round(WINDOWS[self.window][0] * self.shell.link.bars_per_day()))

    def _facts(self, metrics: FeatureMetrics) -> Content:
        name, runtime = metrics.feature, self.runtime
        alerts = [a for a in self.store.open_alerts if a.feature == name]
        forward = runtime.queries.forward(name) if runtime is not None else None
        kill = runtime.queries.kill_proposals().get(name, "") if runtime is not None else ""
        width = self.query_one("#detail", FeatureDetail).words_width
        return facts(metrics, self.store.record(name), alerts, forward, kill, width=width)

    def _open_detail(self, name: str) -> None:
        metrics = self.store.metrics.get(name)
        data = self.runtime.queries.chart(name) if self.runtime is not None else None
        if metrics is None or data is None:
            return

        def closed(wanted: str | None) -> None:
            if wanted == "card" and self.store.record(name) is not None:
                self.shell.navigator.open_card(name)
            elif wanted == "card":
                self.shell.messages.refuse(f"{name} is watched in this replay only: the pipeline has no card of it")

        modal = FeatureModal(metrics, data, self._facts(metrics), self._bars(), self.shell.glyphs)
        self.app.push_screen(modal, closed)

    def under_cursor(self) -> tuple[str, dict[str, Any] | None]:
        """The feature's figures, or the alert."""
        if self.query_one("#alerts", LineTable).has_focus:
            return copied_alert(self.store.alert(self.chosen_alert))
        metrics = self.store.metrics.get(self.chosen or "")
        if metrics is None:
            return "", None
        return metrics.feature, to_dict(FeatureTicked(at=metrics.at, metrics=metrics))["metrics"]

    # -- alerts ----------------------------------------------------------------------------------

    def _flush_alerts(self) -> None:
        table = self.query_one("#alerts", LineTable)
        running = self.store.open_incidents
        shown = [*running, *self.store.resolved_alerts[:RESOLVED_SHOWN]]
        table.say_when_empty(self.store.awaited or "no alert was raised")
        table.set_rows([(a.id, alert_row(a, self.shell.glyphs)) for a in shown])
        if not table.has_focus:
            table.action_edge(-1)  # the feed shows its newest while nobody reads it
        (criticals, warnings), glyphs = self.store.counts, self.shell.glyphs
        unseen = f"{glyphs.critical}{criticals} {glyphs.warning}{warnings}  {len(running)} running"
        entitle(table, f"alerts {'--' if self.store.awaited and not shown else unseen}")

    @property
    def chosen_alert(self) -> str | None:
        """The alert under the cursor, or the loudest one of the chosen feature."""
        table = self.query_one("#alerts", LineTable)
        if table.has_focus:
            return table.cursor_key
        return next((a.id for a in self.store.open_alerts if a.feature == self.chosen), None)

    def why_not(self, action: str, parameters: tuple[object, ...]) -> str:
        """Alerts are answered while they run."""
        if action in ("acknowledge", "snooze"):
            alert = self.store.alert(self.chosen_alert)
            return "" if alert is not None and alert.active else "no running alert here"
        if action == "diagnose":
            return "" if self.chosen is not None else "no feature here"
        return ""

    def action_sort(self, by: int) -> None:
        """Next sort order."""
        self.query_one("#features", LineTable).unsort()
        self.sort = (self.sort + by) % len(SORTS)
        self.remember()
        self._flush_features()

    def sort_table(self, table: LineTable, column: str) -> None:
        """Headings that have an order of their own stand for it; a second click turns it round."""
        wanted = next((s for s, (heading, _) in SORT_HEADINGS.items() if heading == column), None)
        if table.id != "features" or wanted is None:
            super().sort_table(table, column)
            return
        again = SORTS[self.sort] == wanted and not table.sorted
        self.descending = again and not self.descending
        self.sort = SORTS.index(wanted)
        table.unsort()
        self._flush_features()

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.descending = not self.descending
        self.remember()
        self._flush_features()

    def action_window(self) -> None:
        """The next stretch of time for the charts."""
        self.window = (self.window + 1) % len(WINDOWS)
        self.remember()
        self._flush_detail()

    async def action_acknowledge(self) -> None:
        """Acknowledge the chosen alert."""
        await self.shell.alerts.acknowledge(self.store.members(self.chosen_alert or ""))

    async def action_acknowledge_all(self) -> None:
        """Acknowledge every alert shown."""
        await self.shell.alerts.acknowledge([a.id for a in self.store.open_alerts if a.status == "open"])

    def action_snooze(self) -> None:
        """Snooze the chosen alert."""
        self.shell.alerts.snooze(self.store.members(self.chosen_alert or ""))

    async def action_diagnose(self) -> None:
        """Ask for a diagnosis of the chosen feature."""
        await self.shell.alerts.diagnose(self.chosen)
