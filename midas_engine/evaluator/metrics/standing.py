"""What of a cross-sectional feature differs between symbols for good, and what moves.

The normal scores of a symbol are its mean over the part and what is left: z = z_standing + z_moving. Score, gross
return and funding are linear in z, so the two parts add up to the whole. The standing part is a fixed bet on these
symbols: its score is one draw of who drifted, and thousands of bars do not make it more. The moving part is what a
feature knows that a list of names does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.evaluator.metrics.significance import score_figures
from midas_engine.models import Estimate
from midas_engine.stats.bar_scores import combine
from midas_engine.stats.book import run_book
from midas_engine.stats.normal import Z90
from midas_engine.stats.positions import positions

if TYPE_CHECKING:
    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.evaluator.metrics.components import Candidate
    from midas_engine.stats._jit import Floats


@dataclass(frozen=True, slots=True)
class Part:
    """Score of one part with its clustered error, and what its book earns net, bps per bar and unit gross."""

    score: Estimate
    t: float
    net_bps: float


@dataclass(frozen=True, slots=True)
class StandingFigures:
    """The two parts of a feature.

    Attributes:
        standing: What differs between symbols for good.
        moving: What moves.
        moving_share: The moving part's score over the sum of both sizes: 1 all that it earns moves, 0.5 as much as
            stands, 0 none of it.
        standing_variance: Share of the variance of the feature's normal scores that lies between symbols: 1 for a
            constant per symbol, 0.92 to 0.99 for prices, near 0 for a feature that forgets.
    """

    standing: Part
    moving: Part
    moving_share: float
    standing_variance: float


def standing_figures(candidate: Candidate, context: EvaluationContext, persistence: float) -> StandingFigures | None:
    """Both parts of a feature; None where features are scored in time, for no standing part is scored there."""
    if not context.cross:
        return None
    z, z_r, horizon = candidate.bars.z_f, candidate.bars.z_r, candidate.horizon
    constant = _by_symbol(z)
    rest = z - constant
    net, fixed_net = _nets(z, context, horizon)
    standing = _part(constant, z_r, horizon, 1.0, fixed_net)
    moving = _part(rest, z_r, horizon, persistence, net - fixed_net)
    sizes = abs(standing.score.value) + abs(moving.score.value)
    known = z == z
    total = float((z[known] ** 2).sum())
    return StandingFigures(
        standing,
        moving,
        moving.score.value / sizes if sizes > 0.0 else math.nan,
        float((constant[known] ** 2).sum()) / total if total > 0.0 else math.nan,
    )


def _by_symbol(z: Floats) -> Floats:
    """Each symbol's mean, where it is known [T, S]."""
    known = z == z
    means = np.where(known, z, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, means, np.nan)


def _part(z: Floats, z_r: Floats, horizon: int, persistence: float, net: float) -> Part:
    found = score_figures(combine(z, z_r, True), horizon, persistence, True)
    value, se = found.mean, found.se
    return Part(Estimate(value, se, value - Z90 * se, value + Z90 * se), found.t, net)


def _nets(z: Floats, context: EvaluationContext, horizon: int) -> tuple[float, float]:
    """Net of the whole book and of the standing part of it, bps per bar."""
    p = positions(z, True)
    held = np.where(z == z, p, np.nan)
    fixed = np.nan_to_num(_by_symbol(held))
    forward, paid, one_way = context.horizon(horizon).forward, context.paid(horizon), context.costs.one_way_bps
    whole, part = (run_book(x, forward, paid, horizon) for x in (p, fixed))
    return whole.net_bps(one_way), part.net_bps(one_way)
