"""The daily report: one Markdown page of one UTC day with its plots, as the original system promised it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from midas_engine.models import Alert, DailyReport, FeatureMetrics
from midas_engine.monitor.protocols import PlotStore
from midas_engine.text import markdown_cell, markdown_table, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from midas_engine.monitor.daily.facts import DayFacts
    from midas_engine.monitor.days import Day
    from midas_engine.monitor.protocols import DocumentStore

FOLDER = "reports/daily"


def write_report(facts: DayFacts, kb: DocumentStore | None) -> DailyReport:
    """Render the report with its plots and write both, where there is a base. Blocking: call it in a thread."""
    day, ledger = facts.day.isoformat(), facts.ledger
    plots: dict[str, bytes] = {}
    if isinstance(kb, PlotStore):
        from midas_engine.monitor.daily.plots import day_plots

        plots = day_plots(facts)
    markdown = render(facts, [f"{day}-{name}.png" for name in plots])
    if isinstance(kb, PlotStore):
        for name, png in plots.items():
            kb.save_bytes(f"{FOLDER}/{day}-{name}.png", png)
    path = ""
    if kb is not None:
        path = f"{FOLDER}/{day}.md"
        kb.save_text(path, markdown)
    figures = {
        "bars": ledger.bars,
        "missing_bars": ledger.missing,
        "gross_bps": ledger.gross_bps,
        "net_bps": ledger.net_bps,
        "regimes": dict(ledger.regimes),
        "killed": [r.feature for r in facts.kills],
        "moved": [list(m) for m in facts.moves],
        "plots": sorted(plots),
    }
    return DailyReport(
        day=facts.day,
        markdown=markdown,
        path=path,
        features=len(facts.metrics),
        alerts=len(ledger.alerts),
        diagnoses=len(ledger.diagnoses),
        pnl_bps=ledger.net_bps,
        figures=figures,
    )


def render(facts: DayFacts, plots: Sequence[str] = ()) -> str:
    """The report in Markdown; `plots` are files beside it."""
    ledger, metrics = facts.ledger, facts.metrics
    kills = [(r.feature, r.actor, r.reason) for r in facts.kills]
    sections = [
        f"# Midas daily report, {facts.day.isoformat()} (UTC)\n",
        _portfolio(ledger, metrics),
        facts.book,
        "".join(f"![{name.rpartition('-')[2].removesuffix('.png')}]({name})\n\n" for name in plots),
        _features(ledger, metrics),
        _alerts(ledger.alerts.values()),
        _regimes(ledger, metrics),
        _execution(metrics),
        _diagnoses(ledger),
        "## Killed\n\n" + (markdown_table(("feature", "by", "reason"), kills) or "None.\n"),
        "## Fixed and moved\n\n"
        + (
            markdown_table(("at", "feature", "action", "by", "reason"), facts.moves)
            or "Nothing moved in the pipeline.\n"
        ),
    ]
    return "\n".join(section for section in sections if section)


def _portfolio(day: Day, metrics: Sequence[FeatureMetrics]) -> str:
    states: dict[str, int] = {}
    for m in metrics:
        states[m.status] = states.get(m.status, 0) + 1
    lines = [
        "## Portfolio\n",
        f"- bars: {day.bars}" + (f", {day.missing} missing in the feed" if day.missing else ""),
        f"- contribution: {day.gross_bps:+.1f} bps gross, {day.net_bps:+.1f} bps net of costs",
        "- features: " + (", ".join(f"{n} {s}" for s, n in sorted(states.items())) or "none"),
        f"- alerts: {len(day.alerts)}, diagnoses: {len(day.diagnoses)}\n",
    ]
    return "\n".join(lines)


def _features(day: Day, metrics: Sequence[FeatureMetrics]) -> str:
    rows = []
    for m in metrics:
        gross, net = day.profit.get(m.feature, (0.0, 0.0))
        promised = "uncalibrated" if m.expected_score is None else f"{m.expected_score:.4f}"
        rows.append(
            (
                m.feature,
                m.status,
                _pm(m.ic_5d.value, m.ic_5d.se),
                _pm(m.ic_30d.value, m.ic_30d.se),
                _n(m.ic_ratio, 2),
                promised,
                f"{_n(m.decay_log_s, 1)} / {_n(m.decay_threshold, 1)}",
                _n(m.half_life_hours, 0),
                _n(m.turnover, 2),
                f"{gross:+.1f}",
                f"{net:+.1f}",
                _n(m.coverage * 100, 0),
            )
        )
    head = (
        "feature",
        "state",
        "IC 5d",
        "IC 30d",
        "ratio",
        "promised score",
        "ln S / alarm",
        "half-life h",
        "turnover",
        "gross bps",
        "net bps",
        "coverage %",
    )
    return "## Features\n\nState after the last bar; contributions of the day.\n\n" + (
        markdown_table(head, rows) or "None.\n"
    )


def _alerts(alerts: Iterable[Alert]) -> str:
    ordered = sorted(alerts, key=lambda a: (a.raised_at, a.id))
    rows = [
        (f"{a.raised_at:%H:%M}", a.severity, a.alert_type, a.feature, a.message, str(a.count), a.status)
        for a in ordered
    ]
    head = ("raised", "severity", "type", "feature", "message", "bars", "state")
    return "## Alerts\n\n" + (markdown_table(head, rows) or "None.\n")


def _regimes(day: Day, metrics: Sequence[FeatureMetrics]) -> str:
    total = sum(day.regimes.values())
    rows = [(name, str(n), f"{n / total:.0%}") for name, n in sorted(day.regimes.items(), key=lambda kv: -kv[1])]
    text = "## Regime\n\n" + (markdown_table(("regime", "bars", "share"), rows) or "No regime label came.\n")
    against = [m.feature for m in metrics if math.isfinite(m.ic_regime) and m.ic_regime < 0]
    return text + (
        f"\nAgainst you in the current regime: {', '.join(map(markdown_cell, against))}.\n" if against else ""
    )


def _execution(metrics: Sequence[FeatureMetrics]) -> str:
    rows = [
        (m.feature, _n(m.slippage_bps, 2), _n(m.expected_slippage_bps, 2), _n(m.slippage_ratio, 2))
        for m in metrics
        if math.isfinite(m.slippage_bps)
    ]
    head = ("feature", "realised bps", "expected bps", "ratio")
    return "## Execution\n\n" + (markdown_table(head, rows) or "No fills came.\n")


def _diagnoses(day: Day) -> str:
    rows = [(d["feature"], d["cause"], d["path"]) for d in day.diagnoses]
    return "## Diagnoses\n\n" + (markdown_table(("feature", "cause", "report"), rows) or "None.\n")


def _pm(value: float, se: float) -> str:
    return f"{value:+.3f} ± {se:.3f}" if math.isfinite(value) else "n/a"


def _n(value: float, digits: int) -> str:
    return number(value, digits, unknown="n/a")
