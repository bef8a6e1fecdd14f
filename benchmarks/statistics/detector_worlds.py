"""Simulated markets for the decay detectors: one feature, one return a bar, a known IC that may change.

Value: AR(1) with unit variance. Return = scale x sigma_t x (rho value + sqrt(1 - rho^2) noise), noise Student-t(4) or
Gaussian with unit variance. sigma_t: exp of an AR(1) (persistence 0.98, sd 0.5), or GARCH(1,1), or constant. "raw"
worlds plant the IC as correlation with the raw return (what a backtest prints), "cond" worlds given the volatility.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from midas_engine.stats.causal_kernels import return_scale_step, score_bar_series, standardise_step
from midas_engine.stats.sequential_kernels import likelihood_step, variance_step

HISTORY = 8760
_RAW_GAIN = math.exp(0.5 * 0.1**2 / (1 - 0.98**2))  # sqrt(E sigma^2) / E sigma


@dataclass(frozen=True)
class World:
    """A market: parameters of `draw` and the planted correlation per unit of IC."""

    title: str
    parameters: tuple[float, ...]  # tails (1: t4), log-vol step, persistence, garch (1), alpha, beta
    gain: float
    counted: bool = True  # the bars are promised for t(4) returns


WORLDS = {
    "t4": World("t(4), clustered log-volatility, IC with the raw return", (1, 0.1, 0.98, 0, 0, 0), _RAW_GAIN),
    "t4cond": World("t(4), clustered log-volatility, IC given the volatility", (1, 0.1, 0.98, 0, 0, 0), 1.0),
    "garch": World("t(4), GARCH(1,1) 0.10/0.85", (1, 0, 0, 1, 0.10, 0.85), 1.0),
    "gauss": World("Gaussian, clustered log-volatility (not promised)", (0, 0.1, 0.98, 0, 0, 0), _RAW_GAIN, False),
}


@njit(cache=True, nogil=True)
def draw(state, phi, rho, world):
    """Value and return of one bar; `state`: value, log sigma or variance, last shock."""
    value = phi * state[0] + math.sqrt(1.0 - phi * phi) * np.random.normal()
    noise = np.random.standard_t(4.0) / math.sqrt(2.0) if world[0] > 0 else np.random.normal()
    if world[3] > 0:
        state[1] = (1.0 - world[4] - world[5]) + world[5] * state[1] + world[4] * state[2] * state[2]
        sigma = math.sqrt(state[1])
    else:
        state[1] = world[2] * state[1] + world[1] * np.random.normal()
        sigma = math.exp(state[1])
    move = rho * value + math.sqrt(1.0 - rho * rho) * noise
    state[0], state[2] = value, sigma * move
    return value, 0.006 * sigma * move


@njit(cache=True, nogil=True)
def follow(seed, bars, change, phi, rho, after, world, state, moments, breaks, scale):
    """Raw values and returns, and u and w through the monitor's own steps; the IC changes at bar `change`."""
    np.random.seed(seed)
    buffers = (np.empty((1, 1)), np.empty(1), np.empty(1), np.empty((1, 1)), np.empty(1), np.empty(1))
    out = np.empty((4, bars))
    for t in range(bars):
        value, ret = draw(state, phi, rho if t < change else after, world)
        buffers[0][0, 0], buffers[1][0] = value, ret
        return_scale_step(buffers[1], scale, buffers[2])
        standardise_step(buffers[0], moments, breaks, buffers[3])
        score_bar_series(buffers[3], buffers[2], buffers[4], buffers[5])
        out[0, t], out[1, t], out[2, t], out[3, t] = value, ret, buffers[4][0], buffers[5][0]
    return out


@njit(cache=True, nogil=True)
def alarms(u, w, base, slopes, weights, slope, variance, memory, start, arl0, most):
    """Bars on which the detector fires, at most `most` of them; it starts again after each."""
    odds, fired = np.full((1, len(weights)), start[0]), np.zeros(1, np.bool_)
    one_u, one_w, found = np.empty(1), np.empty(1), np.empty(most, np.int64)
    n = 0
    for t in range(len(u)):
        one_u[0], one_w[0] = u[t], w[t]
        likelihood_step(one_u, one_w, base, slopes, weights, variance, odds, start, arl0, fired)
        variance_step(one_u, one_w, slope, variance, memory)
        if fired[0]:
            found[n] = t
            n += 1
            if n == most:
                break
    return found[:n]


class Feature:
    """One feature with a healthy past: `stream` continues it, again and again from the same point.

    Args:
        ic: Its IC.
        phi: Autocorrelation of its values.
        world: A market.
        seed: Of this feature.
        bars: Length of the past.
    """

    def __init__(self, ic: float, phi: float, world: World, seed: int, bars: int = HISTORY) -> None:
        self.phi, self.seed, self.rho = phi, seed, ic * world.gain
        self._world = np.array(world.parameters, float)
        self._state = np.array([0.0, world.parameters[3], 0.0])
        self._scorer = (np.zeros((1, 1, 5)), np.zeros(1, np.int64), np.zeros((1, 2)))
        self.past = follow(seed, bars, bars, phi, self.rho, 0.0, self._world, self._state, *self._scorer)

    def stream(self, number: int, bars: int, share: float, *, healthy: int = 0) -> np.ndarray:
        """Values, returns, u, w [4, bars]; after `healthy` bars the IC is `share` of what it was."""
        copies = (self._state.copy(), *(part.copy() for part in self._scorer))
        seed = (self.seed + 7_000_003 * number) % 2**32
        return follow(seed, bars, healthy, self.phi, self.rho, share * self.rho, self._world, *copies)
