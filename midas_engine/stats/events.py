"""Event features: scored on triggered bars only, with errors clustered by event.

Triggers closer together than the hold share returns, and symbols triggered in one market move share the move:
all triggers of such a stretch, across symbols, are one event.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas_engine.stats._jit import Floats


def event_numbers(triggered: NDArray[np.bool_], hold: int) -> NDArray[np.int64]:
    """Number of the event each bar with a trigger belongs to, -1 elsewhere. Shapes: [T, S] -> [T].

    Example:
        >>> event_numbers(np.array([[True], [True], [False], [False], [True]]), 2).tolist()
        [0, 0, -1, -1, 1]
    """
    bars = np.flatnonzero(triggered.any(axis=1))
    out = np.full(triggered.shape[0], -1, np.int64)
    if bars.size:
        out[bars] = np.concatenate([[0], np.cumsum(np.diff(bars) > hold)])
    return out


def clustered_mean(values: Floats, events: NDArray[np.int64]) -> tuple[float, float, int]:
    """Mean over known cells with the error clustered by event (Liang and Zeger 1986).

    Args:
        values: [T, S], NaN where there is no trigger.
        events: Event of every bar.

    Returns:
        (mean, se, events): se = sqrt(G / (G - 1) x sum of squared event sums of deviations) / n.
    """
    known = ~np.isnan(values) & (events >= 0)[:, None]
    n = int(known.sum())
    if n == 0:
        return math.nan, math.nan, 0
    mean = float(values[known].mean())
    deviations = np.where(known, values - mean, 0.0).sum(axis=1)
    bars = known.any(axis=1)
    sums = np.bincount(events[bars], weights=deviations[bars])
    groups = int(np.unique(events[bars]).size)
    if groups < 2:
        return mean, math.nan, groups
    return mean, math.sqrt(groups / (groups - 1) * float((sums * sums).sum())) / n, groups


@dataclass(frozen=True, slots=True)
class EventReturns:
    """What a trigger earned; basis points of the notional traded at each trigger, after costs."""

    triggers: int
    events: int
    frequency: float
    mean_bps: float
    mean_se_bps: float
    median_bps: float
    hit_rate: float


def event_returns(
    direction: Floats, forward: Floats, paid: Floats, one_way_bps: float, hold: int, scorable: int
) -> EventReturns:
    """Returns per trigger: direction x return over the hold, less two one-way costs and the funding paid.

    Args:
        direction: [T, S] +1 or -1 where triggered, NaN elsewhere.
        forward: Returns over the hold.
        paid: Funding a long pays over the hold.
        one_way_bps: Cost of one side.
        hold: Bars held.
        scorable: Cells that could have triggered.
    """
    net = (direction * (forward - paid)) * 1e4 - 2.0 * one_way_bps
    events = event_numbers(~np.isnan(net), hold)
    mean, se, groups = clustered_mean(net, events)
    known = net[~np.isnan(net)]
    if known.size == 0:
        return EventReturns(0, 0, 0.0, math.nan, math.nan, math.nan, math.nan)
    return EventReturns(
        triggers=int(known.size),
        events=groups,
        frequency=known.size / max(scorable, 1),
        mean_bps=mean,
        mean_se_bps=se,
        median_bps=float(np.median(known)),
        hit_rate=float((known > 0.0).mean()),
    )
