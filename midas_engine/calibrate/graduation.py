"""What becomes of a feature after its sealed look: promoted there, graduated from shadow later, or neither.

The bars after the look are a continuation of the user's market: weeks of its research part in an order drawn with
replacement, every bar's returns times a fair coin, and the planted effect added as it was before. The sealed part is
looked at once, as a session would, and lends the continuation nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.calibrate.targets import BLOCK_HOURS, Target, plant
from midas_engine.evaluator.trials.holdout import sealed_vetoes
from midas_engine.stats.causal_score import causal_scores
from midas_engine.stats.graduation import GraduationBank, SealedEvidence
from midas_engine.stats.online_fdr import LordPlusPlus
from midas_engine.stats.scale import lagged_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas_engine.calibrate.market import Market
    from midas_engine.models import MultiAgentResult
    from midas_engine.stats._jit import Floats

DAYS = (30, 90, 180)
"""Days in shadow after which features are counted."""

_WARM_BARS = 720  # of the continuation: the half-life of the slowest average of the causal score


def day_of_promotion(
    market: Market,
    verdict: MultiAgentResult,
    values: Floats,
    z: Floats,
    strength: float,
    seed: list[int],
) -> float:
    """Day on which a feature would be promoted: 0 at its look, later out of shadow, infinite when never.

    Args:
        market: The user's market.
        verdict: What the sealed part said of it.
        values: The feature [T, S].
        z: Its normal scores [T, S].
        strength: What is planted in the continuation; 0 plants nothing.
        seed: Of the continuation.
    """
    e = verdict.evaluation
    p = e.score_p if math.isfinite(e.score_p) else 1.0
    # The first look of a fresh lifetime.
    evidence = SealedEvidence(p, LordPlusPlus().level(), e.bars_scored)
    if sealed_vetoes(verdict):
        return math.inf
    if evidence.promoted:
        return 0.0
    return _in_shadow(market, values, z, strength, evidence, seed) if evidence.sound else math.inf


def _in_shadow(
    market: Market, values: Floats, z: Floats, strength: float, evidence: SealedEvidence, seed: list[int]
) -> float:
    per_day = 24.0 / market.panel.hours_per_bar
    bars = math.ceil(DAYS[-1] * per_day)
    rng = np.random.default_rng([*seed, 3])
    rows = continued_rows(market.parts.research, _WARM_BARS + bars, market.panel.hours_per_bar, rng)
    noise = market.returns[rows] * (rng.integers(0, 2, len(rows)) * 2.0 - 1.0)[:, None]
    bare = Target(noise, lagged_scale(noise, 1), rows)
    returns = plant(bare, z[rows], strength).returns if strength else noise
    clean = np.where(np.isfinite(values[rows]), values[rows], np.nan)
    u, _ = causal_scores(clean, returns, market.cross)
    bank = GraduationBank([evidence])
    for bar, score in enumerate(u[_WARM_BARS:], 1):
        bank.update(np.array([score]))
        if bank.graduated[0]:
            return bar / per_day
    return math.inf


def continued_rows(research: slice, bars: int, hours_per_bar: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of the research part, week after week drawn with replacement, `bars` of them (Kuensch 1989)."""
    start, stop = int(research.start or 0), int(research.stop)
    block = min(max(2, round(BLOCK_HOURS / hours_per_bar)), stop - start)
    first = rng.integers(start, stop - block + 1, math.ceil(bars / block))
    rows: NDArray[np.int64] = (first[:, None] + np.arange(block)[None, :]).reshape(-1)[:bars]
    return rows
