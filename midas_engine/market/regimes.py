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
    # Twenty reference points a day rank as well as all of them do and cost a fraction.
    rank = _past_rank(volatility, panel.bars(REFERENCE_HOURS), max(1, panel.bars(1)))
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
    returns = panel.values("returns")
    count = np.isfinite(returns).sum(axis=1)
    with np.errstate(all="ignore"):
        mean: NDArray[np.float64] = np.where(count > 0, np.nansum(returns, axis=1) / count, np.nan)
    return mean


def _trailing_sum(values: NDArray[np.float64], bars: int) -> NDArray[np.float64]:
    total = np.concatenate([[0.0], np.cumsum(values)])
    out = np.full(len(values), np.nan)
    out[bars - 1 :] = total[bars:] - total[:-bars] if len(values) >= bars else out[bars - 1 :]
    return out


def _rolling_std(values: NDArray[np.float64], bars: int) -> NDArray[np.float64]:
    filled = np.nan_to_num(values)
    mean = _trailing_sum(filled, bars) / bars
    square = _trailing_sum(filled**2, bars) / bars
    return np.sqrt(np.maximum(square - mean**2, 0.0))


def _past_rank(values: NDArray[np.float64], bars: int, step: int) -> NDArray[np.float64]:
    """Share of the last `bars` values (every `step`-th) below the current one; NaN before a third of them is there."""
    out = np.full(len(values), np.nan)
    least = bars // 3
    for i in range(least, len(values)):
        past = values[max(0, i - bars) : i : step]
        past = past[np.isfinite(past)]
        if len(past) * step >= least // 2 and np.isfinite(values[i]):
            out[i] = np.mean(past < values[i])
    return out
