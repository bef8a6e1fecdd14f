"""The daily report: one Markdown page of one UTC day, as the original system promised it."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from midas_engine.errors import MonitorError
from midas_engine.models import Alert, DailyReport, FeatureMetrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from midas_engine.monitor.commands import OperatorCommands
    from midas_engine.monitor.ledger import Day


def daily_report(monitor: OperatorCommands, day: date | str) -> DailyReport:
    """Write the report of `day` from what the monitor saw; MonitorError for text that is no date."""
    when = _as_date(day)
    ledger = monitor.fleet.days.of(when)
    metrics = monitor.all_metrics() if monitor.fleet.built and monitor.fleet.stream.last is not None else []
    kills = [r for r in monitor.kills.records.values() if r.at[:10] == when.isoformat()]
    sections = [
        f"# Midas daily report, {when.isoformat()} (UTC)\n",
        _portfolio(ledger, metrics),
        _features(ledger, metrics),
        _alerts(ledger.alerts.values()),
        _regimes(ledger, metrics),
        _execution(metrics),
        _diagnoses(ledger),
        "## Killed\n\n"
        + (_rows(("feature", "by", "reason"), [(r.feature, r.actor, r.reason) for r in kills]) or "None.\n"),
    ]
    markdown = "\n".join(sections)
    relpath = f"reports/daily/{when.isoformat()}.md"
    path = ""
    if monitor.kb is not None:
        monitor.kb.save_text(relpath, markdown)
        path = relpath
    figures = {
        "bars": ledger.bars,
        "missing_bars": ledger.missing,
        "gross_bps": ledger.gross_bps,
        "net_bps": ledger.net_bps,
        "regimes": dict(ledger.regimes),
        "killed": [r.feature for r in kills],
    }
    return DailyReport(
        day=when,
        markdown=markdown,
        path=path,
        features=len(metrics),
        alerts=len(ledger.alerts),
        diagnoses=len(ledger.diagnoses),
        pnl_bps=ledger.net_bps,
        figures=figures,
    )


def _as_date(day: date | str) -> date:
    if isinstance(day, datetime):
        return day.astimezone(UTC).date()
    if isinstance(day, date):
        return day
    try:
        return date.fromisoformat(str(day))
    except ValueError:
        raise MonitorError(f"{day!r} is not a day", hint="write it as 2025-01-15") from None


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
    return "## Features\n\nState after the last bar; contributions of the day.\n\n" + (_rows(head, rows) or "None.\n")


def _alerts(alerts: Iterable[Alert]) -> str:
    ordered = sorted(alerts, key=lambda a: (a.raised_at, a.id))
    rows = [
        (f"{a.raised_at:%H:%M}", a.severity, a.alert_type, a.feature, a.message, str(a.count), a.status)
        for a in ordered
    ]
    head = ("raised", "severity", "type", "feature", "message", "bars", "state")
    return "## Alerts\n\n" + (_rows(head, rows) or "None.\n")


def _regimes(day: Day, metrics: Sequence[FeatureMetrics]) -> str:
    total = sum(day.regimes.values())
    rows = [(name, str(n), f"{n / total:.0%}") for name, n in sorted(day.regimes.items(), key=lambda kv: -kv[1])]
    text = "## Regime\n\n" + (_rows(("regime", "bars", "share"), rows) or "No regime label came.\n")
    against = [m.feature for m in metrics if math.isfinite(m.ic_regime) and m.ic_regime < 0]
    return text + (f"\nAgainst you in the current regime: {', '.join(map(_cell, against))}.\n" if against else "")


def _execution(metrics: Sequence[FeatureMetrics]) -> str:
    rows = [
        (m.feature, _n(m.slippage_bps, 2), _n(m.expected_slippage_bps, 2), _n(m.slippage_ratio, 2))
        for m in metrics
        if math.isfinite(m.slippage_bps)
    ]
    head = ("feature", "realised bps", "expected bps", "ratio")
    return "## Execution\n\n" + (_rows(head, rows) or "No fills came.\n")


def _diagnoses(day: Day) -> str:
    rows = [(d["feature"], d["cause"], d["path"]) for d in day.diagnoses]
    return "## Diagnoses\n\n" + (_rows(("feature", "cause", "report"), rows) or "None.\n")


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines) + "\n"


def _cell(text: object) -> str:
    """A table cell: no line break, pipe, or leading formula sign that a spreadsheet would run."""
    plain = " ".join(str(text).split()).replace("|", "\\|").replace("`", "'")
    return f"'{plain}" if plain[:1] in ("=", "@") else plain


def _n(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "n/a"


def _pm(value: float, se: float) -> str:
    return f"{value:+.3f} ± {se:.3f}" if math.isfinite(value) else "n/a"
