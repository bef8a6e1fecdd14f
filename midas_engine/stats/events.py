"""Event features: what a trigger earned, and the test of the position that follows the triggers.

Triggers closer together than the hold share returns, and symbols triggered in one market move share the move:
all triggers of such a stretch, across symbols, are one event.

The test is not one of events. A feature against the trend is triggered again while the trend goes on, and no more once
it turned: lost events are long and won ones short, their sums are skewed, and a t from sums of events passes noise
several times too often. The position that a trader of the event holds is known before each bar, so that its scores
are martingale differences when nothing is foreseen, whatever made the triggers: their sum over the root of the sum of
their squares needs no boundaries of events (self-normalised sums: de la Pena, Lai and Shao 2009).
`benchmarks/statistics/sim_event_sizes.py` shows both.
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


def held_positions(direction: Floats, hold: int) -> Floats:
    """Mean direction of the triggers of the last `hold` bars, 0 without one. Shapes: [T, S] -> [T, S].

    A mean and not a sum: a position does not grow because a trigger that loses is triggered again. Directions are
    cut at 1, for the same reason.

    Example:
        >>> held_positions(np.array([[1.0], [np.nan], [-3.0], [np.nan], [np.nan]]), 2)[:, 0].tolist()
        [1.0, 1.0, -1.0, -1.0, 0.0]
    """
    known = ~np.isnan(direction)
    sums = np.cumsum(np.where(known, np.clip(direction, -1.0, 1.0), 0.0), axis=0)
    open_ = np.cumsum(known, axis=0)
    if hold < len(direction):
        sums[hold:], open_[hold:] = sums[hold:] - sums[:-hold], open_[hold:] - open_[:-hold]
    return np.where(open_ > 0, sums / np.maximum(open_, 1), 0.0)


def less_what_follows(x: Floats) -> Floats:
    """Each value less the mean of all later ones of its column, at its variance. Shapes: [T, S] -> [T, S].

    Forward orthogonal deviations (Arellano and Bover 1995). A mean over the whole column holds what came before, which
    a feature that follows or fights the trend knows: taken off, it is a bias towards reversal. A mean of what comes
    after is as foreign to the feature as the value itself, and takes off the drift all the same.

    Example:
        >>> less_what_follows(np.array([[3.0], [1.0], [1.0]]))[:2, 0].round(3).tolist()
        [1.633, 0.0]
    """
    known = ~np.isnan(x)
    values = np.where(known, x, 0.0)
    later = np.cumsum(values[::-1], axis=0)[::-1] - values
    n = np.cumsum(known[::-1], axis=0)[::-1] - known
    found: Floats = np.where(known & (n > 0), (values - later / np.maximum(n, 1)) * np.sqrt(n / (n + 1.0)), np.nan)
    return found


def held_score(position: Floats, x: Floats, hold: int) -> tuple[float, float, float]:
    """Mean score of a position over a hold, its error, and how many independent holds there are in it.

    Args:
        position: [T, S], known before each bar; 0 where nothing is held.
        x: [T, S] scores of the single bars' returns, unit variance, without foresight of mean zero.
        hold: Bars held.

    Returns:
        (mean, se, holds). The mean is the uncentred correlation with a bar's return times sqrt(hold): that with the
        return over the hold. Holds after Satterthwaite (1946), from the squares within stretches of one hold.
    """
    known = ~np.isnan(x)
    scores = np.where(known, position * np.where(known, x, 0.0), 0.0).sum(axis=1)
    squares = scores * scores
    stretches = np.add.reduceat(squares, np.arange(0, squares.size, hold))
    total = float(squares.sum())
    held = known & (position != 0.0)
    size = math.sqrt(float((position[held] ** 2).sum()) * float(held.sum())) / math.sqrt(hold)
    if not (total > 0.0 and size > 0.0):
        return math.nan, math.nan, 0.0
    return float(scores.sum()) / size, math.sqrt(total) / size, total**2 / float((stretches**2).sum())


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
