"""The daily report: one Markdown page of one UTC day with its plots, as the original system promised it."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Protocol

from midas_engine.errors import MonitorError
from midas_engine.models import Alert, DailyReport, FeatureMetrics
from midas_engine.text import markdown_cell, markdown_table, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from midas_engine.monitor.days import Day
    from midas_engine.monitor.fleet import Fleet
    from midas_engine.monitor.kill.switch import KillRecord
    from midas_engine.monitor.protocols import DocumentStore

FOLDER = "reports/daily"
PLOTTED = 8


class Move(Protocol):
    """A move in the pipeline, as the journal keeps it."""

    @property
    def at(self) -> datetime: ...  # noqa: D102
    @property
    def feature(self) -> str: ...  # noqa: D102
    @property
    def action(self) -> str: ...  # noqa: D102
    @property
    def actor(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class DayFacts:
    """Everything the report of a day says, copied out of the running monitor.

    Attributes:
        ledger: What the day brought.
        metrics: Figures of every feature after the last bar.
        kills: Kills of the day.
        moves: Moves in the pipeline on that day, as (time, feature, action, actor, reason).
        history: Recent bars of a few features, for the plots.
    """

    day: date
    ledger: Day
    metrics: tuple[FeatureMetrics, ...]
    kills: tuple[KillRecord, ...]
    moves: tuple[tuple[str, ...], ...] = ()
    history: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def gather(fleet: Fleet, kills: Iterable[KillRecord], day: date | str, moves: Iterable[Move] = ()) -> DayFacts:
    """Copy what the report of `day` needs; MonitorError for text that is no date."""
    when = as_day(day)
    ledger = copy.deepcopy(fleet.days.of(when))
    metrics: list[FeatureMetrics] = []
    history: dict[str, Mapping[str, Any]] = {}
    if fleet.built and fleet.stream.last is not None:
        metrics = [fleet.metrics(name, fleet.last_bar) for name in fleet.names]
        history = {name: fleet.engine.history(name) for name in fleet.names[:PLOTTED]}
    fallen = tuple(r for r in kills if r.at[:10] == when.isoformat())
    return with_moves(DayFacts(when, ledger, tuple(metrics), fallen, history=history), moves)


def with_moves(facts: DayFacts, moves: Iterable[Move]) -> DayFacts:
    """The facts with the pipeline's moves of that day."""
    rows = tuple(
        (f"{m.at.astimezone(UTC):%H:%M}", m.feature, m.action, m.actor, m.reason)
        for m in moves
        if m.at.astimezone(UTC).date() == facts.day
    )
    return replace(facts, moves=rows)


def write_report(facts: DayFacts, kb: DocumentStore | None) -> DailyReport:
    """Render the report with its plots and write both, where there is a base. Blocking: call it in a thread."""
    day, ledger = facts.day.isoformat(), facts.ledger
    keep = getattr(kb, "save_bytes", None)
    plots: dict[str, bytes] = {}
    if keep is not None:
        from midas_engine.monitor.daily.plots import day_plots

        plots = day_plots(facts)
    markdown = render(facts, [f"{day}-{name}.png" for name in plots])
    path = ""
    if kb is not None:
        for name, png in plots.items():
            kb.save_bytes(f"{FOLDER}/{day}-{name}.png", png)  # type: ignore[attr-defined]
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


def as_day(day: date | str) -> date:
    """A date from a date, a datetime (its UTC day) or ISO text; MonitorError for anything else."""
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
