"""What the overfit rule lets through: features that were fitted, died, weakened or held, and noise.

"strict" refuses whatever fell by two standard errors; "used" lets pass what lost at most half and passes the line by
its later folds alone (`midas_engine.evaluator.gates.later_part`). Shares are of those that pass every statistical gate
at the line of 60 trials; "reach" is how many the rule alone decides on, past all the other gates.

* noise: a feature that knows nothing
* fitted: of 60 such features the one with the best score over the earlier three fifths, 400 where "fitted hard"
* a number: what is left of the strength over the later two fifths

    python benchmarks/statistics/sim_overfit_rule.py [--worlds 60] [--seed 0]
"""

from __future__ import annotations

import argparse

import numpy as np
from promoted_worlds import World, series, slow
from sim_evaluator import context_of

from midas_engine.evaluator import evaluate_values, judge
from midas_engine.stats.intervals import share_interval
from midas_engine.stats.ranks import sort_rows
from midas_engine.stats.scale import lagged_scale

BARS = 5700
EARLIER = 0.6
TRIALS = 60
LEFT = (0.0, 0.25, 0.5, 0.7, 1.0)


def market(seed: int, symbols: int) -> World:
    """One series, or so many that share half of their variance."""
    parts = [series(1000 * seed + s, BARS).returns for s in range(symbols + (symbols > 1))]
    returns = parts[0] if symbols == 1 else np.hstack([(own + parts[-1]) * 0.7 for own in parts[:-1]])
    return World(returns, lagged_scale(returns, 1), 3600, np.random.default_rng([seed, 5]))


def verdict(feature: np.ndarray, returns: np.ndarray):
    """As research judges it."""
    return judge(evaluate_values(feature, context_of(returns, np.array(["A"] * BARS))), trials=TRIALS)


def fitted(world: World, tries: int) -> np.ndarray:
    """The best of so many noise features over the earlier part."""
    context = context_of(world.returns, np.array(["A"] * BARS))
    best, found = -np.inf, None
    for _ in range(tries):
        values = slow(world.rng, 0.8, world.returns.shape)
        rows = context.lay(values)
        u = context.score(rows, sort_rows(rows), b"known", 1).u[: int(EARLIER * BARS)]
        if (score := float(np.nanmean(u))) > best:
            best, found = score, values
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print("market              feature        reach   strict                 used")
    for symbols, ic in ((1, 0.06), (1, 0.12), (12, 0.05), (12, 0.10)):
        cases = [("noise", None), ("fitted", 60), ("fitted hard", 400)] if ic < 0.1 and symbols == 1 else []
        for name, tries in [*cases, *((f"{left:g} left", left) for left in LEFT)]:
            reach = strict = used = 0
            for k in range(given.worlds):
                world = market(given.seed + k, symbols)
                if name.startswith("fitted"):
                    feature, returns = fitted(world, tries), world.returns
                else:
                    feature, returns = slow(world.rng, 0.8, world.returns.shape), world.returns
                    if tries is not None:
                        strong = world.planted(ic, feature).returns
                        later = np.arange(BARS)[:, None] >= EARLIER * BARS
                        returns = np.where(later, returns + tries * (strong - returns), strong)
                found = verdict(feature, returns)
                gates = [g for v in found.verdicts if not v.economic for g in v.gates]
                others = all(g.passed for g in gates if g.name != "overfit_z")
                reach += others
                strict += others and found.evaluation.overfit_z < 2.0
                used += found.statistical_pass
            n = given.worlds
            shares = ["{:4.0%} [{:4.0%}, {:4.0%}]".format(h / n, *share_interval(h, n)) for h in (strict, used)]
            words = f"{symbols:2} symbols, IC {ic:g}"
            print(f"{words:19} {name:13} {reach / n:5.0%}   {shares[0]}     {shares[1]}", flush=True)


if __name__ == "__main__":
    main()
