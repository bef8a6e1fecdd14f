"""A feature with a gate and a hold: scored where the gate is open, against the return over the hold.

The feature's normal scores are taken over every bar, so its direction does not depend on the gate; they are then
kept on triggered bars and scaled to unit root mean square there. The score of an event feature is therefore an
uncentred correlation: a feature that is always high when triggered, and right, scores. Its significance is that of
the position which is held after a trigger, bar by bar: see `midas_engine.stats.events`.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.evaluator.context.byte_cache import mask_key
from midas_engine.evaluator.metrics.candidate import Candidate
from midas_engine.evaluator.metrics.components import estimate
from midas_engine.evaluator.metrics.result import assemble, empty_result
from midas_engine.evaluator.metrics.significance import ScoreFigures
from midas_engine.stats.bar_scores import combine
from midas_engine.stats.events import (
    clustered_mean,
    event_numbers,
    event_returns,
    held_positions,
    held_score,
    less_what_follows,
)
from midas_engine.stats.hac import one_sided_p
from midas_engine.stats.normal_scores import location_table, scores_of_ranks
from midas_engine.stats.ranks import own_ranks, sort_rows

if TYPE_CHECKING:
    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.models import EvaluationResult
    from midas_engine.stats._jit import Floats

FEWEST_HOLDS = 10
"""Independent holds below which no figure is given; the gate on their number is a threshold."""


def evaluate_event(
    values: Floats, gate: Floats, hold: int, context: EvaluationContext, name: str, notes: list[str]
) -> EvaluationResult:
    """Every metric of an event feature. Shapes: values and gate [T, S]."""
    data = context.horizon(hold)
    rows = context.lay(values)
    z_f = directions(rows, context)
    scaled, scaled_order, scorable = context.scaled(hold)
    z_r = scores_of_ranks(*own_ranks(scaled, scaled_order), context.minimum, location_table)
    z_f[~(context.lay(gate) > 0.0) | np.isnan(z_r)] = np.nan
    triggers = int(np.count_nonzero(~np.isnan(z_f)))
    size = math.sqrt(float(np.nanmean(z_f * z_f))) if triggers else math.nan
    mean, se, holds = significance(z_f, z_r, hold, context) if size > 0.0 else (math.nan, math.nan, 0.0)
    if holds < FEWEST_HOLDS or not se > 0.0:
        events = int(event_numbers(~np.isnan(_cells(z_f, context)), hold).max()) + 1
        notes.append(
            f"{events} events from {triggers} triggers are worth {holds:.1f} independent holds; "
            f"{FEWEST_HOLDS} are the least for any figure"
        )
        return empty_result(name, context, triggers, triggers / max(scorable, 1), notes)
    z_f = z_f / size
    bars = combine(z_f, z_r, context.cross)
    dof = holds - 1.0
    variance = float(np.nanvar(bars.u))
    count = int(np.count_nonzero(~np.isnan(bars.u)))
    score = ScoreFigures(mean, se, mean / se, one_sided_p(mean / se, dof), dof, count, variance, se * se * count, 1.0)
    returns = event_returns(
        np.sign(_cells(z_f, context)), data.forward, context.paid(hold), context.costs.one_way_bps, hold, scorable
    )
    known = np.where(np.isnan(z_f), np.nan, rows)
    candidate = Candidate(
        values=_cells(known, context), rows=known, order=sort_rows(known), key=mask_key(known), bars=bars,
        horizon=hold, count=count, coverage=triggers / max(scorable, 1),
    )  # fmt: skip
    return assemble(candidate, context, name, notes, score, estimate(mean, se), event=asdict(returns))


def significance(z_f: Floats, z_r: Floats, hold: int, context: EvaluationContext) -> tuple[float, float, float]:
    """Mean score, its error and the independent holds; clustered by event where returns of single bars are unknown."""
    if context.horizons[0] != 1:
        scores = _cells(z_f * z_r, context)
        mean, se, events = clustered_mean(scores, event_numbers(~np.isnan(scores), hold))
        size = math.sqrt(float(np.nanmean(z_f * z_f)))
        return mean / size, se / size, float(events)
    position = held_positions(_cells(z_f, context), hold)
    return held_score(position, less_what_follows(_cells(context.bar_scores, context)), hold)


def _cells(rows: Floats, context: EvaluationContext) -> Floats:
    return rows if context.cross else rows.T


def directions(rows: Floats, context: EvaluationContext) -> Floats:
    """Normal scores over all known bars; the plain sign where the feature never varies."""
    z = scores_of_ranks(*own_ranks(rows, sort_rows(rows)), context.minimum)
    if np.isnan(z).all():
        z = np.where(np.isnan(rows), np.nan, np.sign(rows))
        z[z == 0.0] = np.nan
    return z
