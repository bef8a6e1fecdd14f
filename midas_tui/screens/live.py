"""Live: every feature with its gauges, two charts of the chosen one, the alert feed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from midas_tui.formats import days, number, ratio_bar, sparkline, with_error
from midas_tui.screens.base import ModeScreen
from midas_tui.theme import role_of
from midas_tui.widgets.alert_rows import ALERT_COLUMNS, alert_cells
from midas_tui.widgets.chart import Chart, Gate
from midas_tui.widgets.line_table import Cell, Column, LineTable

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

    from midas_engine.models import FeatureMetrics

FEATURE_COLUMNS = (
    Column("sign", "", 1),
    Column("name", "feature", 18, right=False, grow=True),
    Column("ic5d", "ic 5d ±se", 11, 1),
    Column("ic30d", "ic 30d ±se", 11, 2),
    Column("bar", "5d/30d", 9, 4, right=False),
    Column("ratio", "ratio", 5, 1),
    Column("slip", "slip", 6, 2),
    Column("bps", "bps/d", 7, 2),
    Column("decay", "ln S", 9, 5),
    Column("detect", "detect", 6, 3),
    Column("spark", "ic 5d, 60 bars", 20, 6),
)
SORTS = ("severity", "name", "ic5d", "ratio", "slip", "bps")
_SEVERITY = {
    "killed": 0,
    "critical": 1,
    "warning": 2,
    "stale": 3,
    "uncalibrated": 4,
    "warming": 5,
    "healthy": 6,
    "paused": 7,
}


class LiveScreen(ModeScreen):
    """What is live, is it healthy, what needs me now."""

    mode_name: ClassVar[str] = "live"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort(1)", "sort", id="live.sort"),
        Binding("S", "reverse", "reverse", show=False, id="live.reverse"),
        Binding("a", "acknowledge", "ack", id="alerts.ack"),
        Binding("A", "acknowledge_all", "ack all", show=False, id="alerts.ack_all"),
        Binding("w", "snooze", "snooze", id="alerts.snooze"),
        Binding("D", "diagnose", "diagnose", id="alerts.diagnose"),
    ]
    CSS = """
    LiveScreen #live-top { height: 1fr; }
    LiveScreen #features { width: 3fr; }
    LiveScreen .pane { border: round $frame; border-title-color: $muted; }
    LiveScreen .pane:focus, LiveScreen .pane:focus-within { border: round $accent; border-title-color: $accent; }
    LiveScreen #detail { width: 2fr; max-width: 70; display: none; }
    LiveScreen.-normal #detail, LiveScreen.-wide #detail { display: block; }
    LiveScreen #facts { height: auto; padding: 0 1; }
    LiveScreen #alerts { height: 9; }
    LiveScreen.-short .pane { border: none; }
    LiveScreen.-short #alerts { height: 4; }
    LiveScreen.-normal.-short #detail { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.sort = 0
        self.descending = False

    def compose_body(self) -> ComposeResult:
        """Table and charts above, alerts below."""
        glyphs = self.midas.glyphs
        with Horizontal(id="live-top"):
            yield LineTable(FEATURE_COLUMNS, empty="no live feature yet", glyphs=glyphs, id="features", classes="pane")
            with Vertical(id="detail", classes="pane"):
                yield Chart("ic", glyphs=glyphs, id="ic-chart")
                yield Chart("slippage", glyphs=glyphs, digits=2, id="slip-chart")
                yield Static("", id="facts", markup=False)
        yield LineTable(ALERT_COLUMNS, empty="no alert is open", glyphs=glyphs, id="alerts", classes="pane")

    def first_focus(self) -> Widget:
        """The feature table."""
        return self.query_one("#features", LineTable)

    def flush(self, topics: set[str]) -> None:
        """Redraw what changed."""
        if topics & {"all", "metrics", "bar"}:
            self._flush_features()
            self._flush_detail()
        if topics & {"all", "alerts"}:
            self._flush_alerts()

    def _flush_features(self) -> None:
        table = self.query_one("#features", LineTable)
        shown = [m for m in self.store.metrics.values() if self.needle in m.feature.lower()]
        shown.sort(key=self._sort_key, reverse=self.descending)
        table.set_rows([(m.feature, self._cells(m)) for m in shown])
        order = SORTS[self.sort] + (" reversed" if self.descending else "")
        table.border_title = self.chip(f"features {len(shown)}/{len(self.store.metrics)}")
        table.border_subtitle = f"sort: {order}"

    def _sort_key(self, m: FeatureMetrics) -> tuple[float | str, str]:
        values: dict[str, float | str] = {
            "severity": _SEVERITY.get(m.status, 5),
            "name": m.feature,
            "ic5d": -_low(m.ic_5d.value),
            "ratio": _high(m.ic_ratio),
            "slip": -_low(m.slippage_ratio),
            "bps": _high(m.pnl_1d_bps),
        }
        return values[SORTS[self.sort]], m.feature

    def _cells(self, m: FeatureMetrics) -> dict[str, Cell]:
        glyphs = self.midas.glyphs
        role = role_of(m.status)
        ratio_role = _graded(m.ic_ratio, 0.7, 0.5)
        slip_role = _graded(-m.slippage_ratio, -1.5, -2.0)
        spark = self.store.sparks.get(m.feature, ())
        decay = f"{number(m.decay_log_s, 1)}/{number(m.decay_threshold, 1, signed=False)}"
        over = math.isfinite(m.decay_log_s) and m.decay_log_s >= m.decay_threshold
        return {
            "sign": (glyphs.status(m.status), role),
            "name": (m.feature, "muted" if m.status in ("paused", "killed") else ""),
            "ic5d": (with_error(m.ic_5d), ""),
            "ic30d": (with_error(m.ic_30d), ""),
            "bar": (ratio_bar(m.ic_ratio, 9, glyphs), ratio_role),
            "ratio": (number(m.ic_ratio, 2, signed=False), ratio_role),
            "slip": (_times(m.slippage_ratio), slip_role),
            "bps": (number(m.pnl_1d_bps, 1), "crit" if m.pnl_1d_bps < -50 else ""),
            "decay": (decay if m.expected_score is not None else "uncalib.", "crit" if over else "muted"),
            "detect": (days(m.days_to_detect_drop), "muted"),
            "spark": (sparkline(spark, 20, glyphs), "ok"),
        }

    @property
    def chosen(self) -> str | None:
        """The feature under the cursor."""
        return self.query_one("#features", LineTable).cursor_key

    def on_line_table_highlighted(self, event: LineTable.Highlighted) -> None:
        """Another feature: other charts."""
        if event.table.id == "features":
            self._flush_detail()

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        """Enter opens the feature's card, or the alert's feature."""
        if event.table.id == "features" and event.key is not None:
            self.midas.open_card(event.key)
        elif event.key is not None and event.key in self.store.alerts:
            self.query_one("#features", LineTable).move_to(self.store.alerts[event.key].feature)
            self.query_one("#features", LineTable).focus()

    def _flush_detail(self) -> None:
        name = self.chosen
        metrics = self.store.metrics.get(name or "")
        detail = self.query_one("#detail")
        if metrics is None or name is None:
            detail.border_title = "no feature"
            return
        detail.border_title = name
        data = self.runtime.chart(name) if self.runtime is not None and detail.display else None
        if data is not None:
            short, long = data.series.get("ic_5d", ()), data.series.get("ic_30d", ())
            slip = data.series.get("slippage_ratio", ())
            gates = [Gate(0.0, "zero", "muted")]
            if math.isfinite(metrics.ic_30d.value) and metrics.ic_30d.value > 0:
                gates.append(Gate(0.5 * metrics.ic_30d.value, "half", "crit"))
                gates.append(Gate(0.7 * metrics.ic_30d.value, "0.7", "warn"))
            self.query_one("#ic-chart", Chart).show(
                (short, long), gates, f"5d {with_error(metrics.ic_5d)}  30d {with_error(metrics.ic_30d)}"
            )
            self.query_one("#slip-chart", Chart).show(
                (slip,),
                (Gate(1.5, "1.5", "warn"), Gate(2.0, "2.0", "crit")),
                f"{_times(metrics.slippage_ratio)} of expected",
            )
        self.query_one("#facts", Static).update(_facts(metrics))

    # -- alerts ----------------------------------------------------------------------------------

    def _flush_alerts(self) -> None:
        table = self.query_one("#alerts", LineTable)
        running = self.store.open_alerts
        table.set_rows([(a.id, alert_cells(a, self.midas.glyphs)) for a in running])
        criticals, warnings = self.store.counts
        glyphs = self.midas.glyphs
        table.border_title = f"alerts {glyphs.critical}{criticals} {glyphs.warning}{warnings}"

    @property
    def chosen_alert(self) -> str | None:
        """The alert under the cursor, or the loudest one of the chosen feature."""
        table = self.query_one("#alerts", LineTable)
        if table.has_focus:
            return table.cursor_key
        return next((a.id for a in self.store.open_alerts if a.feature == self.chosen), table.cursor_key)

    def action_sort(self, by: int) -> None:
        """Next sort order."""
        self.sort = (self.sort + by) % len(SORTS)
        self._flush_features()

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.descending = not self.descending
        self._flush_features()

    async def action_acknowledge(self) -> None:
        """Acknowledge the chosen alert."""
        await self.midas.acknowledge([self.chosen_alert] if self.chosen_alert else [])

    async def action_acknowledge_all(self) -> None:
        """Acknowledge every alert shown."""
        await self.midas.acknowledge([a.id for a in self.store.open_alerts if a.status == "open"])

    def action_snooze(self) -> None:
        """Snooze the chosen alert."""
        self.midas.snooze(self.chosen_alert)

    async def action_diagnose(self) -> None:
        """Ask for a diagnosis of the chosen feature."""
        await self.midas.diagnose(self.chosen)


def _low(value: float) -> float:
    return value if math.isfinite(value) else -1e9


def _high(value: float) -> float:
    return value if math.isfinite(value) else 1e9


def _times(value: float) -> str:
    return f"{value:.2f}x" if math.isfinite(value) else "--"


def _graded(value: float, warning: float, critical: float) -> str:
    if not math.isfinite(value):
        return "muted"
    return "crit" if value < critical else "warn" if value < warning else "ok"


def _facts(m: FeatureMetrics) -> Content:
    expected = "uncalibrated: no critical, no kill" if m.expected_score is None else f"{m.expected_score:+.4f}"
    lines = (
        ("status", m.status),
        ("expected score", expected),
        ("days to notice death / flip", f"{days(m.days_to_detect_drop)} / {days(m.days_to_detect_flip)}"),
        ("false alarms a year", number(m.false_alarms_per_year, 1, signed=False)),
        ("kill ln E", f"{number(m.kill_log_e, 1)} / {number(m.decay_threshold, 1, signed=False)}"),
        (
            "turnover, half-life",
            f"{number(m.turnover, 2, signed=False)} a bar, {number(m.half_life_hours, 0, signed=False)} h",
        ),
        (
            "net 1d, coverage",
            f"{number(m.pnl_net_1d_bps, 1)} bps, {m.coverage:.0%}" if math.isfinite(m.coverage) else "--",
        ),
    )
    parts: list[tuple[str, str] | str] = []
    for label, value in lines:
        parts += [(f"{label:<28}", "$muted"), f"{value}\n"]
    return Content.assemble(*parts)
