"""How much capital a feature's book could carry on this data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.stats.capacity import capacity_usd
from midas_engine.stats.normal_scores import scores_of_ranks
from midas_engine.stats.positions import positions
from midas_engine.stats.ranks import own_ranks, sort_rows

if TYPE_CHECKING:
    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.stats._jit import Floats

PARTICIPATION = 0.01
"""Largest share of a bar's traded notional that is taken."""


def book_positions(values: Any, context: EvaluationContext, gate: Any = None) -> Floats:
    """Holdings at each close per unit gross [T, S]; only where the gate is above zero, with one."""
    array = context.take(values)
    array[~np.isfinite(array)] = np.nan
    if gate is not None:
        array[~(context.take(gate, "gate") > 0.0)] = np.nan
    rows = context.lay(array)
    ranks, counts = own_ranks(rows, sort_rows(rows))
    return positions(scores_of_ranks(ranks, counts, context.minimum), context.cross)


def capacity_of(
    values: Any, context: EvaluationContext, horizon: int, *, gate: Any = None, participation: float = PARTICIPATION
) -> float:
    """US dollars of gross exposure; NaN without volume. See `midas_engine.stats.capacity`."""
    volume = context.dollar_volume
    if volume is None:
        return math.nan
    return capacity_usd(book_positions(values, context, gate), volume, horizon, participation)
