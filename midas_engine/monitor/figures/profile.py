"""Slower figures of a live feature: IC in each regime, decay over lags, correlation with the others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from midas_engine.stats.causal_kernels import forget_factor, psi
from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LAGS = 48
MAX_REGIMES = 8
MAX_PAIRED = 256
_KEEP = forget_factor(720)
_FAST = forget_factor(72)
_HALF_LIVES = np.geomspace(1.0, 192.0, 32)


class RegimeScores:
    """Mean score by regime label, forgetting with a half-life of 720 bars of that regime."""

    def __init__(self, features: int) -> None:
        self.labels: list[str] = []
        self.sums = np.zeros((features, MAX_REGIMES, 4))  # u, w, u^2, bars

    def column(self, label: str) -> int | None:
        """The column of `label`, None for an unknown label or when eight others are already kept."""
        if not label:
            return None
        if label not in self.labels:
            if len(self.labels) == MAX_REGIMES:
                return None
            self.labels.append(label)
        return self.labels.index(label)

    def update(self, label: str, u: Floats, w: Floats) -> None:
        """Take one bar's scores, [F] each."""
        column = self.column(label)
        if column is None:
            return
        known = np.isfinite(u)
        block = self.sums[:, column]
        new = np.stack([u, w, u * u, np.ones_like(u)], axis=1)
        block[known] = block[known] * _KEEP + new[known]

    def figures(self, label: str) -> tuple[Floats, Floats, Floats]:
        """Mean score per unit weight, its standard error and the effective bars, [F] each, in regime `label`."""
        column = self.column(label)
        features = len(self.sums)
        if column is None:
            return np.full(features, np.nan), np.full(features, np.nan), np.zeros(features)
        u, w, u2, bars = (self.sums[:, column, k] for k in range(4))
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(bars >= 8, u / w, np.nan)
            spread = np.maximum(u2 / bars - (u / bars) ** 2, 0.0)
            se = np.where(bars >= 8, np.sqrt(spread / bars) * bars / w, np.nan)
        return mean, se, bars

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        return {"sums": self.sums, "labels": np.array(self.labels, dtype=np.str_)}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave."""
        self.sums = np.ascontiguousarray(arrays["sums"], np.float64)
        self.labels = [str(label) for label in arrays["labels"]][:MAX_REGIMES]

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an empty one."""
        self.sums = select_rows(self.sums, rows)


@njit(cache=True, nogil=True)
def _lag_step(past: Floats, position: int, z_return: Floats, cross: bool, sums: Floats, keep: float) -> None:
    """Score the values of 0..47 bars ago against the newest return; `past` [48, F, S], `sums` [48, 2, F]."""
    lags, features, symbols = past.shape
    centre, known = 0.0, 0
    if cross:
        for s in range(symbols):
            if math.isfinite(z_return[s]):
                centre += z_return[s]
                known += 1
        centre = centre / known if known else 0.0
    answer = np.empty(symbols)
    for s in range(symbols):
        answer[s] = psi(z_return[s] - centre) if math.isfinite(z_return[s]) else np.nan
    total, count = np.empty(features), np.empty(features)
    for place in range(lags):
        k = position - place if place <= position else position - place + lags
        total[:] = 0.0
        count[:] = 0.0
        for f in range(features):
            for s in range(symbols):
                product = past[place, f, s] * answer[s]
                total[f] += product if product == product else 0.0
                count[f] += 1.0 if product == product else 0.0
        for f in range(features):
            scored = count[f] > 0.0
            sums[k, 0, f] = sums[k, 0, f] * keep + total[f] / count[f] if scored else sums[k, 0, f]
            sums[k, 1, f] = sums[k, 1, f] * keep + 1.0 if scored else sums[k, 1, f]


class LagProfile:
    """Score of the value k = 0..47 bars back against the single newest bar, and the half-life fitted to it."""

    def __init__(self, features: int, symbols: int, *, cross: bool) -> None:
        self.cross = cross
        self.past = np.full((LAGS, features, symbols), np.nan)
        self.sums = np.zeros((LAGS, 2, features))
        self.position = 0

    def update(self, z: Floats, z_return: Floats) -> None:
        """Take one bar: z [F, S] and the return z_return [S] that followed it."""
        self.past[self.position] = z
        _lag_step(self.past, self.position, z_return, self.cross, self.sums, _KEEP)
        self.position = (self.position + 1) % LAGS

    def half_life_bars(self, noise: Floats) -> Floats:
        """Half-life H of a x 2^(-k/H) fitted by least squares, bars, [F]; NaN where a is below two errors.

        `noise` [F] is the standard deviation of one bar's score.
        """
        bars = self.sums[:, 1].T
        with np.errstate(invalid="ignore", divide="ignore"):
            profile = np.where(bars > 0, self.sums[:, 0].T / bars, 0.0)
        shapes = 2.0 ** (-np.arange(LAGS)[None, :] / _HALF_LIVES[:, None])
        power = (shapes**2).sum(axis=1)
        loading = profile @ shapes.T / power
        gain = np.where(loading > 0, loading**2 * power, -1.0)
        best = gain.argmax(axis=1)
        rows = np.arange(len(profile))
        with np.errstate(invalid="ignore", divide="ignore"):
            error = noise / np.sqrt(np.maximum(bars[:, 0], 1.0) * power[best])
            known = (bars[:, 0] >= 240) & (loading[rows, best] > 2.0 * error)
        return np.where(known, _HALF_LIVES[best], np.nan)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        return {"past": self.past, "sums": self.sums, "position": np.array(self.position)}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave."""
        self.past = np.ascontiguousarray(arrays["past"], np.float64)
        self.sums = np.ascontiguousarray(arrays["sums"], np.float64)
        self.position = int(arrays["position"]) % LAGS

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an empty one."""
        past, sums = np.ascontiguousarray(self.past.swapaxes(0, 1)), np.ascontiguousarray(self.sums.T)
        self.past = np.ascontiguousarray(select_rows(past, rows, np.nan).swapaxes(0, 1))
        self.sums = np.ascontiguousarray(select_rows(sums, rows).T)


class CrossCorrelation:
    """Correlation of every feature with every other, fast (half-life 72 bars) and slow (720 bars).

    Kept for fleets of at most 256 features; a larger one is not paired, and its figures stay NaN.
    """

    def __init__(self, features: int) -> None:
        self.active = 1 < features <= MAX_PAIRED
        size = features if self.active else 0
        self.fast, self.slow = np.zeros((size, size)), np.zeros((size, size))
        self.features = features

    def update(self, z: Floats) -> None:
        """Take one bar's standardised values, [F, S]."""
        if not self.active:
            return
        filled = np.where(np.isfinite(z), z, 0.0)
        product = filled @ filled.T / max(1, z.shape[1])
        self.fast *= _FAST
        self.fast += (1 - _FAST) * product
        self.slow *= _KEEP
        self.slow += (1 - _KEEP) * product

    def highest(self) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """Largest absolute correlation with another feature, now and in the long run, and which one, [F] each."""
        if not self.active:
            nan = np.full(self.features, np.nan)
            return nan, nan.copy(), np.full(self.features, -1)
        now, usual = _normalised(self.fast), _normalised(self.slow)
        partner = now.argmax(axis=1)
        rows = np.arange(self.features)
        return now[rows, partner], usual[rows, partner], partner

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        return {"fast": self.fast, "slow": self.slow}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave."""
        self.fast = np.ascontiguousarray(arrays["fast"], np.float64)
        self.slow = np.ascontiguousarray(arrays["slow"], np.float64)

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds an uncorrelated one."""
        was = self.active
        self.features = len(rows)
        self.active = 1 < len(rows) <= MAX_PAIRED
        size = len(rows) if self.active else 0
        for name in ("fast", "slow"):
            old = getattr(self, name)
            kept = select_rows(select_rows(old, rows).T.copy(), rows).T.copy() if was and self.active else None
            setattr(self, name, kept if kept is not None else np.zeros((size, size)))


def _normalised(products: Floats) -> Floats:
    size = np.sqrt(np.maximum(np.diag(products), 1e-12))
    matrix: Floats = np.abs(products) / np.outer(size, size)
    np.fill_diagonal(matrix, -1.0)
    return np.minimum(matrix, 1.0)
