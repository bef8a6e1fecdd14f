"""What the benchmarks of the language share: markets, expressions, timing, comparing, and one line of the table."""

# ruff: noqa: E402 - libraries read their thread counts when they are imported

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ[_name] = "1"

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.market.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable

SERIES = [
    "close / delay(close, 24) - 1",
    "ts_zscore(close, 24)",
    "ts_zscore(volume, 168)",
    "ts_rank(volume, 48)",
    "ts_corr(close, volume, 48)",
    "ema(close, 12) / ema(close, 26) - 1",
    "ts_std(returns(close, 1), 24)",
    "(close - ts_min(low, 24)) / (ts_max(high, 24) - ts_min(low, 24))",
    "delta(close, 4) / ts_std(close, 48)",
    "log(volume / ts_mean(volume, 168))",
    "if_else(returns(close, 1) > 0, volume, -volume) / ts_mean(volume, 24)",
    "atr(high, low, close, 14) / close",
    "rsi(close, 14)",
    "bbands_pct(close, 20, 2)",
]
CROSS = [
    "cs_rank(returns(close, 24))",
    "cs_zscore(ts_mean(funding_rate, 24))",
    "cs_demean(returns(close, 4))",
    "cs_rank(ts_zscore(volume, 72))",
    "-cs_rank(delta(close, 8) / ts_std(close, 24))",
    "cs_zscore(ts_corr(close, volume, 24))",
]


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, the figure, the goal, and whether it was passed (None: no goal)."""

    what: str
    figure: str
    goal: str = ""
    passed: bool | None = None


def market(bars: int, symbols: int, seed: int = 0, bar_seconds: int = 3600) -> Panel:
    """Holes of 0.2 %, a third listed late, a quarter with a gap of 2 % of the history."""
    rng = np.random.default_rng(seed)
    shape = (bars, symbols)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.3 / np.sqrt(8760) * 1.5, shape), axis=0))
    gone = rng.random(shape) < 0.002
    for s in range(symbols if symbols > 1 else 0):
        if s % 3 == 0:
            gone[: int(rng.integers(1, bars // 2)), s] = True
        if s % 4 == 0:
            at = int(rng.integers(bars // 2, bars - bars // 50))
            gone[at : at + bars // 50, s] = True
    fields = {
        "open": close * (1 + rng.normal(0, 0.001, shape)),
        "high": close * (1 + np.abs(rng.normal(0, 0.003, shape))),
        "low": close * (1 - np.abs(rng.normal(0, 0.003, shape))),
        "close": close,
        "volume": rng.lognormal(3, 1, shape),
        "funding_rate": rng.normal(0, 1e-4, shape),
    }
    for values in fields.values():
        values[gone] = np.nan
    times = np.datetime64("2025-01-01", "ns") + np.arange(bars) * np.timedelta64(bar_seconds, "s")
    return Panel(times, [f"S{i}" for i in range(symbols)], fields, bar_seconds)


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call (the machine may be shared), and its result."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def difference(ours: np.ndarray, theirs: np.ndarray, overlap_only: bool) -> tuple[float, int]:
    """(99.9th percentile of the relative error, cells that are NaN in one only)."""
    one_only = int((np.isnan(ours) != np.isnan(theirs)).sum())
    both = np.isfinite(ours) & np.isfinite(theirs)
    if not both.any():
        return 0.0, one_only
    scale = np.maximum(np.abs(ours[both]), np.median(np.abs(ours[both])) * 1e-3 + 1e-300)
    return float(np.quantile(np.abs(ours[both] - theirs[both]) / scale, 0.999)), 0 if overlap_only else one_only
