"""The tear sheet: one self-contained HTML file with plots, and the same figures as JSON."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.evaluator.reports.tearsheet_words import CAPTIONS, first_sentences, groups, reasons
from midas_engine.html_page import BAD, GOOD, INK, SOFT, dated, document, picture, png, table
from midas_engine.stats.normal import Z90
from midas_engine.text import number

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes


def tearsheet_html(figures: dict[str, Any]) -> str:
    """The page: no script, no link, every plot inside. Text from the caller is escaped."""
    verdict, title = figures["verdict"], html.escape(figures["name"] or figures["expression"] or "feature")
    drawn = {name: draw for name, draw in PLOTS.items() if figures["correlations"] or draw is not _draw_correlations}
    plots = "".join(picture(name, png(draw, figures), CAPTIONS[name]) for name, draw in drawn.items())
    rows = "".join(
        f"<tr><td>{a['agent'].replace('_', ' ')}</td><td class={_word(a)}>{_word(a)}</td>"
        f"<td class=n>{number(a['score'], 2)}</td><td>{html.escape(a['summary'])}</td></tr>"
        for a in verdict["verdicts"]
    )
    expression = html.escape(figures["expression"])
    expression = f"<p><code>{expression}</code></p>" if expression and expression != title else ""
    first, last = (figures[end].replace("T", " ") for end in ("from", "to"))
    capacity = figures["capacity_usd"]
    room = "unknown" if capacity is None else f"${capacity:,.0f} at {figures['participation']:.0%} of volume"
    symbols = f"{len(figures['symbols'])} symbol{'s' if len(figures['symbols']) != 1 else ''}"
    body = (
        f"<h1>{title}</h1><p class=first><b>{html.escape(first_sentences(figures))}</b></p>{expression}"
        f"<p>{first} to {last} UTC, {symbols}, capacity {room}.</p>"
        f"<h2>Checks</h2><table><tr><th>check</th><th></th><th class=n>of 1</th><th></th></tr>{rows}</table>"
        f"<h2>Figures, 90 % intervals</h2><div class=groups>{_metrics(figures)}</div>"
        f"<h2>Pictures</h2><div class=plots>{plots}</div>"
        f"<h2>Why, and what would help</h2>{_reasons(figures['explanation']['text'])}"
    )
    return document(figures["name"] or figures["expression"] or "feature", body)


def _word(agent: dict[str, Any]) -> str:
    return "pass" if agent["passed"] else "fail"


def write_tearsheet(figures: dict[str, Any], path: str | Path) -> tuple[Path, Path]:
    """Write the page and, beside it, the same figures as JSON. Returns both paths."""
    page = Path(path)
    data = page.with_suffix(".json")
    page.write_text(tearsheet_html(figures), encoding="utf-8")
    data.write_text(json.dumps(figures, indent=1, allow_nan=False), encoding="utf-8")
    return page, data


def _metrics(figures: dict[str, Any]) -> str:
    found = groups(figures["verdict"]["evaluation"], deployed=bool(figures["correlations"]))
    return "".join(f"<section><h3>{heading}</h3>{table((), rows)}</section>" for heading, rows in found)


def _reasons(text: str) -> str:
    parts = []
    for heading, lines in reasons(text):
        items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        parts.append(f"<h3>{heading}</h3><ul>{items}</ul>")
    return "".join(parts)


def _values(items: list[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([np.nan if x is None else x for x in items], dtype=np.float64)


def _times(path: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    return np.array(path["at"], dtype="datetime64[m]")


def _draw_cumulative(axes: Axes, figures: dict[str, Any]) -> None:
    path = figures["cumulative_score"]
    band, at = _values(path["band"]), _times(path)
    axes.fill_between(at, -band, band, color=SOFT, alpha=0.25, label="90 % band without skill")
    axes.plot(at, _values(path["value"]), color=INK)
    axes.legend(fontsize=7, frameon=False)
    dated(axes)
    axes.set_ylabel("sum of the scores", fontsize=8)
    axes.set_title("Score so far", fontsize=10)


def _bars(axes: Axes, names: list[str], means: list[Any], errors: list[Any], title: str, unit: str = "score") -> None:
    heights = _values(means)
    colours = [GOOD if h > 0 else BAD for h in heights]
    axes.bar(range(len(names)), np.nan_to_num(heights), yerr=np.nan_to_num(_values(errors)), color=colours, capsize=3)
    axes.set_xticks(range(len(names)), names, fontsize=7)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.set_ylabel(unit, fontsize=8)
    axes.set_title(title, fontsize=10)


def _draw_folds(axes: Axes, figures: dict[str, Any]) -> None:
    folds = figures["verdict"]["evaluation"]["folds"]
    errors = [None if f["se"] is None else Z90 * f["se"] for f in folds]
    _bars(
        axes,
        [f["start"][:10] for f in folds],
        [f["mean"] for f in folds],
        errors,
        "Score by stretch of time, with 90 % intervals",
    )


def _draw_regimes(axes: Axes, figures: dict[str, Any]) -> None:
    found = figures["verdict"]["evaluation"]["ic_by_regime"]
    errors = [None if e["se"] is None else Z90 * e["se"] for e in found.values()]
    _bars(axes, list(found), [e["value"] for e in found.values()], errors, "Score by regime, with 90 % intervals")
    if not found:
        axes.text(0.5, 0.5, "no regimes", ha="center", transform=axes.transAxes)


def _draw_decay(axes: Axes, figures: dict[str, Any]) -> None:
    decay = figures["decay"]
    axes.set_title("Decay", fontsize=10)
    if not decay:
        axes.text(0.5, 0.5, "too few bars", ha="center", transform=axes.transAxes)
        return
    hours = _values(decay["hours"])
    axes.errorbar(hours, _values(decay["score"]), yerr=_values(decay["error"]), fmt=".", color=SOFT, elinewidth=0.7)
    if decay["fit"]:
        axes.plot(hours, _values(decay["fit"]), color=INK)
    span = [number(np.inf if x is None else x, 1) for x in (decay["half_life_hours"], decay["low"], decay["high"])]
    known = figures["verdict"]["evaluation"].get("half_life_known", True)
    told = f"half-life {span[0]} h [{span[1]}, {span[2]}]" if known else "half-life unknown"
    axes.set_title(f"Score against single bars further ahead: {told}", fontsize=9)
    axes.set_xlabel("hours ahead", fontsize=8)
    axes.set_ylabel("score", fontsize=8)
    axes.axhline(0.0, color=INK, linewidth=0.8)


def _draw_quantiles(axes: Axes, figures: dict[str, Any]) -> None:
    found = figures["quantile_returns"]
    errors = [None if q["se_bps"] is None else Z90 * q["se_bps"] for q in found]
    names = [str(k + 1) for k in range(len(found))]
    _bars(
        axes,
        names,
        [q["mean_bps"] for q in found],
        errors,
        "Return that follows, by quantile, with 90 % intervals",
        "bps",
    )
    axes.set_xlabel(
        "from the lowest fifth of values to the highest" if len(found) == 5 else "lowest values to highest", fontsize=8
    )


def _draw_equity(axes: Axes, figures: dict[str, Any]) -> None:
    path, at = figures["equity"], _times(figures["equity"])
    axes.plot(at, _values(path["gross_bps"]), color=SOFT, label="gross")
    axes.plot(at, _values(path["net_bps"]), color=INK, label="net of costs and funding")
    axes.plot(at, -_values(path["funding_bps"]), color=BAD, linewidth=0.8, label="funding received")
    axes.legend(fontsize=7, frameon=False)
    dated(axes)
    axes.set_ylabel("bps, at a gross of 1", fontsize=8)
    axes.set_title("Earned so far", fontsize=10)


def _draw_path(name: str, title: str, unit: str) -> Callable[[Axes, dict[str, Any]], None]:
    def draw(axes: Axes, figures: dict[str, Any]) -> None:
        axes.plot(_times(figures[name]), _values(figures[name]["value"]), color=INK)
        dated(axes)
        axes.set_ylim(bottom=0.0)
        axes.set_ylabel(unit, fontsize=8)
        axes.set_title(title, fontsize=10)

    return draw


def _draw_correlations(axes: Axes, figures: dict[str, Any]) -> None:
    found = figures["correlations"]
    axes.set_title("Rank correlation with the live book", fontsize=10)
    if not found:
        axes.text(0.5, 0.5, "nothing deployed", ha="center", transform=axes.transAxes)
        return
    axes.barh(range(len(found)), _values([c["correlation"] for c in found]), color=SOFT)
    axes.set_yticks(range(len(found)), [c["name"][:28] for c in found], fontsize=7)
    axes.set_xlim(-1.0, 1.0)
    axes.invert_yaxis()


PLOTS: dict[str, Callable[[Axes, dict[str, Any]], None]] = {
    "cumulative score": _draw_cumulative,
    "net equity": _draw_equity,
    "score by fold": _draw_folds,
    "score by regime": _draw_regimes,
    "decay": _draw_decay,
    "returns by quantile": _draw_quantiles,
    "turnover": _draw_path("turnover", "Turnover, mean of 168 bars", "of the book, a bar"),
    "correlation with the live book": _draw_correlations,
    "coverage": _draw_path("coverage", "Cells with a value", "of those with a return"),
}
