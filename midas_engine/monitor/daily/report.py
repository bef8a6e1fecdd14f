"""The daily report: one Markdown page of one UTC day with its plots, as the original system promised it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from midas_engine.markdown_page import page
from midas_engine.models import Alert, DailyReport, FeatureMetrics
from midas_engine.monitor.daily.words import CAPTIONS, earned, first_sentences, right_and_losing
from midas_engine.monitor.protocols import PlotStore
from midas_engine.sentence import share_of_gate
from midas_engine.text import markdown_cell, markdown_table, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from midas_engine.monitor.daily.facts import DayFacts
    from midas_engine.monitor.days import Day
    from midas_engine.monitor.protocols import DocumentStore

FOLDER = "reports/daily"
UNKNOWN = "unknown"


def write_report(facts: DayFacts, kb: DocumentStore | None) -> DailyReport:
    """Render the report with its plots and write both, where there is a base. Blocking: call it in a thread.

    Beside the Markdown lies the same report as one page for a browser and for paper.
    """
    day, ledger = facts.day.isoformat(), facts.ledger
    plots = plots_of(facts) if isinstance(kb, PlotStore) else {}
    markdown = render(facts, list(plots))
    if isinstance(kb, PlotStore):
        for name, png in plots.items():
            kb.save_bytes(f"{FOLDER}/{name}", png)
        kb.save_bytes(f"{FOLDER}/{day}.html", page(markdown, plots).encode("utf-8", "replace"))
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
        "plots": sorted(_plot(name) for name in plots),
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


def plots_of(facts: DayFacts) -> dict[str, bytes]:
    """The plots of the day, by the names of their files beside the report."""
    from midas_engine.monitor.daily.plots import day_plots

    return {f"{facts.day.isoformat()}-{name}.png": png for name, png in day_plots(facts).items()}


def render(facts: DayFacts, plots: Sequence[str] = ()) -> str:
    """The report in Markdown, the most important sentence first; `plots` are files beside it."""
    ledger, metrics = facts.ledger, facts.metrics
    kills = [(r.feature, r.actor, r.reason) for r in facts.kills]
    sections = [
        f"# Midas daily report, {facts.day.isoformat()} (UTC)\n",
        f"**{markdown_cell(first_sentences(facts))}**\n",
        _portfolio(facts),
        facts.book,
        "\n".join(f"![{_plot(name)}]({name})\n\n*{CAPTIONS[_plot(name)]}*\n" for name in plots),
        _features(metrics),
        _alerts(ledger.alerts.values()),
        _money(facts),
        _execution(metrics),
        _running(metrics),
        _regimes(ledger, metrics),
        _diagnoses(ledger),
        "## Killed\n\n" + (markdown_table(("feature", "by", "reason"), kills) or "None.\n"),
        "## Fixed and moved\n\n"
        + (
            markdown_table(("at", "feature", "action", "by", "reason"), facts.moves)
            or "Nothing moved in the pipeline.\n"
        ),
    ]
    return "\n".join(section for section in sections if section)


def _plot(name: str) -> str:
    """Which plot a file is."""
    return name.rpartition("-")[2].removesuffix(".png")


def _portfolio(facts: DayFacts) -> str:
    day = facts.ledger
    states: dict[str, int] = {}
    for m in facts.metrics:
        states[m.status] = states.get(m.status, 0) + 1
    lines = [
        "## Portfolio\n",
        f"- bars: {day.bars}" + (f", {day.missing} missing in the feed" if day.missing else ""),
        "- earned: " + (earned(facts) if day.profit else "unknown"),
        "- features: " + (", ".join(f"{n} {s}" for s, n in sorted(states.items())) or "none"),
        f"- alerts: {len(day.alerts)}, diagnoses: {len(day.diagnoses)}\n",
    ]
    return "\n".join(lines)


def _features(metrics: Sequence[FeatureMetrics]) -> str:
    """Does it still predict: each figure with its error, its promise and how far it is from its alarm."""
    rows = []
    for m in metrics:
        share = share_of_gate(m)
        rows.append(
            (
                m.feature,
                m.status,
                _pm(m.ic_5d.value, m.ic_5d.se),
                _pm(m.ic_30d.value, m.ic_30d.se),
                "none promised" if m.expected_score is None else f"{m.expected_score:+.4f}",
                f"{share:.0%}" if math.isfinite(share) else UNKNOWN,
                _n(m.days_to_detect_drop, 0),
                _n(m.false_alarms_per_year, 1),
            )
        )
    head = (
        "feature",
        "state",
        "rank IC 5 d ± s.e.",
        "rank IC 30 d ± s.e.",
        "promised score a bar",
        "way to the alarm",
        "notices a death in, days",
        "false alarms a year",
    )
    about = "After the last bar. At 100 % of the way the test calls a feature dead.\n\n"
    return "## Features\n\n" + (about + markdown_table(head, rows) if rows else "None.\n")


def _money(facts: DayFacts) -> str:
    """What each earned on the day, and who predicts and loses all the same."""
    rows = [
        (name, f"{gross:+.1f}", f"{net:+.1f}", f"{gross - net:.1f}")
        for name, (gross, net) in sorted(facts.ledger.profit.items(), key=lambda kv: (-kv[1][1], kv[0]))
    ]
    head = ("feature", "before costs, bps", "after costs, bps", "costs, bps")
    text = "## What each earned\n\n" + (markdown_table(head, rows) or "Unknown.\n")
    losing = right_and_losing(facts)
    if losing:
        text += "\nA positive IC that lost money on the day:\n\n" + "".join(f"- {markdown_cell(x)}\n" for x in losing)
    return text


def _running(metrics: Sequence[FeatureMetrics]) -> str:
    """How it trades and what it rests on."""
    rows = [
        (m.feature, _n(m.half_life_hours, 0), _n(m.turnover, 2), _n(m.coverage * 100, 0), _n(m.ic_ratio, 2))
        for m in metrics
    ]
    head = ("feature", "half-life, h", "turnover, of its book a bar", "cells known, %", "IC 5 d over 30 d")
    return "## How they run\n\n" + (markdown_table(head, rows) or "None.\n")


def _alerts(alerts: Iterable[Alert]) -> str:
    ordered = sorted(alerts, key=lambda a: (a.raised_at, a.id))
    rows = [
        (f"{a.raised_at:%H:%M}", a.severity, _words(a.alert_type), a.feature, a.message, str(a.count), a.status)
        for a in ordered
    ]
    head = ("raised", "severity", "kind", "feature", "figure and gate", "bars", "state")
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
    head = ("feature", "realised, bps", "expected, bps", "realised over expected")
    return "## Execution\n\n" + (markdown_table(head, rows) or "No fills came.\n")


def _diagnoses(day: Day) -> str:
    rows = [(d["feature"], _words(d["cause"]), d["path"]) for d in day.diagnoses]
    return "## Diagnoses\n\n" + (markdown_table(("feature", "cause", "report"), rows) or "None.\n")


def _words(name: str) -> str:
    return str(name).replace("_", " ")


def _pm(value: float, se: float) -> str:
    return f"{value:+.3f} ± {number(se, 3, unknown='?')}" if math.isfinite(value) else UNKNOWN


def _n(value: float, digits: int) -> str:
    return number(value, digits, unknown=UNKNOWN)
