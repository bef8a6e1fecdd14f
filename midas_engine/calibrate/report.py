"""The report: one Markdown file with its plots beside it, and the same figures as text and JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midas_engine.calibrate.graduation import DAYS
from midas_engine.calibrate.stream import MISSES, SESSIONS
from midas_engine.jsonable import plain

if TYPE_CHECKING:
    from midas_engine.calibrate.figures import Calibration, Figure, Recall


def text(found: Calibration) -> str:
    """What the command prints: the headline, then every figure with its interval."""
    lines = [found.headline, "", *_noise_lines(found), "", "Planted features (share found [90 %])"]
    lines += [f"  {' '.join(row)}" for row in _padded([_HEAD, *(_row(r) for r in found.recall)])]
    lines += [
        "",
        "Promoted at the first sealed look, or graduated from shadow after so many days (share [90 %])",
    ]
    lines += [f"  {' '.join(row)}" for row in _padded([_SHADOW_HEAD, *(_shadow_row(r) for r in found.recall)])]
    lines += ["", *notes(found)]
    return "\n".join(lines)


_HEAD = [
    "IC",
    "n",
    "breadth",
    "t",
    "statistical gates",
    "all research gates",
    "promoted",
    "days, drop to 0",
    "days, flip",
]


_SHADOW_HEAD = ["IC", "at the first look", *(f"{d} d" for d in DAYS)]


def _shadow_row(r: Recall) -> list[str]:
    return [f"{r.ic:.2f}", _share(r.promoted), *(_share(g) for g in r.graduated)]


def _row(r: Recall) -> list[str]:
    return [
        f"{r.ic:.2f}", str(r.features), f"{r.breadth:.1f}", f"{r.score_t:.1f}", _share(r.statistical),
        _share(r.research), _promoted(r), _days(r.drop_days, r.expected_drop_days),
        _days(r.flip_days, r.expected_flip_days),
    ]  # fmt: skip


def _promoted(r: Recall) -> str:
    """Along a stream of looks, and at a look after five lost ones."""
    after = f", {r.after_misses.value:.2f} after {MISSES} misses" if r.after_misses.tries else ""
    return f"{_share(r.stream)}{after}"


def _padded(rows: list[list[str]]) -> list[list[str]]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]


def _share(f: Figure) -> str:
    return f"{f.value:.2f} [{f.low:.2f}, {f.high:.2f}]" if f.tries else "-"


def _days(f: Figure, expected: float) -> str:
    told = f" (gauge {expected:.1f})" if math.isfinite(expected) else ""
    if not f.hits:
        return f"none called{told}"
    return f"{f.value:.1f} [{f.low:.1f}, {f.high:.1f}]{told}"


def _noise_lines(found: Calibration) -> list[str]:
    def per_1000(f: Figure) -> str:
        return f"{f.value:.2f} [{f.low:.2f}, {f.high:.2f}]  ({f.hits} of {f.tries:,.0f})"

    alarms, session = found.alarms_per_year, found.noise_per_session
    lines = [
        f"Noise promoted per 1,000 candidates      {per_1000(found.noise_per_1000)}",
        f"  passed the research gates alone        {per_1000(found.noise_research_per_1000)}",
        *(f"  {kind:<38} {per_1000(f)}" for kind, f in found.by_kind.items()),
        f"Noise sessions that promoted anything    {_share(session)}  ({session.hits} of {session.tries:.0f})",
    ]
    if found.found.tries:
        lines.append(
            f"Planted sessions that found the feature  {_share(found.found)}  "
            f"({found.found.hits} of {found.found.tries:.0f})"
        )
    graduated = found.noise_graduated
    if graduated.tries:
        lines.append(
            f"Noise promoted or graduated, once looked {_share(graduated)}  ({graduated.hits} of {graduated.tries:.0f})"
        )
    if alarms.tries:
        lines.append(
            f"False alarms per feature-year            {alarms.value:.2f} [{alarms.low:.2f}, {alarms.high:.2f}]  "
            f"({alarms.hits} in {alarms.tries:.1f} feature-years)"
        )
    return lines


def notes(found: Calibration) -> list[str]:
    """What was replayed, how to read it, and what could not be replayed."""
    how = (
        f"{found.sessions} sessions on targets that nothing can foresee and {found.planted_sessions} with one planted "
        f"signal, by the proposer '{found.proposer}', {found.planned_trials} trials planned each"
        f"{f' after a screening of {found.screened:,} raw expressions' if found.screened else ''} "
        f"(session line t {found.line_t:.2f}); {found.bars:,} bars x {found.symbols} of {found.data}, "
        f"seed {found.seed}, {found.seconds:.0f} s."
    )
    read = (
        f"Brackets are 90 % intervals. Promoted: along lifetimes of {SESSIONS} sessions with one such feature each, "
        "where every look, noise's too, moves the line of the next. A promoted feature is noise when it holds less "
        "than a tenth of the planted strength. Days: mean from death to alarm at this data's breadth; 'gauge' is what "
        "the monitor prints before."
    )
    notes = [how, read]
    return notes + [f"Not replayed: {p}" for p in found.problems]


def to_dict(found: Calibration) -> dict[str, Any]:
    """Every figure for machines; what is not a number becomes null."""
    figures = plain(dataclasses.asdict(found))
    assert isinstance(figures, dict)
    return {"headline": found.headline, **figures}


def write_report(found: Calibration, folder: str | Path) -> Path:
    """Write `report.md`, its plots, the same as one page and `figures.json` into `folder`; gives the report's path."""
    from midas_engine.calibrate.document import markdown
    from midas_engine.calibrate.plots import plots_of
    from midas_engine.markdown_page import write_page

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    words, plots = markdown(found, notes(found)), plots_of(found)
    (place / "figures.json").write_text(json.dumps(to_dict(found), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    report = place / "report.md"
    write_page(words, plots, report)
    write_page(words, plots, place / "report.html")
    return report
