"""Run lengths and delays of the decay detectors on simulated feature-years, against the bars Midas promises.

    python benchmarks/sim_detectors.py [--runs 400] [--seed 1] [--world t4|garch|gauss] [--ics 0.03,0.05]

Every run draws a history of 8,760 bars, measures the reference score there exactly as `decay_detector` does, and then
follows the stream bar by bar through the monitor's own compiled steps until the alarm:

* healthy: the IC goes on: bars to the false alarm (ARL0), and false alarms a feature-month;
* drop, flip: the IC is zero, or has the other sign, from the first bar on: bars to the alarm (EDD);
* late: the drop comes after 2,000 healthy bars without an alarm;
* kill: the IC is half of what was expected: bars until the kill test fires, which it should not.

Worlds: value AR(1) with autocorrelation 0 or 0.9; return = sigma_t (rho value + sqrt(1 - rho^2) noise); log sigma
AR(1) with standard deviation 0.5 (t4, gauss) or GARCH(1,1) (garch); noise Student-t(4) or Gaussian. The IC is the
correlation of the value with the raw return, so rho = IC sqrt(E sigma^2) / E sigma (garch: rho = IC).
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
from numba import njit

from midas_engine.monitor import decay_detector
from midas_engine.stats.causal_kernels import return_scale_step, score_bar_series, standardise_step
from midas_engine.stats.sequential import DROP_WEIGHTS, DROPS, HEAD_START, KILL_DROPS, KILL_WEIGHTS
from midas_engine.stats.sequential_kernels import likelihood_step, variance_step
from midas_engine.stats.sequential_reference import expected_reference, measure_score

ARL0 = 8760.0
HISTORY = 8760
CAP = 80_000
MONTH = 730.0
OPTIMUM = {0.03: (1762, 769), 0.05: (973, 378), 0.08: (520, 186), 0.15: (205, 68)}
BARS = {0.03: (2200, 950), 0.05: (1200, 460), 0.08: (650, 240), 0.15: (260, 100)}
WORLDS = {"t4": (1, 1.13), "garch": (2, 1.0), "gauss": (0, 1.13)}


@njit(cache=True, nogil=True)
def draw(state, phi, rho, kind):
    """One bar of a world; `state`: value, log sigma or variance, last shock."""
    value = phi * state[0] + math.sqrt(1.0 - phi * phi) * np.random.normal()
    noise = np.random.normal() if kind == 0 else np.random.standard_t(4.0) / math.sqrt(2.0)
    if kind == 2:
        state[1] = 0.05 + 0.90 * state[1] + 0.05 * state[2] * state[2]
        sigma = math.sqrt(state[1])
    else:
        state[1] = 0.98 * state[1] + 0.1 * np.random.normal()
        sigma = math.exp(state[1])
    move = rho * value + math.sqrt(1.0 - rho * rho) * noise
    state[0], state[2] = value, sigma * move
    return value, 0.006 * sigma * move


@njit(cache=True, nogil=True)
def score(value, ret, moments, breaks, scale, buffers):
    """U and w of one bar, through the monitor's own steps."""
    buffers[0][0, 0], buffers[1][0] = value, ret
    return_scale_step(buffers[1], scale, buffers[2])
    standardise_step(buffers[0], moments, breaks, buffers[3])
    score_bar_series(buffers[3], buffers[2], buffers[4], buffers[5])


@njit(cache=True, nogil=True)
def history(seed, bars, phi, rho, kind, state, moments, breaks, scale):
    """A healthy past: fills the scorer's state, gives u and w."""
    np.random.seed(seed)
    state[0], state[1], state[2] = np.random.normal(), 1.0 if kind == 2 else 0.0, 0.0
    buffers = (np.empty((1, 1)), np.empty(1), np.empty(1), np.empty((1, 1)), np.empty(1), np.empty(1))
    u, w = np.empty(bars), np.empty(bars)
    for t in range(bars):
        value, ret = draw(state, phi, rho, kind)
        score(value, ret, moments, breaks, scale, buffers)
        u[t], w[t] = buffers[4][0], buffers[5][0]
    return u, w


@njit(cache=True, nogil=True)
def follow(
    seed,
    cap,
    healthy,
    phi,
    rho,
    after,
    kind,
    state,
    moments,
    breaks,
    scale,
    base,
    slopes,
    weights,
    slope,
    variance,
    memory,
    start,
    level,
):
    """Bars from the change to the alarm; `cap` when there was none, -1 for an alarm before the change."""
    np.random.seed(seed)
    buffers = (np.empty((1, 1)), np.empty(1), np.empty(1), np.empty((1, 1)), np.empty(1), np.empty(1))
    odds, fired = np.full((1, len(weights)), start), np.zeros(1, np.bool_)
    for t in range(cap + healthy):
        value, ret = draw(state, phi, rho if t < healthy else after, kind)
        score(value, ret, moments, breaks, scale, buffers)
        likelihood_step(buffers[4], buffers[5], base, slopes, weights, variance, odds, start, level, fired)
        variance_step(buffers[4], buffers[5], slope, variance, memory)
        if fired[0]:
            return t - healthy + 1 if t >= healthy else -1
    return cap


class Cell:
    """One feature strength in one world: draws runs."""

    def __init__(self, ic: float, phi: float, kind: int, gain: float, bars: int = HISTORY) -> None:
        self.ic, self.phi, self.kind, self.gain, self.bars = ic, phi, kind, gain, bars

    def runs(self, count: int, seed: int, share: float, *, test: str = "critical", healthy: int = 0) -> np.ndarray:
        """Bars to the alarm of `count` runs whose IC becomes `share` of what it was after `healthy` bars."""
        rho = self.ic * self.gain
        drops, weights = (DROPS, DROP_WEIGHTS) if test == "critical" else (KILL_DROPS, KILL_WEIGHTS)
        out = np.empty(count)
        for run in range(count):
            state, moments = np.zeros(3), np.zeros((1, 1, 5))
            breaks, scale = np.zeros(1, np.int64), np.zeros((1, 2))
            u, w = history(seed + run, self.bars, self.phi, rho, self.kind, state, moments, breaks, scale)
            reference = expected_reference(self.ic, measure_score(u, w), cautious=test == "kill")
            base = reference.score if test == "critical" else reference.floor
            out[run] = follow(
                seed + run + 7_000_003,
                CAP,
                healthy,
                self.phi,
                rho,
                share * rho,
                self.kind,
                state,
                moments,
                breaks,
                scale,
                np.array([base]),
                reference.score * np.array([drops]),
                np.array(weights),
                np.array([reference.score]),
                np.array([reference.variance]),
                np.array([reference.variance_bars]),
                HEAD_START * ARL0 if test == "critical" else 0.0,
                (1.0 + HEAD_START) * ARL0,
            )
        return out


def mean_se(x: np.ndarray) -> str:
    return f"{x.mean():7.0f} ±{x.std() / math.sqrt(len(x)):4.0f}"


def table(world: str, runs: int, seed: int, ics: list[float]) -> bool:
    kind, gain = WORLDS[world]
    if kind != 2:
        gain = math.exp(0.5 * 0.1**2 / (1 - 0.98**2))
    print(
        f"world {world}, {runs} runs a cell, seed {seed}; in brackets: delay over the bar, over the exact CUSUM optimum"
    )
    print("  ic   phi   ARL0            month  drop                   flip                  late drop  kill at half IC")
    pooled, good, worst, months = [], True, math.inf, []
    for ic in ics:
        for phi in (0.0, 0.9):
            cell = Cell(ic, phi, kind, gain)
            alive = cell.runs(runs, seed, 1.0)
            drop, flip = cell.runs(runs, seed + 10_000, 0.0), cell.runs(runs, seed + 20_000, -1.0)
            late = cell.runs(runs, seed + 30_000, 0.0, healthy=2000)
            kill = cell.runs(runs, seed + 40_000, 0.5, test="kill")
            pooled.append(alive.mean())
            months.append((alive <= MONTH).mean())
            worst = min(worst, kill.mean())
            (bar_d, bar_f), (best_d, best_f) = BARS[ic], OPTIMUM[ic]
            good &= drop.mean() <= bar_d and flip.mean() <= bar_f and alive.mean() >= 5500
            good &= drop.mean() <= 1.4 * best_d and flip.mean() <= 1.4 * best_f
            print(
                f"{ic:5.2f}  {phi:3.1f} {mean_se(alive)}  {months[-1]:6.3f}"
                f"  {mean_se(drop)} ({drop.mean() / bar_d:.2f}, {drop.mean() / best_d:.2f})"
                f"  {mean_se(flip)} ({flip.mean() / bar_f:.2f}, {flip.mean() / best_f:.2f})"
                f"  {late[late >= 0].mean():7.0f}  {mean_se(kill)}",
                flush=True,
            )
    steady = MONTH / np.mean(pooled)
    print(f"pooled ARL0 {np.mean(pooled):.0f} (bar 8,000), least {min(pooled):.0f} (bar 5,500)")
    print(f"kill ARL0 at half the IC: pooled over cells, least {worst:.0f} (bar 8,760)")
    print(f"diagnoses a healthy feature-month: {steady:.3f}, in the first month {np.mean(months):.3f} (bar 0.12)")
    good &= np.mean(pooled) >= 8000 and steady <= 0.12 and np.mean(months) <= 0.12
    return bool(good)


def objects(seed: int) -> bool:
    """The public object: cost per bar, and alarms with and without restarts."""
    rng = np.random.default_rng(seed)
    past = rng.normal(size=HISTORY)
    returns = 0.01 * (0.05 * past + rng.standard_t(4, size=HISTORY) / math.sqrt(2))
    straight, restarted = (decay_detector(0.05, past, returns, arl0=500) for _ in range(2))
    value = rng.normal(size=20_000)
    ret = 0.01 * (-0.05 * value + rng.standard_t(4, size=len(value)) / math.sqrt(2))
    began = time.perf_counter()
    alarms = [t for t in range(len(value)) if straight.update(value[t], ret[t])]
    cost = (time.perf_counter() - began) / len(value) * 1e6
    again = []
    for t in range(len(value)):
        if t % 997 == 0:
            blob = restarted.state()
            restarted = decay_detector(0.05, arl0=500)
            restarted.restore(blob)
        if restarted.update(value[t], ret[t]):
            again.append(t)
    same = alarms == again
    print(f"decay_detector: {cost:.1f} us a bar (bar 100); {len(alarms)} alarms, same after 21 restarts: {same}")
    return same and cost <= 100 and bool(alarms)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run lengths and delays of the decay detectors.")
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--world", choices=[*WORLDS, "all"], default="t4")
    parser.add_argument("--ics", default="0.03,0.05,0.08,0.15")
    args = parser.parse_args()
    ics = [float(v) for v in args.ics.split(",")]
    good = objects(args.seed)
    for world in WORLDS if args.world == "all" else [args.world]:
        good &= table(world, args.runs, args.seed * 1_000_000, ics)
    print("every bar met" if good else "NOT every bar met")


if __name__ == "__main__":
    main()
