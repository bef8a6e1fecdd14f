"""Simulated markets with candidates of known strength, for `sim_book.py`: everything in them is drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from midas_engine.book.paths import Market, Signals

SYMBOLS, RESEARCH, SEALED, YEAR = 12, 3000, 2000, 8760
HISTORY = RESEARCH + SEALED
BARS = HISTORY + YEAR
CANDIDATES = 16
MEMORIES = (0.5, 0.9, 0.95, 0.98, 0.99)
COST = 3e-4
RESEARCH_T, SEALED_T = 2.3, 1.28
STRENGTH = 0.015


@dataclass
class World:
    """One market: candidates' normal scores [M, T, S], true strengths [M], volatility [T, 1], returns [T, S]."""

    z: np.ndarray
    strength: np.ndarray
    volatility: np.ndarray
    returns: np.ndarray

    def positions(self, k: np.ndarray) -> np.ndarray:
        """Of candidates k, unit gross [K, T, S]."""
        z = self.z[k]
        return z / np.abs(z).sum(axis=2, keepdims=True)

    def scores(self, k: np.ndarray, returns: np.ndarray) -> np.ndarray:
        """Vol-scaled bar scores of candidates k [K, T]."""
        scaled = returns / self.volatility
        scaled = scaled - scaled.mean(axis=1, keepdims=True)
        return np.einsum("kts,ts->kt", self.z[k], scaled) / SYMBOLS

    def signals(self, k: np.ndarray, returns: np.ndarray) -> Signals:
        """Candidates k as members of a book."""
        u = self.scores(k, returns)
        return Signals(tuple(f"m{i}" for i in k), self.positions(k), u, np.ones_like(u), (0,) * len(k))

    def market(self, returns: np.ndarray) -> Market:
        """The market with other returns."""
        return Market(returns, None, COST, float(YEAR))

    def dying(self, k: int, at: int) -> np.ndarray:
        """Returns in which candidate k has no effect from row `at` on."""
        out = self.returns.copy()
        out[at:] -= self.volatility[at:] * self.strength[k] * self.z[k, at:]
        return out


def world(seed: int, size: float = STRENGTH) -> World:
    rng = np.random.default_rng(seed)
    memory = rng.choice(MEMORIES, CANDIDATES)
    commons = rng.choice(3, CANDIDATES)
    loading = rng.uniform(0.0, 0.8, CANDIDATES) * rng.choice([1.0, -1.0], CANDIDATES, p=[0.8, 0.2])
    z = np.empty((CANDIDATES, BARS, SYMBOLS), np.float32)
    shared = rng.standard_normal((3, BARS, SYMBOLS), np.float32)
    for k in range(CANDIDATES):
        shocks = loading[k] * shared[commons[k]] + np.sqrt(1.0 - loading[k] ** 2) * rng.standard_normal(
            (BARS, SYMBOLS), np.float32
        )
        z[k] = lfilter([np.sqrt(1.0 - memory[k] ** 2)], [1.0, -memory[k]], shocks, axis=0)
    z -= z.mean(axis=2, keepdims=True)
    z /= np.sqrt((z * z).mean(axis=2, keepdims=True))
    real = rng.random(CANDIDATES) < 0.4
    strength = np.where(real, np.abs(rng.normal(0.0, size, CANDIDATES)), 0.0)
    log_vol = lfilter([0.03], [1.0, -0.99], rng.standard_normal(BARS))
    volatility = (0.008 * np.exp(log_vol))[:, None]
    noise = rng.standard_t(5, (BARS, SYMBOLS)) / np.sqrt(5 / 3) + 0.7 * rng.standard_normal((BARS, 1))
    returns = volatility * (np.einsum("k,kts->ts", strength, z) + noise)
    return World(z, strength, volatility, returns)


def promoted(w: World) -> tuple[np.ndarray, np.ndarray]:
    """The candidates that two parts speak for, and the research t of all."""
    u = w.scores(np.arange(CANDIDATES), w.returns)

    def t(rows: slice) -> np.ndarray:
        x = u[:, rows]
        return x.mean(axis=1) / x.std(axis=1) * np.sqrt(x.shape[1])

    research, sealed = t(slice(0, RESEARCH)), t(slice(RESEARCH, HISTORY))
    chosen = np.flatnonzero((research > RESEARCH_T) & (sealed > SEALED_T))
    chosen = chosen[np.argsort(-research[chosen])][:8]
    if chosen.size < 2:
        chosen = np.argsort(-research)[:2]
    return np.sort(chosen), research
