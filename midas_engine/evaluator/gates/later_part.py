"""Whether the later part of a history proves a feature by itself, whatever it lost on the way there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midas_engine.models import EvaluationResult

LEAST_SHARE = 0.5
"""Of the earlier score, what must be left: a feature that lost more than half of it was fitted, or is dying."""


def later_part_proves(result: EvaluationResult, oos_t: float, line_t: float) -> bool:
    """Whether at least half of the score is left, and the later folds alone pass the line that the whole must pass.

    The difference of two scores grows significant with the strength of a feature: of IC 0.1 that is 0.08 later the
    fall is beyond doubt, and so is what is left. Noise passes here no more often than it passes the line itself.
    """
    widening = float(result.extra.get("widening", 1.0))  # what clustering by symbol does to an error of the time axis
    return oos_t >= line_t * widening and result.oos_ic.value >= LEAST_SHARE * result.is_ic.value > 0.0
