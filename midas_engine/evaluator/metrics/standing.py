"""What of a cross-sectional feature differs between symbols for good, and what moves.

The normal scores of a symbol are its mean over the part and what is left: z = z_standing + z_moving. Score, gross
return and funding are linear in z, so the two parts add up to the whole. The standing part is a fixed bet on these
symbols: its score is one draw of who drifted, and thousands of bars do not make it more. The moving part is what a
feature knows that a list of names does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from midas_engine.evaluator.metrics.significance import ScoreFigures, score_figures
from midas_engine.models import Estimate
from midas_engine.stats.bar_scores import BarScores, combine, split_columns
from midas_engine.stats.book import run_book
from midas_engine.stats.normal import Z90

if TYPE_CHECKING:
    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.evaluator.metrics.candidate import Candidate
    from midas_engine.stats._jit import Floats


@dataclass(frozen=True, slots=True)
class Part:
    """Score of one part with its clustered error, and what its book earns net, bps per bar and unit gross."""

    score: Estimate
    t: float
    net_bps: float = math.nan


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

    def earning(self, whole_bps: float, standing_bps: float) -> StandingFigures:
        """The same with what the whole book and its standing part earn net."""
        standing, moving = replace(self.standing, net_bps=standing_bps), self.moving
        return replace(self, standing=standing, moving=replace(moving, net_bps=whole_bps - standing_bps))


def standing_figures(candidate: Candidate, context: EvaluationContext, persistence: float) -> StandingFigures | None:
    """Both parts of a feature; None where features are scored in time, for no standing part is scored there.

    What they earn is not known here: see `StandingFigures.earning`.
    """
    if not context.cross:
        return None
    bars, horizon = candidate.bars, candidate.horizon
    constant, rest, between, total = split_columns(bars.z_f, bars.z_f)
    fixed = combine(constant, bars.z_r, True)
    moves = BarScores(bars.u - fixed.u, rest, bars.z_r, bars.cells, bars.cell_variance)
    scores = score_figures(fixed, horizon, 1.0, True), score_figures(moves, horizon, persistence, True)
    return standing_of(*scores, between, total)


def standing_of(fixed: ScoreFigures, moves: ScoreFigures, between: float, total: float) -> StandingFigures:
    """Both parts from their scores, and the squares of the symbols' means and of all normal scores."""
    standing, moving = _part(fixed), _part(moves)
    sizes = abs(standing.score.value) + abs(moving.score.value)
    return StandingFigures(
        standing,
        moving,
        moving.score.value / sizes if sizes > 0.0 else math.nan,
        between / total if total > 0.0 else math.nan,
    )


def _part(found: ScoreFigures) -> Part:
    value, se = found.mean, found.se
    return Part(Estimate(value, se, value - Z90 * se, value + Z90 * se), found.t)


def standing_net_bps(p: Floats, z: Floats, forward: Floats, paid: Floats, horizon: int, one_way_bps: float) -> float:
    """What each symbol's mean position earns net, bps per bar; it trades only where symbols come and go.

    Args:
        p: Positions [T, S].
        z: The feature's normal scores, NaN where there is no position.
        forward: Forward returns over `horizon` bars.
        paid: Funding a long pays over the same bars.
        horizon: Bars each forecast is held.
        one_way_bps: Fee, half spread and slippage.
    """
    fixed = split_columns(p, z)[0]
    fixed[fixed != fixed] = 0.0
    return run_book(fixed, forward, paid, horizon).net_bps(one_way_bps)
