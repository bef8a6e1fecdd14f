"""The plots of a daily report: contribution, evidence against each feature, rolling ICs. PNG bytes, no screen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.html_page import BAD, GOOD, INK, LINES, SOFT, dated, drawn
from midas_engine.sentence import share_of_gate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from midas_engine.monitor.daily.facts import DayFacts

SIZE = (8.0, 3.6)
BARS_SHOWN = 40
LEAST_ROWS = 4
# From here on the evidence is drawn as near its line.
NEAR = 0.8


def day_plots(facts: DayFacts) -> dict[str, bytes]:
    """PNG files by name; a plot without anything to show is left out."""
    found = {name: draw for name, (wanted, draw) in _PLOTS.items() if wanted(facts)}
    return {name: drawn(draw, facts, SIZE) for name, draw in found.items()}


def _contribution(axes: Axes, facts: DayFacts) -> None:
    ranked = sorted(facts.ledger.profit.items(), key=lambda item: item[1][1])
    half = BARS_SHOWN // 2
    shown = ranked if len(ranked) <= BARS_SHOWN else [*ranked[:half], *ranked[-half:]]
    place = np.arange(len(shown))
    net = np.array([pair[1] for _, pair in shown])
    axes.barh(place, [pair[0] for _, pair in shown], color=SOFT, height=0.7, label="gross")
    axes.barh(place, net, color=np.where(net < 0, BAD, GOOD).tolist(), height=0.35, label="net of costs")
    _rows(axes, [name for name, _ in shown])
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlabel("bps of the day, before costs (wide) and after (narrow)", fontsize=8)
    axes.set_title(f"What each feature earned on {facts.day.isoformat()} (UTC)", fontsize=10)


def _evidence(axes: Axes, facts: DayFacts) -> None:
    known = [(share_of_gate(m), m.feature) for m in facts.metrics]
    shown = sorted(pair for pair in known if math.isfinite(pair[0]))[-BARS_SHOWN:]
    place = np.arange(len(shown))
    axes.barh(place, [100.0 * s for s, _ in shown], color=[BAD if s >= NEAR else GOOD for s, _ in shown], height=0.6)
    axes.axvline(100.0, color=INK, linestyle="--", linewidth=1)
    axes.set_xlim(0.0, max(105.0, *(105.0 * s for s, _ in shown)))
    _rows(axes, [name for _, name in shown])
    axes.set_xlabel("% of the way to the alarm, after the last bar", fontsize=8)
    axes.set_title("Evidence that a feature died", fontsize=10)


def _ics(axes: Axes, facts: DayFacts) -> None:
    moments: list[Any] = []
    axes.set_prop_cycle(color=LINES)
    for name, arrays in facts.history.items():
        line = np.asarray(arrays["ic_30d"], float)
        if np.isfinite(line).any():
            axes.plot(np.asarray(arrays["at"]), line, linewidth=1.2, label=_plain(name))
            moments += [at for at, ic in zip(arrays["at"], line, strict=True) if np.isfinite(ic)]
    axes.axhline(0, color=INK, linewidth=0.8)
    if min(moments) == max(moments):  # the first day has one: an axis of no length has no places for dates
        axes.set_xlim(moments[0] - np.timedelta64(12, "h"), moments[0] + np.timedelta64(12, "h"))
        for plotted in axes.lines:
            plotted.set_marker("o")
    axes.set_ylabel("rank IC", fontsize=8)
    dated(axes)
    # beside the lines: inside it would lie upon some of them
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.set_title("Rank IC of the last 30 days" + _first_of(facts), fontsize=10)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """A row a name; a few are as high as many."""
    axes.set_yticks(np.arange(len(names)), [_plain(name) for name in names], fontsize=8)
    axes.set_ylim(-0.75, max(len(names), LEAST_ROWS) - 0.25)


def _first_of(facts: DayFacts) -> str:
    return (
        f", the first {len(facts.history)} of {len(facts.metrics)}" if len(facts.history) < len(facts.metrics) else ""
    )


def _plain(name: str) -> str:
    """A name as a label: no line break, and none of the signs that start a formula in a plot."""
    return " ".join(name.split()).replace("$", "").replace("\\", "/")[:40]


def _has_ic(facts: DayFacts) -> bool:
    return any(np.isfinite(np.asarray(a["ic_30d"], float)).any() for a in facts.history.values())


_PLOTS: dict[str, tuple[Callable[[DayFacts], bool], Callable[[Axes, DayFacts], None]]] = {
    "contribution": (lambda facts: bool(facts.ledger.profit), _contribution),
    "evidence": (lambda facts: any(math.isfinite(share_of_gate(m)) for m in facts.metrics), _evidence),
    "ic": (_has_ic, _ics),
}
