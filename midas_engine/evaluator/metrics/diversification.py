"""What a feature shares with the deployed ones, and what it adds to them.

The score of what is left is not that of its ranks: a rest that correlates with nothing deployed has ranks that do (its
small values become large), and so has one whose size changes from bar to bar. A twin of a deployed feature with
rare jumps on top, or one scaled by what drifts, would pass for news. So its own values are scored, against the same
scores of returns: this is the t of the feature in a regression of those on all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.evaluator.context.byte_cache import mask_key
from midas_engine.evaluator.metrics.components import estimate, persistence
from midas_engine.evaluator.metrics.significance import score_figures
from midas_engine.stats.bar_scores import combine
from midas_engine.stats.expanding_scores import expanding_scores, follows_returns, less_later
from midas_engine.stats.hac import hac_lag, hac_mean
from midas_engine.stats.marginal import EXPLAINED
from midas_engine.stats.ranks import own_ranks, sort_rows

if TYPE_CHECKING:
    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.evaluator.metrics.candidate import Candidate
    from midas_engine.models import Estimate
    from midas_engine.stats._jit import Floats
    from midas_engine.stats.bar_scores import BarScores


@dataclass(frozen=True, slots=True)
class Diversification:
    """What the feature shares with the deployed ones, and what it adds.

    Attributes:
        max_correlation: The largest absolute rank correlation.
        most_correlated: With which one.
        marginal: IC of what they do not explain.
        marginal_t: Its t.
        held_correlation: The largest with one that is traded, and not only a candidate; NaN without any.
    """

    max_correlation: float
    most_correlated: str
    marginal: Estimate
    marginal_t: float
    held_correlation: float = math.nan


def diversification(candidate: Candidate, context: EvaluationContext) -> Diversification | None:
    """Largest absolute rank correlation, and IC and t of the residual; None when nothing is deployed."""
    deployed = context.deployed
    if not deployed.names:
        return None
    found = deployed.correlations(candidate.rows, candidate.order, context.minimum)
    size = np.where(np.isnan(found), -1.0, np.abs(found))
    best = int(np.argmax(size))
    largest = float(size[best]) if size[best] >= 0 else math.nan
    traded = [s for n, s in zip(deployed.names, size, strict=True) if n not in context.waiting]
    held = float(max(traded, default=-1.0))
    held = held if held >= 0 else math.nan
    whole = candidate.bars.z_f
    rest = deployed.residual(whole, mask_key(whole))
    if np.isnan(rest).all():
        return Diversification(largest, deployed.names[best], estimate(0.0, math.nan), 0.0, held)
    horizon = candidate.horizon
    unit = _unit(rest)
    scores = _scored(unit, whole - rest, candidate, context)
    if scores is None:
        return Diversification(largest, deployed.names[best], estimate(0.0, math.nan), 0.0, held)
    steady = persistence(unit, context.cross) if horizon > 1 else 0.0
    score = score_figures(scores, horizon, steady, context.cross)
    series = context.beside(unit, mask_key(unit), horizon)
    marginal = estimate(*hac_mean(series, hac_lag(horizon))[:2], score.widening)
    return Diversification(largest, deployed.names[best], marginal, score.t, held)


def _unit(rest: Floats) -> Floats:
    """At unit variance over all its cells: bars in which the others explain all have little say."""
    found: Floats = rest / math.sqrt(float(np.nanmean(rest * rest)))
    return found


def _scored(rest: Floats, explained: Floats, candidate: Candidate, context: EvaluationContext) -> BarScores | None:
    """Bar scores of the rest; in time, where it follows past returns, those in which nothing leans.

    None where those say that nothing is left: what keeps the order of a deployed feature has the same expanding scores.
    """
    z_r = candidate.bars.z_r
    # What the others say of the returns only adds to the error: of both sides the rest is taken.
    found = combine(rest, context.deployed.residual(z_r, mask_key(z_r)), context.cross)
    if context.cross or not follows_returns(replace(found, z_r=z_r), candidate.horizon):
        return found
    own, others = (expanding_scores(own_ranks(z, sort_rows(z))[0]) for z in (candidate.bars.z_f, explained))
    size = float(np.nansum(others * others))
    left = own - (float(np.nansum(own * others)) / size if size > 0.0 else 0.0) * others
    if not float(np.nansum(left * left)) > (1.0 - EXPLAINED) * float(np.nansum(own * own)):
        return None
    return replace(combine(_unit(left), less_later(z_r), False), z_f=rest, z_r=z_r)
