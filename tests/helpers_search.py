"""A small market whose signal stands in no template."""

from __future__ import annotations

import functools

import numpy as np

from midas_engine.market import Panel
from midas_engine.settings import EvaluationSettings, Settings

COLUMNS = ("alpha", "beta", "gamma", "close")
SETTINGS = Settings(evaluation=EvaluationSettings(workers=0, horizons=(1, 4)))


@functools.cache
def planted_panel(strength: float, seed: int = 3) -> Panel:
    """Twelve symbols on which the next return follows rank(alpha - beta); the columns are in no template."""
    rng = np.random.default_rng(seed)
    bars, symbols = 1600, 12
    slow = np.zeros((3, bars, symbols))
    for t in range(1, bars):
        slow[:, t] = 0.97 * slow[:, t - 1] + 0.24 * rng.standard_normal((3, symbols))
    drive = np.argsort(np.argsort(slow[0] - slow[1], axis=1), axis=1) / (symbols - 1.0) - 0.5
    returns = 0.01 * rng.standard_normal((bars, symbols))
    returns[1:] += 0.01 * strength * drive[:-1]
    times = np.datetime64("2025-01-01", "ns") + np.arange(bars) * np.timedelta64(3600, "s")
    fields = dict(zip(COLUMNS[:3], slow, strict=True)) | {"close": 100.0 * np.exp(np.cumsum(returns, axis=0))}
    return Panel(times, [f"S{i:02d}" for i in range(symbols)], fields, 3600)
