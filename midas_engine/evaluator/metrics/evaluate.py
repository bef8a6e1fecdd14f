"""`evaluate_values`: every metric of one feature over one part of the data.

Definitions (docs of the modules of `midas_engine.stats` give formulas and sources):

* `rank_ic`, `ic`: plain Spearman and Pearson with the raw forward return; per bar across symbols and then the
  mean for a cross-section, over the part for a single series (mean over symbols for a handful of them).
* `score`, `score_t`, `score_p`: mean of the per-bar score u_t, its t (HAC over time, the smaller of HAC and block
  bootstrap beyond 24 bars; across symbols clustered by symbol too) and the one-sided p on its degrees of freedom.
* `extra["standing"]`: what of a cross-sectional feature differs between symbols for good and what moves, see
  `midas_engine.evaluator.metrics.standing`. `extra["nominal"]`: why it cannot be compared across symbols.
* `is_ic`, `oos_ic`, `folds`, `ic_by_regime`: means of u_t over parts of the time axis.
* `marginal_ic`: correlation of the residual after the deployed features with ranked returns; `marginal_t` from its u_t
  (`midas_engine.evaluator.metrics.diversification`).
* bps are per bar and per unit gross; `net_bps_per_trade` is per unit of gross that is traded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.evaluator.context.byte_cache import mask_key
from midas_engine.evaluator.metrics.candidate import Candidate
from midas_engine.evaluator.metrics.result import FEWEST_BARS, assemble, empty_result, why_empty
from midas_engine.stats.ranks import blank_flat_rows, sort_rows

if TYPE_CHECKING:
    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.models import EvaluationResult

"""Cells of a panel from which threads pay."""

"""Scored bars below which no figure is given at all; the gate on bars is a threshold of its own."""


def evaluate_values(
    values: Any, context: EvaluationContext, name: str = "", *, gate: Any = None, hold: int = 0, nominal: str = ""
) -> EvaluationResult:
    """Score a feature's values against a context.

    Args:
        values: [T, S] (or [T] for one symbol), over the part or over the whole panel it was cut from.
        context: Returns, folds, regimes and deployed features.
        name: For messages.
        gate: Of an event feature: [T, S], a bar is triggered where it is above zero.
        hold: Bars an event is held, which is its horizon too; of any other feature, bars that its book holds each
            forecast. 0 takes the target.
        nominal: Why the expression cannot be compared across symbols (`midas_engine.dsl.nominal`); a refusal where
            it is scored across symbols.

    Returns:
        Every metric; NaN where the data cannot give one, with the reason among the warnings. Never raises for
        what the values are, only for their shape.
    """
    array = context.take(values, name)
    notes: list[str] = []
    infinite = np.isinf(array)
    if infinite.any():
        notes.append(f"{int(infinite.sum())} infinite values were treated as missing")
        array[infinite] = np.nan
    if gate is not None:
        from midas_engine.evaluator.metrics.events import evaluate_event

        bars_held = hold or context.target
        found = evaluate_event(array, context.take(gate, "gate"), bars_held, context, name, notes)
        return replace(found, extra={**found.extra, **_nominal(nominal, context)})
    rows = context.lay(array)
    flat = blank_flat_rows(rows)
    order = sort_rows(rows)
    target = context.target
    scorable = context.scaled(target)[2]
    key = mask_key(rows)
    bars = context.score(rows, order, key, target)
    coverage = bars.cells / scorable if scorable else 0.0
    count = int(np.count_nonzero(bars.u == bars.u))
    if count < FEWEST_BARS:
        return empty_result(name, context, count, coverage, [*notes, why_empty(array, count, flat, context)])
    candidate = Candidate(array, rows, order, key, bars, target, count, coverage, hold)
    return assemble(candidate, context, name, notes, **_nominal(nominal, context))


def _nominal(nominal: str, context: EvaluationContext) -> dict[str, Any]:
    return {"nominal": nominal} if nominal and context.cross else {}
