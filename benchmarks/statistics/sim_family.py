"""What a family's step-down finds and fools itself with, beside Bonferroni: worlds of correlated bar scores.

Each world is a bank of N features on one market: bars' scores of unit variance, in groups that share a part of their
noise (published alphas come in relatives), some with a planted IC. Counted are true effects found (recall) and worlds
with any false survivor. Significance is that of the evaluator for one series (HAC, Student's t).

    python benchmarks/statistics/sim_family.py --worlds 200 --seed 7
"""

from __future__ import annotations

import argparse

import numpy as np

from midas_engine.evaluator.metrics.significance import time_figures
from midas_engine.stats.step_down import step_down

MEMBERS, GROUP = 100, 5
PLANTED = 10
LEVEL = 0.05


def world(rng: np.random.Generator, bars: int, ic: float, shared: float) -> tuple[np.ndarray, np.ndarray]:
    """Bar scores [T, N] and which members are true; relatives are correlated by `shared`."""
    groups = rng.normal(size=(bars, MEMBERS // GROUP)).repeat(GROUP, axis=1)
    noise = np.sqrt(shared) * groups + np.sqrt(1.0 - shared) * rng.normal(size=(bars, MEMBERS))
    true = np.zeros(MEMBERS, bool)
    true[rng.choice(MEMBERS, PLANTED, replace=False)] = ic > 0.0
    return noise + np.where(true, ic, 0.0), true


def main() -> None:
    """Print recall and error of both lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=100)
    parser.add_argument("--bars", type=int, default=8760)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    print(f"{MEMBERS} members in groups of {GROUP}, {PLANTED} true, {chosen.bars} bars, {chosen.worlds} worlds")
    print("shared    IC  recall Bonferroni  step-down   any false: Bonferroni  step-down   worth")
    for shared in (0.0, 0.5, 0.9):
        for ic in (0.0, 0.02, 0.03, 0.05):
            rng = np.random.default_rng(chosen.seed)
            found, wrong, worth = np.zeros(2), np.zeros(2), 0.0
            for k in range(chosen.worlds):
                u, true = world(rng, chosen.bars, ic, shared)
                p = np.array([time_figures(np.ascontiguousarray(column), 1, 0.0).p for column in u.T])
                family = step_down(u, p, 24, level=LEVEL, resamples=1000, seed=k)
                worth += family.effective / chosen.worlds
                for j, hit in enumerate((p <= LEVEL / MEMBERS, family.p <= LEVEL)):
                    found[j] += (hit & true).sum() / PLANTED / chosen.worlds
                    wrong[j] += (hit & ~true).any() / chosen.worlds
            recall, error = f"{found[0]:18.3f} {found[1]:10.3f}", f"{wrong[0]:23.3f} {wrong[1]:10.3f}"
            print(f"{shared:6.1f} {ic:5.2f} {recall} {error} {worth:7.0f}", flush=True)


if __name__ == "__main__":
    main()
