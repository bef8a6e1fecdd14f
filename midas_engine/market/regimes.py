"""Regime labels that use the past only: volatility terciles, and trend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas_engine.market.panel import Panel

VOLATILITY_LABELS = ("LOW_VOL", "MID_VOL", "HIGH_VOL")
TREND_LABELS = ("DOWN_TREND", "SIDEWAYS", "UP_TREND")
# A day of volatility, ranked within the quarter before it: short enough to follow a market,
# long enough that each tercile is visited.
VOLATILITY_HOURS = 24
REFERENCE_HOURS = 24 * 90
TREND_HOURS = 24 * 7
# Below this many standard deviations of a driftless walk a week's move is called sideways.
TREND_Z = 0.75


def regime_labels(panel: Panel) -> NDArray[np.str_]:
    """Volatility tercile of the market at each bar [T]; "" until enough of the past is known.

    The market is the cross-sectional mean of one-bar returns (one symbol: its own). Its volatility
    over the last day is ranked among the last 90 days' values, all known at the bar's close.
    """
    volatility = _rolling_std(_market_returns(panel), panel.bars(VOLATILITY_HOURS))
    # Bars an hour apart rank as well as all of them do and cost a fraction.
    rank = _past_rank(volatility, panel.bars(REFERENCE_HOURS), panel.bars(1))
    labels = np.full(panel.T, "", dtype="<U10")
    known = np.isfinite(rank)
    labels[known] = np.array(VOLATILITY_LABELS)[np.minimum(2, (rank[known] * 3).astype(int))]
    return labels


def trend_labels(panel: Panel) -> NDArray[np.str_]:
    """Trend of the market over the last week at each bar [T]; "" until known."""
    returns = np.nan_to_num(_market_returns(panel))
    bars = panel.bars(TREND_HOURS)
    total = _trailing_sum(returns, bars)
    scale = np.sqrt(_trailing_sum(returns**2, bars))
    with np.errstate(all="ignore"):
        z = total / scale
    labels = np.full(panel.T, "", dtype="<U10")
    known = np.isfinite(z) & (np.arange(panel.T) >= bars)
    step = np.where(z[known] > TREND_Z, 2, np.where(z[known] < -TREND_Z, 0, 1))
    labels[known] = np.array(TREND_LABELS)[step]
    return labels


def _market_returns(panel: Panel) -> NDArray[np.float64]:
    out = np.empty(panel.T)
    for start in range(0, panel.T, _BARS_AT_ONCE):
        stop = min(start + _BARS_AT_ONCE, panel.T)
        returns = panel.rows("returns", start, stop)
        known = np.isfinite(returns)
        count = known.sum(axis=1)
        # A hundred percent in a bar is as volatile as it gets; without the bound one absurd print would outweigh a
        # quarter.
        total = np.where(known, np.clip(np.where(known, returns, 0.0), -1.0, 1.0), 0.0).sum(axis=1)
        out[start:stop] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        panel.let_go()
    return out


def _trailing_sum(values: NDArray[np.float64], bars: int) -> NDArray[np.float64]:
    """Sum of the last `bars` values at each bar; NaN before there are so many."""
    out = np.full(len(values), np.nan)
    if len(values) >= bars:
        total = np.concatenate([[0.0], np.cumsum(values)])
        out[bars - 1 :] = total[bars:] - total[:-bars]
    return out


def _rolling_std(values: NDArray[np.float64], bars: int) -> NDArray[np.float64]:
    """Standard deviation of the last `bars` values; NaN where fewer than half of them are known."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    count = _trailing_sum(known.astype(np.float64), bars)
    with np.errstate(all="ignore"):
        mean = _trailing_sum(filled, bars) / count
        square = _trailing_sum(filled**2, bars) / count
        spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    return np.where(2 * count >= bars, spread, np.nan)


def _past_rank(values: NDArray[np.float64], bars: int, step: int) -> NDArray[np.float64]:
    """Share of the last `bars` values (every `step`-th) below the current one; NaN before a third of them is there."""
    out = np.full(len(values), np.nan)
    least = bars // 3
    width = max(1, bars // step)
    for phase in range(min(step, len(values))):
        own = values[phase::step]
        past = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.full(width, np.nan), own]), width)
        for first in range(0, len(own), _ROWS_AT_ONCE):
            rows = slice(first, min(first + _ROWS_AT_ONCE, len(own)))
            window, now = past[rows], own[rows]
            count = np.isfinite(window).sum(axis=1)
            below = (window < now[:, None]).sum(axis=1)
            good = np.isfinite(now) & (2 * count * step >= least) & (count > 0)
            share = np.where(good, below / np.maximum(count, 1), np.nan)
            out[phase + step * rows.start : phase + step * (rows.stop - 1) + 1 : step] = share
    out[:least] = np.nan
    return out


_ROWS_AT_ONCE = 512
_BARS_AT_ONCE = 4096
