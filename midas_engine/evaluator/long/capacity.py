"""Capacity of a feature's book on a history that is walked over."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.evaluator.long.first_look import PIECE
from midas_engine.stats.capacity import Capacity
from midas_engine.stats.positions import positions

if TYPE_CHECKING:
    from midas_engine.evaluator.context.part_rows import PartRows
    from midas_engine.evaluator.long.ranked import RankedBars


def long_capacity(part: PartRows, held: RankedBars, horizon: int) -> float:
    """US dollars of gross exposure, as `midas_engine.evaluator.capacity_of` gives; NaN without volume.

    Args:
        part: What is scored.
        held: Ranks of the feature over its own cells.
        horizon: Bars each forecast is held.
    """
    last_trade = part.bars - 1  # what is decided at the last bar is not traded in this part
    if not part.knows_volume or last_trade <= horizon:
        return math.nan
    capacity = Capacity(horizon)
    for step in (capacity.weigh, capacity.collect):
        before = np.empty((0, part.panel.S))
        for first in range(0, last_trade, PIECE):
            last = min(first + PIECE, last_trade)
            p = np.vstack([before, positions(held.scores(first, last), True)])
            before = p[-horizon:].copy()
            if last > horizon:
                step(p, part.dollar_volume(max(first, horizon) + 1, last + 1))
            part.panel.let_go()
    return capacity.found()
