"""Simulate the table of `midas_engine.stats.sequential_delay`: delay of the critical test against signal strength.

    python benchmarks/statistics/sim_delay_table.py [--runs 3000] [--seed 3] [--arl0 365 --memory 0.9]

Gaussian scores whose promise is d (in standard deviations a bar), seven tenths of the slope itself; after 2,000 healthy
bars without an alarm the slope becomes 0 (drop) or turns its sign (flip). Brownian scaling makes the delay times d^2 a
function of d^2 A alone, A the promised run length; so one column of numbers serves every breadth, bar size and run
length. With `--memory` the score's weight is the square of a value of that memory, and what a short run length adds to
the table (`DROP_STEP`, `FLIP_STEP`) is printed in bars.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from numba import njit

from midas_engine.evaluator.metrics.reference_score import SHRINK
from midas_engine.stats.sequential import DROP_WEIGHTS, DROPS, head_start
from midas_engine.stats.sequential_delay import DROP_DELAY, FLIP_DELAY, STRENGTH
from midas_engine.stats.sequential_kernels import likelihood_step


@njit(cache=True, nogil=True)
def delays(seed, runs, slopes, healthy, start, arl0, drops, weights, memory):
    """Bars to the alarm; `slopes`: promised, healthy, and after the change. A negative memory: every weight is 1."""
    np.random.seed(seed)
    out = np.full(runs, np.nan)
    one, fired = np.ones(1), np.zeros(1, np.bool_)
    u, w, base, others = np.empty(1), np.ones(1), slopes[:1].copy(), slopes[0] * drops.reshape(1, -1)
    for run in range(runs):
        odds = np.full((1, len(weights)), start[0])
        t = 0
        value, held = np.random.normal(), 1.0
        while True:
            if memory >= 0.0:
                value = memory * value + math.sqrt(1.0 - memory * memory) * np.random.normal()
                held = min(max(value, -3.0), 3.0)
                w[0] = held * held
            u[0] = (slopes[1] if t < healthy else slopes[2]) * w[0] + held * np.random.normal()
            likelihood_step(u, w, base, others, weights, one, odds, start, arl0, fired)
            t += 1
            if fired[0]:
                if t > healthy:
                    out[run] = t - healthy
                break
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description="Delay table of the critical detector.")
    parser.add_argument("--runs", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--arl0", type=float, default=8760.0)
    parser.add_argument("--memory", type=float, default=-1.0, help="Autocorrelation of the value; none: weights of 1.")
    args = parser.parse_args()
    extra = "" if args.arl0 >= 8760 else "   bars beyond the table: drop, flip"
    print(f"{'d^2 A':>8} {'drop x d^2':>12} {'table':>8} {'flip x d^2':>12} {'table':>8}{extra}")
    for place, strength in enumerate(STRENGTH):
        slope = math.sqrt(strength / args.arl0)
        if slope > 0.3:
            break
        true = slope / SHRINK  # what the promise was shrunk from
        row, beyond = [f"{strength:8g}"], []
        for after, table in ((0.0, DROP_DELAY), (-true, FLIP_DELAY)):
            healthy = 2000 if args.arl0 >= 8760 else 200
            start = np.array([head_start(slope, 1.0, args.arl0)])
            found = delays(
                args.seed, args.runs, np.array([slope, true, after]), healthy, start, args.arl0, np.array(DROPS),
                np.array(DROP_WEIGHTS), args.memory,
            )  # fmt: skip
            told = table[place]
            row.append(f"{np.nanmean(found) * slope**2:12.3f} {told:8.3f}")
            beyond.append(f"{np.nanmean(found) - told / slope**2:8.1f}")
        print(" ".join([*row, *(beyond if extra else [])]), flush=True)


if __name__ == "__main__":
    main()
