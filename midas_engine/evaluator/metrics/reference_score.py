"""What a feature promises: its causal score, measured where it was not searched, and shrunk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.evaluator.context.layout import MODES
from midas_engine.evaluator.context.scored_as import found_across, panel_is_cross
from midas_engine.market.forward import forward_returns
from midas_engine.stats.causal_score import causal_scores
from midas_engine.stats.sequential import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from midas_engine.market.panel import Panel
    from midas_engine.models import FeatureRecord

# Selection flatters: of a measured score seven tenths are expected to stay.
SHRINK = 0.7
LEAST_BARS = 240


def measure_reference(
    panel: Panel, values: NDArray[np.float64], rows: slice, mode: str = "auto"
) -> tuple[Reference | None, float]:
    """The promise of a feature, from the causal score over `rows`, and its t.

    The score is the live monitor's own, warmed on everything before `rows`. It is shrunk by 0.7; the
    variance is that of the score per unit of weight, so that 1 / variance is the effective breadth.

    Args:
        panel: The market.
        values: [T, S] over the whole panel.
        rows: Where to measure: the sealed part, or what came before a replay.
        mode: The setting `evaluation.mode`; the whole panel decides where it says auto.

    Returns:
        The reference (None when too few bars could be scored or the score is not positive) and the
        t of the mean score; NaN when there is none.
    """
    return reference_of(values, forward_returns(panel, (1,))[1], rows, panel_is_cross(panel, mode))


def reference_of(
    values: NDArray[np.float64], returns: NDArray[np.float64], rows: slice, cross: bool | None = None
) -> tuple[Reference | None, float]:
    """`measure_reference` on plain arrays: values [T, S] and the one-bar returns [T, S] that follow them."""
    start, stop, _ = rows.indices(len(values))
    # A quarter of history warms the scorer: three half-lives of its slowest average.
    first = max(0, start - 3 * 720)
    u, w = causal_scores(values[first:stop], returns[first:stop], cross)
    u, w = u[start - first :], w[start - first :]
    known = np.isfinite(u) & np.isfinite(w) & (w > 0)
    bars = int(known.sum())
    if bars < LEAST_BARS:
        return None, float("nan")
    u, w = u[known], w[known]
    slope = float(u.sum() / w.sum())
    variance = float(((u - slope * w) ** 2).sum() / w.sum())
    t = slope / float(np.sqrt(variance / w.sum())) if variance > 0 else float("nan")
    reference = Reference(SHRINK * slope, variance, float(bars))
    return (reference if reference.usable else None), t


def stored_reference(record: FeatureRecord) -> Reference | None:
    """The promise kept in a feature's document; None: uncalibrated."""
    if record.expected_score is None:
        return None
    variance = 1.0 / record.breadth if record.breadth else 1.0
    bars = record.metrics.get("reference_bars", 0.0)
    reference = Reference(record.expected_score, variance, float(bars) if isinstance(bars, int | float) else 0.0)
    return reference if reference.usable else None


def watched_references(
    records: Iterable[FeatureRecord], symbols: int | None, mode: str
) -> tuple[dict[str, Reference], tuple[str, ...]]:
    """The promises of what is watched, and the names of those that promised a score of the other mode.

    Args:
        records: What is watched.
        symbols: How many symbols are watched; None: not known yet, and none is held against another.
        mode: How they are scored, one of `MODES`; auto holds none against another either.
    """
    kept: dict[str, Reference] = {}
    others = []
    for record in records:
        reference = stored_reference(record)
        if reference is None:
            continue
        found = None if symbols is None or mode == MODES[0] else found_across(record, symbols)
        if found in (None, mode == MODES[2]):
            kept[record.name] = reference
        else:
            others.append(record.name)
    return kept, tuple(others)
