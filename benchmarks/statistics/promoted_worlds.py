"""Worlds of `sim_promoted.py`: markets of known truth that no threshold was tuned on.

Series and daily panels have Student-t returns (4 to 6 degrees of freedom) with volatility on two time scales and a
daily season; panels of hours are the bundled sample's real returns, every bar's sign drawn anew, so that nothing can
foresee them. A planted feature moves them by c x volatility x its normal score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.signal import lfilter
from scipy.stats import rankdata

from midas_engine.evaluator import EvaluationContext, ScoringOptions, split_parts
from midas_engine.settings import EvaluationSettings
from midas_engine.stats.scale import lagged_scale

HOURS = 8760
EMBARGO = 24
DAY = 24


def slow(rng: np.random.Generator, rho: float, shape: tuple[int, ...]) -> np.ndarray:
    """AR(1) paths of unit variance along the first axis, half of them with the tails of a t(5)."""
    noise = rng.standard_t(5, shape) / math.sqrt(5 / 3) if rng.random() < 0.5 else rng.normal(size=shape)
    noise *= math.sqrt(1.0 - rho * rho)
    noise[0] /= math.sqrt(1.0 - rho * rho)
    return lfilter([1.0], [1.0, -rho], noise, axis=0)


def volatility(rng: np.random.Generator, bars: int, bars_a_day: int) -> np.ndarray:
    """Volatility [T]: a slow and a fast component, and a season within the day."""
    log = 0.35 * slow(rng, 0.995, (bars,)) + 0.25 * slow(rng, 0.8, (bars,))
    season = 0.2 * np.sin(2 * np.pi * np.arange(bars) / bars_a_day) if bars_a_day > 1 else 0.0
    return 0.006 * math.sqrt(24 / bars_a_day) * np.exp(log + season)


@dataclass(frozen=True)
class World:
    """Forward returns [T, S] without anything planted, their scale, and the seconds of a bar."""

    returns: np.ndarray
    scale: np.ndarray
    seconds: int
    rng: np.random.Generator

    @property
    def stamps(self) -> np.ndarray:
        """Open times."""
        step = np.arange(len(self.returns)) * np.timedelta64(self.seconds, "s")
        return np.datetime64("2021-01-01", "ns") + step

    def planted(self, ic: float, values: np.ndarray) -> World:
        """The same noise with a feature in it.

        One series: its Pearson correlation with the return is `ic`, as in `sim_contract.py`. A panel: its mean rank IC
        across symbols is `ic`, apart from what the noise has of it.
        """
        known = ~np.isnan(self.returns)
        move = np.where(known, np.nan_to_num(self.scale) * values / np.std(values), 0.0)
        if self.returns.shape[1] == 1:
            strength = ic * float(np.nanstd(self.returns)) / float(np.nanmean(self.scale))
        else:
            without = self.rank_ic(values, 0.0 * move)
            strength = 0.02
            for _ in range(3):
                strength *= ic / (self.rank_ic(values, strength * move) - without)
        return World(self.returns + strength * move, self.scale, self.seconds, self.rng)

    def rank_ic(self, values: np.ndarray, added: np.ndarray) -> float:
        """Mean rank correlation across symbols of a feature with the returns and what is `added` to them."""
        returns = self.returns + added
        x, y = (np.where(np.isnan(returns), np.nan, a) for a in (values, returns))
        x, y = (rankdata(a, axis=1, nan_policy="omit") for a in (x, y))
        x, y = (a - np.nanmean(a, axis=1, keepdims=True) for a in (x, y))
        return float(
            np.nanmean(np.nansum(x * y, axis=1) / np.sqrt(np.nansum(x * x, axis=1) * np.nansum(y * y, axis=1)))
        )

    def contexts(self, cross: bool) -> dict[str, tuple[slice, EvaluationContext]]:
        """Rows and context of each part; returns end inside their part."""
        scored = (~np.isnan(self.returns)).sum(axis=1) >= (10 if cross else 1)
        parts = split_parts(len(self.returns), 1, EvaluationSettings(), scored=scored)
        found = {}
        for part in ("research", "sealed"):
            rows = parts.named(part)
            inside = self.returns[rows].copy()
            inside[-1] = np.nan
            names = tuple(f"S{k}" for k in range(inside.shape[1]))
            found[part] = (
                rows,
                EvaluationContext.from_returns(
                    {1: inside}, timestamps=self.stamps[rows], symbols=names, options=ScoringOptions(part=part),
                    bar_seconds=float(self.seconds), scale=self.scale[rows],
                ),
            )  # fmt: skip
        return found


def series(seed: int, bars: int = HOURS) -> World:
    """One market of hours."""
    rng = np.random.default_rng([seed, 1])
    scale = volatility(rng, bars, DAY)
    degrees = rng.uniform(4.0, 6.0)
    shocks = rng.standard_t(degrees, bars) / math.sqrt(degrees / (degrees - 2))
    returns = (scale * shocks)[:, None]
    return World(returns, lagged_scale(returns, 1), 3600, rng)


@cache
def _sample() -> np.ndarray:
    """Forward returns of the 24 symbols of the bundled sample that were listed longest."""
    from midas_engine.market import load_panel
    from midas_engine.market.forward import forward_returns

    panel = load_panel("sample")
    returns = forward_returns(panel, (1,))[1][:HOURS]
    longest = np.argsort(-(~np.isnan(returns)).sum(axis=0), kind="stable")[:24]
    return returns[:, np.sort(longest)]


def real(seed: int) -> World:
    """24 symbols of real hourly returns, each bar's sign drawn anew."""
    rng = np.random.default_rng([seed, 2])
    returns = _sample() * (rng.integers(0, 2, HOURS) * 2.0 - 1.0)[:, None]
    return World(returns, lagged_scale(returns, 1), 3600, rng)


def daily(seed: int, symbols: int = 40, years: int = 5) -> World:
    """Days of a panel whose symbols share a market factor."""
    rng = np.random.default_rng([seed, 3])
    bars = 365 * years
    own = volatility(rng, bars, 1)[:, None] * np.exp(0.3 * rng.normal(size=symbols))[None, :]
    market = rng.standard_t(4, bars) / math.sqrt(2.0)
    shocks = 0.7 * market[:, None] + math.sqrt(0.51) * rng.standard_t(5, (bars, symbols)) / math.sqrt(5 / 3)
    returns = own * shocks
    return World(returns, lagged_scale(returns, 1), 86_400, rng)


def ragged(seed: int) -> World:
    """A panel of hours in which 17 of 24 symbols end after three quarters of the history."""
    found = real(seed)
    returns = found.returns.copy()
    ending = found.rng.permutation(returns.shape[1])[:17]
    returns[int(0.75 * HOURS) :, ending] = np.nan
    return World(returns, lagged_scale(returns, 1), 3600, found.rng)
