"""Simulate the table of `midas_engine.stats.sequential_delay`: delay of the critical test against signal strength.

    python benchmarks/statistics/sim_delay_table.py [--runs 3000] [--seed 3]

Gaussian scores whose promise is d (in standard deviations a bar), seven tenths of the slope itself; after 2,000 healthy
bars without an alarm the slope becomes 0 (drop) or turns its sign (flip). Brownian scaling makes the delay times d^2 a
function of d^2 A alone, A the promised run length; so one column of numbers serves every breadth, bar size and run
length.
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

ARL0 = 8760.0


@njit(cache=True, nogil=True)
def delays(seed, runs, slope, true, after, healthy, start, arl0, drops, weights):
    np.random.seed(seed)
    out = np.full(runs, np.nan)
    one, fired = np.ones(1), np.zeros(1, np.bool_)
    u, base, slopes = np.empty(1), np.array([slope]), slope * drops.reshape(1, -1)
    for run in range(runs):
        odds = np.full((1, len(weights)), start[0])
        t = 0
        while True:
            u[0] = (true if t < healthy else after) + np.random.normal()
            likelihood_step(u, one, base, slopes, weights, one, odds, start, arl0, fired)
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
    args = parser.parse_args()
    print(f"{'d^2 A':>8} {'drop x d^2':>12} {'table':>8} {'flip x d^2':>12} {'table':>8}")
    for place, strength in enumerate(STRENGTH):
        slope = math.sqrt(strength / ARL0)
        true = slope / SHRINK  # what the promise was shrunk from
        row = [f"{strength:8g}"]
        for after, table in ((0.0, DROP_DELAY), (-true, FLIP_DELAY)):
            found = delays(
                args.seed,
                args.runs,
                slope,
                true,
                after,
                2000,
                np.array([head_start(slope, 1.0, ARL0)]),
                ARL0,
                np.array(DROPS),
                np.array(DROP_WEIGHTS),
            )
            row.append(f"{np.nanmean(found) * slope**2:12.3f} {table[place] if place < len(table) else math.nan:8.3f}")
        print(" ".join(row), flush=True)


if __name__ == "__main__":
    main()
