"""What one member is worth to the book: the book with it less the book without it, bar by bar, at one risk."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.book.figures import yearly
from midas_engine.book.walk import walk
from midas_engine.models import NO_ESTIMATE, Estimate

if TYPE_CHECKING:
    from midas_engine.book.limits import Limits
    from midas_engine.book.paths import Market, Signals
    from midas_engine.book.strength import Prior
    from midas_engine.book.walk import Walk
    from midas_engine.stats._jit import Floats


def without(whole: Walk, k: int, signals: Signals, market: Market, train: slice, prior: Prior, limits: Limits) -> Walk:
    """The book without member k, with weights of its own."""
    return walk(signals.without(k), market, train, prior, limits, whole.held.without(k))


def marginal(
    whole: Walk, k: int, signals: Signals, market: Market, train: slice, prior: Prior, limits: Limits
) -> Estimate:
    """Bps of capital a year that member k adds, with its 90 % interval; both books have weights of their own.

    The book without it is scaled to the risk of the whole one: a member that only spreads risk is worth something.
    """
    if len(signals.names) == 1:
        return yearly(whole.net, market.bars_per_year)
    rest = without(whole, k, signals, market, train, prior, limits)
    return yearly(difference(whole.net, rest.net), market.bars_per_year)


def difference(whole: Floats, rest: Floats) -> Floats:
    """Net of the whole book less that of the rest at the same risk, per bar."""
    both = np.isfinite(whole) & np.isfinite(rest)
    ours, theirs = (float(x[both].std()) if both.any() else 0.0 for x in (whole, rest))
    ratio = ours / theirs if theirs > 0.0 and ours > 0.0 else 1.0
    return np.where(both, whole - ratio * rest, math.nan)


def shrunk(found: Estimate, share: float) -> Estimate:
    """An estimate whose value is drawn to nothing by `share`, its error kept."""
    if not math.isfinite(found.value):
        return NO_ESTIMATE
    value = found.value * share
    return Estimate(value, found.se, value - (found.value - found.low), value + (found.high - found.value))
