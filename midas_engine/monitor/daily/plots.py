"""The plots of a daily report: contribution, evidence against each feature, rolling ICs. PNG bytes, no screen."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from midas_engine.monitor.daily.facts import DayFacts

INK, GOOD, BAD, SOFT = "#2b2d42", "#2a9d8f", "#c1121f", "#8d99ae"
BARS_SHOWN = 40


def day_plots(facts: DayFacts) -> dict[str, bytes]:
    """PNG files by name; a plot without anything to show is left out."""
    found = {name: draw for name, (wanted, draw) in _PLOTS.items() if wanted(facts)}
    return {name: _png(draw, facts) for name, draw in found.items()}


def _png(draw: Callable[[Axes, DayFacts], None], facts: DayFacts) -> bytes:
    # the object interface: pyplot keeps global state and may want a screen
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes, facts)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": "Midas"})
    return out.getvalue()


def _contribution(axes: Axes, facts: DayFacts) -> None:
    ranked = sorted(facts.ledger.profit.items(), key=lambda item: item[1][1])
    half = BARS_SHOWN // 2
    shown = ranked if len(ranked) <= BARS_SHOWN else [*ranked[:half], *ranked[-half:]]
    place = np.arange(len(shown))
    net = np.array([pair[1] for _, pair in shown])
    axes.barh(place, [pair[0] for _, pair in shown], color=SOFT, height=0.7, label="gross")
    axes.barh(place, net, color=np.where(net < 0, BAD, GOOD).tolist(), height=0.35, label="net of costs")
    axes.set_yticks(place, [_plain(name) for name, _ in shown], fontsize=8)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlabel("bps")
    axes.set_title(f"Contribution of {facts.day.isoformat()} (UTC): gross wide, net narrow", fontsize=10)


def _evidence(axes: Axes, facts: DayFacts) -> None:
    ranked = sorted((m for m in facts.metrics if math.isfinite(m.decay_log_s)), key=lambda m: m.decay_log_s)
    shown = ranked[-BARS_SHOWN:]
    place = np.arange(len(shown))
    logs = [max(m.decay_log_s, 0.0) for m in shown]
    near = [BAD if m.decay_log_s >= 0.8 * m.decay_threshold else GOOD for m in shown]
    axes.barh(place, logs, color=near, height=0.6)
    axes.axvline(shown[0].decay_threshold, color=INK, linestyle="--", linewidth=1)
    axes.set_yticks(place, [_plain(m.feature) for m in shown], fontsize=8)
    axes.set_xlabel("ln S of the sequential test; it calls at the dashed line")
    axes.set_title("Evidence that a feature decayed", fontsize=10)


def _ics(axes: Axes, facts: DayFacts) -> None:
    for name, arrays in facts.history.items():
        line = np.asarray(arrays["ic_30d"], float)
        if np.isfinite(line).any():
            axes.plot(np.asarray(arrays["at"]), line, linewidth=1.2, label=_plain(name))
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_ylabel("rank IC, 30 days")
    axes.tick_params(axis="x", labelsize=8)
    axes.legend(fontsize=7, loc="upper left", frameon=False, ncols=2)
    axes.set_title("Rolling IC of the first features", fontsize=10)


def _plain(name: str) -> str:
    """A name as a label: no line break, and none of the signs that start a formula in a plot."""
    return " ".join(name.split()).replace("$", "").replace("\\", "/")[:40]


def _has_ic(facts: DayFacts) -> bool:
    return any(np.isfinite(np.asarray(a["ic_30d"], float)).any() for a in facts.history.values())


_PLOTS: dict[str, tuple[Callable[[DayFacts], bool], Callable[[Axes, DayFacts], None]]] = {
    "contribution": (lambda facts: bool(facts.ledger.profit), _contribution),
    "evidence": (lambda facts: any(math.isfinite(m.decay_log_s) for m in facts.metrics), _evidence),
    "ic": (_has_ic, _ics),
}
