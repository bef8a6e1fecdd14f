"""The plots of a calibration's report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.html_page import BAD, GOOD, INK, SOFT, drawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from midas_engine.calibrate.figures import Calibration

PLOTS = {
    "noise": "Every try on targets that nothing can foresee. What leans to the right of the curve is search: flips and "
    "variations of what looked good; the line is drawn far enough out for that.",
    "sessions": "The luckiest try of each such session. One above the line would have come to a sealed look.",
    "recall": "How much a true signal must be worth to be found here. Bars are 90 % intervals; what lies between two "
    "lines is what those gates cost.",
    "days": "How long a dead feature goes on trading. Dots were measured, the dotted line is what the monitor says "
    "before; where they agree its gauge can be trusted.",
}
TITLES = {
    "noise": "Score t of noise",
    "sessions": "Best t of each noise session",
    "recall": "Share of true features found",
    "days": "Days to the alarm",
}
SIZE = (6.4, 3.0)


def plots_of(found: Calibration) -> dict[str, bytes]:
    """Every plot, by the name of its file."""
    return {f"{name}.png": drawn(draw, found, SIZE) for name, draw in _DRAW.items()}


def _noise(axes: Axes, found: Calibration) -> None:
    scores = np.array(found.noise_scores)
    axes.hist(np.clip(scores, -6, 6), bins=np.linspace(-6, 6, 49).tolist(), density=True, color=SOFT, alpha=0.7)
    grid = np.linspace(-6, 6, 200)
    axes.plot(grid, np.exp(-grid * grid / 2) / math.sqrt(2 * math.pi), color=INK, linewidth=1, label="standard normal")
    axes.axvline(found.line_t, color=BAD, linewidth=1, label=f"session line {found.line_t:.2f}")
    axes.set_title(f"{TITLES['noise']}, {scores.size:,} tries", fontsize=10)
    axes.set_yticks([])
    axes.set_xlabel("score t", fontsize=8)
    axes.legend(fontsize=7, frameon=False)


def _sessions(axes: Axes, found: Calibration) -> None:
    best = np.sort(np.array(found.best_scores))
    colours = [BAD if t > found.line_t else SOFT for t in best]
    axes.bar(range(best.size), best, color=colours)
    axes.axhline(found.line_t, color=BAD, linewidth=1)
    axes.text(0.0, found.line_t, f"session line {found.line_t:.2f}", fontsize=7, color=BAD, va="bottom")
    axes.set_ylabel("score t", fontsize=8)
    axes.set_title(f"{TITLES['sessions']}, sorted", fontsize=10)
    axes.set_xticks([])


def _recall(axes: Axes, found: Calibration) -> None:
    for shift, (label, colour) in zip(
        (-0.0006, 0.0, 0.0006), (("statistical", SOFT), ("research", INK), ("stream", GOOD)), strict=True
    ):
        figures = [getattr(r, label) for r in found.recall]
        if figures:
            values = np.array([f.value for f in figures])
            errors = np.array([[f.value - f.low for f in figures], [f.high - f.value for f in figures]])
            x = [r.ic + shift for r in found.recall]
            name = {"statistical": "statistical gates", "research": "all research gates", "stream": "promoted"}[label]
            axes.errorbar(x, values, yerr=np.maximum(errors, 0.0), fmt="o-", color=colour, capsize=3, label=name)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("planted rank IC", fontsize=8)
    axes.set_ylabel("share", fontsize=8)
    axes.set_title(TITLES["recall"], fontsize=10)
    if found.recall:
        axes.legend(fontsize=7, frameon=False)


def _days(axes: Axes, found: Calibration) -> None:
    for label, expected, colour, name in (
        ("drop_days", "expected_drop_days", INK, "drop to zero"),
        ("flip_days", "expected_flip_days", BAD, "flip"),
    ):
        rows = [(r.ic, getattr(r, label), getattr(r, expected)) for r in found.recall if getattr(r, label).hits]
        if rows:
            x, values = [r[0] for r in rows], np.array([r[1].value for r in rows])
            errors = np.array([[v - r[1].low for v, r in zip(values, rows, strict=True)],
                               [r[1].high - v for v, r in zip(values, rows, strict=True)]])  # fmt: skip
            axes.errorbar(x, values, yerr=np.maximum(errors, 0.0), fmt="o-", color=colour, capsize=3, label=name)
            axes.plot(x, [r[2] for r in rows], ":", color=colour, linewidth=1, label=f"{name}, gauge")
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("rank IC while alive", fontsize=8)
    axes.set_ylabel("days", fontsize=8)
    axes.set_title(TITLES["days"], fontsize=10)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, frameon=False)


_DRAW: dict[str, Callable[[Axes, Calibration], None]] = {
    "noise": _noise,
    "sessions": _sessions,
    "recall": _recall,
    "days": _days,
}
