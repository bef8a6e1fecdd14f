"""Live's right side: three charts with their gates, and the chosen feature's figures in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from midas_tui.formats import kind_words, number, with_error
from midas_tui.legend import promise
from midas_tui.screens.card import PROPOSAL_ROLES, CardWriter
from midas_tui.store import CALLS
from midas_tui.theme import role_of
from midas_tui.widgets.chart import Chart, Gate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from midas_engine.models import Alert, FeatureMetrics, FeatureRecord
    from midas_tui.runtime_protocol import ChartData, ForwardRecord
    from midas_tui.theme import Glyphs

IC_WARNING, IC_CRITICAL = 0.7, 0.5
SLIPPAGE_WARNING, SLIPPAGE_CRITICAL = 1.5, 2.0
LABEL_CELLS = 13
DIALOG_CELLS = 70


class FeatureDetail(Vertical):
    """Everything about one live feature that a glance can take in."""

    DEFAULT_CSS = """
    FeatureDetail > #facts { height: auto; padding: 0 1; }
    """

    def __init__(self, glyphs: Glyphs, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._glyphs = glyphs

    def compose(self) -> ComposeResult:
        """Charts, then words."""
        yield Chart("IC", empty="not enough bars yet", glyphs=self._glyphs, id="ic-chart")
        yield Chart(
            "evidence of death",
            empty="no promise was measured: no test runs",
            glyphs=self._glyphs,
            digits=1,
            id="decay-chart",
        )
        yield Chart(
            "slippage",
            empty="no fills here: nothing to compare",
            glyphs=self._glyphs,
            digits=2,
            id="slip-chart",
        )
        yield Static("", id="facts", markup=False)

    def show_charts(self, m: FeatureMetrics, data: ChartData, bars: int, end: int | None = None) -> None:
        """Draw the last `bars` bars of the chosen feature, before bar `end` where it is given."""
        self._show_frames()
        series = {name: values[:end][-bars:] for name, values in data.series.items()}
        gates = [Gate(0.0, "muted")]
        if math.isfinite(m.ic_30d.value) and m.ic_30d.value > 0:
            gates += [Gate(IC_CRITICAL * m.ic_30d.value, "warn"), Gate(IC_WARNING * m.ic_30d.value, "warn")]
        note = f"5d {with_error(m.ic_5d)}  30d {with_error(m.ic_30d)}"
        self.query_one("#ic-chart", Chart).show((series["ic_5d"], series["ic_30d"]), gates, note)
        calls = f"{number(m.decay_log_s, 1)}, calls at {number(m.decay_threshold, 1, signed=False)}"
        self.query_one("#decay-chart", Chart).show(
            (series["log_s"] if m.expected_score is not None else (),), (Gate(m.decay_threshold, "crit"),), calls
        )
        slip = f"{times(m.slippage_ratio)} of {number(m.expected_slippage_bps, 1, signed=False)} bps expected"
        self.query_one("#slip-chart", Chart).show(
            (series["slippage_ratio"],),
            (Gate(SLIPPAGE_WARNING, "warn"), Gate(SLIPPAGE_CRITICAL, "crit")),
            slip if math.isfinite(m.slippage_ratio) else "",
        )

    def show_no_bars(self) -> None:
        """The feature has no bars yet: each chart says so."""
        self._show_frames()
        for chart in self.query(Chart):
            chart.show((), (), "")

    def _show_frames(self) -> None:
        for chart in self.query(Chart):
            chart.display = True

    def clear(self, words: str = "") -> None:
        """No feature is watched here: no chart, and at most the reason."""
        for chart in self.query(Chart):
            chart.display = False  # why it has no line would be said of no feature
        self.show_facts(Content(words))

    @property
    def words_width(self) -> int:
        """Cells the words have; what a dialog gives them while there is no pane."""
        return self.query_one("#facts").content_size.width or DIALOG_CELLS

    def show_facts(self, content: Content) -> None:
        """Draw the words; the page is laid out anew when they take more or fewer lines."""
        words = self.query_one("#facts", Static)
        width, height = words.content_size
        words.update(content, layout=not width or content.get_height(words.styles.get_rules(), width) != height)


def facts(
    m: FeatureMetrics,
    record: FeatureRecord | None,
    alerts: Sequence[Alert],
    forward: ForwardRecord | None,
    kill_reason: str,
    *,
    width: int = 44,
) -> Content:
    """The figures of a live feature, each with what it is held against; `width` cells wide."""
    threshold = number(m.decay_threshold, 1, signed=False)
    rows: list[tuple[str, str, str]] = []
    state = m.status + ("" if record is None else f", {record.state.value}")
    if record is not None and record.version > 1:
        state += f" v{record.version}"
    rows.append(("status", state, role_of(m.status)))
    for alert in alerts[:2]:
        role = {"critical": "crit", "warning": "warn"}.get(alert.severity, "muted")
        bars = f"{alert.count} {'bar' if alert.count == 1 else 'bars'}"
        rows.append(("episode", f"{kind_words(alert.alert_type)} {bars}, {alert.status.value}", role))
    if kill_reason:
        rows.append(("kill proposed", kill_reason, "crit"))
    if record is not None and record.lineage:
        rows.append(("replaces", " > ".join(record.lineage), ""))
    if m.expected_score is None:
        rows.append(("promise", promise(m), "muted"))
    else:
        rows.append(("score", f"{number(m.score, 4)} now, {m.expected_score:+.4f} promised", ""))
        if any(alert.rule == CALLS for alert in alerts):
            rows.append(("death", f"called; its test began anew: {promise(m)}", "crit"))
        else:
            rows.append(("death", promise(m), evidence_role(m.decay_log_s, m.decay_threshold)))
        rows.append(("harm", f"evidence {number(m.kill_log_e, 1)}, proposes a kill at {threshold}", ""))
    if forward is not None and (record is None or record.state.value == "shadow"):
        kind = "forward" if forward.forward else "in hindsight"
        figures = f"{forward.score:+.4f}, t {forward.t:+.1f}, {forward.bars} bars {kind}"
        rows.append(("record", figures, ""))
        if forward.graduation:
            label = f"{forward.proposed}?" if forward.proposed else "graduates"
            rows.append((label, forward.graduation, PROPOSAL_ROLES.get(forward.proposed, "")))
    rows.append(("earned", f"{number(m.pnl_1d_bps, 1)} bps/d, net {number(m.pnl_net_1d_bps, 1)}", ""))
    turnover = number(m.turnover, 2, signed=False)
    half_life = f"{m.half_life_hours:.0f} h" if math.isfinite(m.half_life_hours) else "unknown"
    rows.append(("turnover", f"{turnover} a bar, half-life {half_life}", ""))
    covered = f"{m.coverage:.0%}" if math.isfinite(m.coverage) else "--"
    rows.append(("coverage", f"{covered}, {m.stale_bars} bars stale", "warn" if m.stale_bars else ""))
    card = CardWriter(width, LABEL_CELLS)
    for label, value, role in rows:
        card.row(label, value, role)
    return card.content().rstrip()


def times(value: float) -> str:
    """A ratio: `1.20x`."""
    return f"{value:.2f}x" if math.isfinite(value) else "--"


def graded(value: float, warning: float, critical: float) -> str:
    """Role of a figure that is bad when low."""
    if not math.isfinite(value):
        return "muted"
    return "crit" if value < critical else "warn" if value < warning else "ok"


def evidence_role(log_s: float, threshold: float) -> str:
    """Role of a sequential test's ln S: red where it calls, yellow from two thirds of the way on, plain below."""
    if not (math.isfinite(log_s) and math.isfinite(threshold)):
        return "muted"
    return "crit" if log_s >= threshold else "warn" if 3.0 * log_s >= 2.0 * threshold else ""
