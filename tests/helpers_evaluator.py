"""Small simulated markets with known truth for the evaluator's tests."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from midas_engine.evaluator import EvaluationContext, ScoringOptions

START = np.datetime64("2025-01-01", "ns")


def ar1(rng: np.random.Generator, rho: float, shape: tuple[int, ...]) -> np.ndarray:
    noise = rng.normal(size=shape) * np.sqrt(1.0 - rho * rho)
    noise[0] /= np.sqrt(1.0 - rho * rho)
    return lfilter([1.0], [1.0, -rho], noise, axis=0)


def market(
    seed: int, bars: int = 4000, symbols: int = 1, ic: float = 0.0, rho: float = 0.95, amount: float = 0.01
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Feature [T, S], one-bar returns [T, S] that follow it, and regime labels [T]."""
    rng = np.random.default_rng(seed)
    scale = amount * np.exp(0.5 * ar1(rng, 0.98, (bars,)))
    feature = ar1(rng, rho, (bars, symbols))
    noise = rng.standard_t(4, size=(bars, symbols)) / np.sqrt(2.0)
    returns = scale[:, None] * (ic * feature + np.sqrt(1.0 - ic * ic) * noise)
    labels = np.array(["LOW_VOL", "MID_VOL", "HIGH_VOL"])[np.searchsorted(np.quantile(scale, [1 / 3, 2 / 3]), scale)]
    return feature, np.clip(returns, -0.4, 0.4), labels


def forwards(returns: np.ndarray, horizons: tuple[int, ...] = (1, 4, 24)) -> dict[int, np.ndarray]:
    bars, symbols = returns.shape
    close = np.vstack([np.ones((1, symbols)), np.cumprod(1.0 + returns, axis=0)])
    out = {}
    for h in horizons:
        out[h] = np.full((bars, symbols), np.nan)
        out[h][: bars - h + 1] = close[h:] / close[:-h] - 1.0
    return out


def stamps(bars: int, seconds: int = 3600) -> np.ndarray:
    return START + np.arange(bars) * np.timedelta64(seconds, "s")


def context(returns: np.ndarray, horizons: tuple[int, ...] = (1, 4, 24), **more: Any) -> EvaluationContext:
    """A context over one-bar returns; `more` are fields of `ScoringOptions`, or go on to `from_returns`."""
    bars, symbols = returns.shape
    options = ScoringOptions(**{f.name: more.pop(f.name) for f in fields(ScoringOptions) if f.name in more})
    return EvaluationContext.from_returns(
        forwards(returns, horizons), timestamps=stamps(bars), symbols=tuple(f"S{i}" for i in range(symbols)),
        options=options, **more,
    )  # fmt: skip


def frames(seed: int, bars: int = 4000, ic: float = 0.0) -> tuple[pd.Series, pd.DataFrame, pd.Series]:
    feature, returns, labels = market(seed, bars, 1, ic)
    index = pd.DatetimeIndex(stamps(bars)).tz_localize("UTC")
    table = pd.DataFrame({f"ret_{h}h": r[:, 0] for h, r in forwards(returns).items()}, index=index)
    return pd.Series(feature[:, 0], index, name="feat"), table, pd.Series(labels, index)
