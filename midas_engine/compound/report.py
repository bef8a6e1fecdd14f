"""The report of a measurement of memory: text, JSON, and one Markdown file with its curve."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.compound.figures import LAST
from midas_engine.compound.plan import ARMS
from midas_engine.html_page import BAD, GOOD, LINES, SOFT
from midas_engine.jsonable import plain

if TYPE_CHECKING:
    from matplotlib.axis import Axis

    from midas_engine.compound.figures import Compounding

WORDS = {
    "off": "no memory",
    "recent": "the last lessons",
    "retrieved": "lessons that speak to the goal (the default)",
    "shuffled": "lessons of other markets",
}
_COLOURS = dict(zip(ARMS, (SOFT, LINES[1], GOOD, BAD), strict=True))
_INK = "#2b2d42"


def headline(found: Compounding) -> str:
    """The one sentence: what memory does to the price of a true feature."""
    last, end = found.plan.sessions, found.over_last("retrieved")
    if found.pays:
        return (
            f"Memory pays: over the last sessions of {last} a true feature costs {end.words} of the evaluations it "
            "costs without."
        )
    return (
        f"Memory does not pay here: over the last sessions of {last} a true feature costs {end.words} of the "
        f"evaluations it costs without. Sessions turned it down to {found.factor('retrieved'):.0%} of its forms by "
        "themselves; `evaluation.memory = 0` turns it off."
    )


def text(found: Compounding) -> str:
    """What the command prints."""
    plan = found.plan
    lines = [headline(found), "", "Evaluations per distinct true feature, by session (a dash: nothing was found)"]
    lines += [
        "  " + " ".join(row) for row in _padded([["memory", *map(str, range(1, plan.sessions + 1))], *_rows(found)])
    ]
    lines += ["", "Over no memory"]
    lines += [
        f"  {arm:<10} session {plan.sessions} {found.at_end(arm).words}; last sessions {found.over_last(arm).words}; "
        f"{found.factor(arm):.0%} of memory used at the end"
        for arm in ARMS[1:]
    ]
    if any(math.isfinite(found.usd_per_feature(arm)) for arm in ARMS):
        lines += ["", "US dollars per true feature: " + ", ".join(f"{a} {found.usd_per_feature(a):.3f}" for a in ARMS)]
    lines += ["", *(f"{'met' if met else 'MISSED'}: {words}" for words, met in found.verdicts()), "", *_notes(found)]
    return "\n".join(lines)


def to_dict(found: Compounding) -> dict[str, Any]:
    """Every figure, as plain data."""
    arms = {}
    for arm in ARMS:
        spent, true, usd = found.counts(arm)
        arms[arm] = {
            "evaluations": spent.sum(axis=0).tolist(),
            "true": true.sum(axis=0).tolist(),
            "usd": round(float(usd.sum()), 4),
            "curve": [dataclasses.asdict(r) for r in found.curve(arm)],
            "at_end": dataclasses.asdict(found.at_end(arm)),
            "over_last": dataclasses.asdict(found.over_last(arm)),
            "factor": found.factor(arm),
            "other": found.other(arm),
        }
    figures = plain(
        {
            "headline": headline(found), "pays": found.pays, "plan": dataclasses.asdict(found.plan),
            "pairs": len(found.pairs), "failed": list(found.failed), "arms": arms, "retired": found.retired(),
            "targets": [{"target": words, "met": met} for words, met in found.verdicts()],
            "seconds": round(found.seconds, 1),
        }
    )  # fmt: skip
    assert isinstance(figures, dict)
    return figures


def write_report(found: Compounding, folder: str | Path) -> Path:
    """Write `report.md`, `curve.png`, one page with both and `figures.json` into `folder`; gives the report's path."""
    from midas_engine.markdown_page import write_page

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    (place / "figures.json").write_text(json.dumps(to_dict(found), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    report = place / "report.md"
    words, plots = _markdown(found), {"curve.png": curve_png(found)}
    write_page(words, plots, report)
    write_page(words, plots, place / "report.html")
    return report


def plain_numbers(axis: Axis) -> None:
    """An axis of powers that says 500 and 2,000, not ten to the third alone."""
    from matplotlib import ticker

    untyped: Any = ticker  # its classes have no types
    axis.set_major_locator(untyped.LogLocator(base=10.0, subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(untyped.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_minor_formatter(untyped.NullFormatter())


def curve_png(found: Compounding) -> bytes:
    """Evaluations per true feature by session number, with 95 % intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    for shift, arm in enumerate(ARMS):
        rows = found.curve(arm)
        x = np.arange(1, len(rows) + 1) + 0.08 * (shift - 1.5)
        values = np.array([r.value for r in rows])
        errors = np.array([[r.value - r.low for r in rows], [r.high - r.value for r in rows]])
        axes.errorbar(
            x, values, yerr=np.maximum(errors, 0.0), fmt="o-", markersize=3, linewidth=1, capsize=2,
            color=_COLOURS[arm], label=f"{arm}: {WORDS[arm]}",
        )  # fmt: skip
    axes.set_yscale("log")
    plain_numbers(axes.yaxis)
    axes.set_xlabel("session", fontsize=8)
    axes.set_ylabel("evaluations per true feature", fontsize=8, color=_INK)
    axes.set_title(f"What a true feature costs, {len(found.pairs)} pairs", fontsize=10)
    axes.legend(fontsize=7, frameon=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _rows(found: Compounding) -> list[list[str]]:
    rows = []
    for arm in ARMS:
        _, true, _ = found.counts(arm)
        none = true.sum(axis=0) == 0
        rows.append([arm, *("-" if none[k] else f"{r.value:,.0f}" for k, r in enumerate(found.curve(arm)))])
    return rows


def _padded(rows: list[list[str]]) -> list[list[str]]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [[row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))] for row in rows]


def _notes(found: Compounding) -> list[str]:
    plan = found.plan
    about = (
        f"{len(found.pairs)} pairs of {plan.sessions} sessions, {plan.bars:,} bars of {plan.symbols} symbols, planted "
        f"IC {plan.ic:g}, up to {plan.screened:,} screened expressions, seed {plan.seed}, {found.seconds:,.0f} s. A "
        "session ends with its first accepted feature."
    )
    lines = [about]
    if found.failed:
        lines.append(f"{len(found.failed)} campaigns did not come to their end and are left out: {found.failed[0]}")
    return lines


def _markdown(found: Compounding) -> str:
    plan = found.plan
    lines = ["# Does memory make the next session cheaper?", "", f"**{headline(found)}**", ""]
    lines += ["![Evaluations per distinct true feature, by session](curve.png)", "", _CAPTION, ""]
    lines += ["## What a true feature costs, session by session", ""]
    lines += ["Evaluations per distinct true feature, over all pairs; their intervals are those of the picture.", ""]
    lines += [
        f"| memory, session | {' | '.join(map(str, range(1, plan.sessions + 1)))} |",
        "| --- |" + " ---: |" * plan.sessions,
    ]
    lines += [f"| {' | '.join(row)} |" for row in _rows(found)]
    lines += ["", "## Beside no memory", ""]
    lines += ["Evaluations per distinct true feature over those without memory, 95 % intervals, pairs resampled.", ""]
    lines += [
        f"| memory | session {plan.sessions} | last {LAST} sessions together | used at the end |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {arm}: {WORDS[arm]} | {found.at_end(arm).words} | {found.over_last(arm).words} | {found.factor(arm):.0%} |"
        for arm in ARMS[1:]
    ]
    lines += ["", "## Does it do what it should", ""]
    lines += [*(f"* {'met' if met else '**missed**'}: {words}" for words, met in found.verdicts())]
    lines += ["", "## How it was measured", "", *_notes(found), "", _METHOD]
    return "\n".join(lines) + "\n"


_CAPTION = (
    "*What memory is for: a line that falls below that without memory says that what was learned makes the next true "
    "feature cheaper. Bars are 95 % intervals.*"
)
_METHOD = """\
* A pair is a family of markets: for each theme (the goal of a session, which names no column) one signal of up to
  three operators on two columns, drawn by a generator of its own, unlike everything in the families of signals. Each
  session has a new market: new noise, the theme's signal at windows drawn anew, and in a fifth of the sessions a signal
  of no family at all, where memory is of no use.
* Every arm goes through the same markets with the same seeds and the same budget, in a base of its own. Ledger,
  identity and the archive of the session's market are the same in all; only lessons and what they recall differ.
  "shuffled" is given what another pair remembered at that session: as many lessons, as well founded, about other
  signals.
* An evaluation is every expression whose values met a return: screened, fitted at other windows, or judged. A true
  feature is one that was accepted (all gates and the sealed look) and correlates at least 0.5 with what was planted.
* Before the fourth session a false lesson is planted in the bases that remember."""
