"""p-values of event features that know nothing: by sums of events, and as used.

Returns are Student-t(4) with clustered volatility; a panel has half of the variance common and a drift per symbol.
Events fire where a feature is extreme, on a share of the cells: the return of the last day or week taken against and
with the trend, a feature of its own, and on panels a constant per symbol, triggered at random. The share counts those
for which no figure is given as not passed.

    python benchmarks/statistics/sim_event_sizes.py                              # one series, about 2 minutes
    python benchmarks/statistics/sim_event_sizes.py --symbols 24 --worlds 150    # across symbols
    python benchmarks/statistics/sim_event_sizes.py --plant 0.06                 # power: a drift over the hold
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from sim_evaluator import ar1, context_of, volatility

from midas_engine.evaluator.metrics.events import directions, significance
from midas_engine.stats.events import clustered_mean, event_numbers
from midas_engine.stats.hac import one_sided_p
from midas_engine.stats.normal_scores import scores_of_ranks
from midas_engine.stats.ranks import own_ranks

if TYPE_CHECKING:
    from midas_engine.evaluator import EvaluationContext

HOLDS = (1, 4, 24, 48)
SHARES = (0.02, 0.1, 0.3)
DRIFT = 1e-4
"""Standard deviation of a symbol's drift an hour, on a panel: about one of an annual standard deviation."""


def world(rng: np.random.Generator, bars: int, symbols: int) -> np.ndarray:
    """One-bar returns [T, S] that nothing foresees."""
    own = rng.standard_t(4, (bars, symbols))
    shocks = own if symbols == 1 else (own + rng.standard_t(4, (bars, 1))) / np.sqrt(2.0)
    return volatility(rng, bars)[:, None] * shocks + (DRIFT * rng.normal(size=(1, symbols)) if symbols > 1 else 0.0)


def features(rng: np.random.Generator, returns: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name to values and what is extreme where it fires, [T, S] each."""
    level = np.vstack([np.zeros((1, returns.shape[1])), np.cumsum(np.log1p(np.clip(returns, -0.5, 0.5)), axis=0)])[:-1]
    found = {}
    for name, look in (("day", 24), ("week", 168)):
        past = np.full_like(level, np.nan)
        past[look:] = level[look:] - level[:-look]
        found[f"against the {name}"] = (-past, np.abs(past))
    own = ar1(rng, 0.95, returns.shape)
    found["its own"] = (own, np.abs(own))
    if returns.shape[1] > 1:
        found["constant"] = (np.tile(rng.normal(size=(1, returns.shape[1])), (len(returns), 1)), rng.random(own.shape))
    return found


def planted(returns: np.ndarray, found: dict, name: str, hold: int, share: float, strength: float) -> np.ndarray:
    """The returns with a drift over the hold after each trigger, in units of the bar's mean size."""
    values, extreme = found[name]
    fired = np.where(extreme > np.nanquantile(extreme, 1.0 - share), np.sign(values), 0.0)
    held = sum(np.vstack([np.zeros((k, fired.shape[1])), fired[: len(fired) - k]]) for k in range(hold))
    return returns + strength * np.abs(returns).mean() * np.sign(held)


def p_values(context: EvaluationContext, values: np.ndarray, fired: np.ndarray, hold: int) -> list[float]:
    """P by sums of events and as used; 1 where no figure is given."""
    scaled, order, _ = context.scaled(hold)
    z_r = scores_of_ranks(*own_ranks(scaled, order), context.minimum)
    z_f = directions(context.lay(values), context)
    z_f[(context.lay(fired.astype(float)) == 0.0) | np.isnan(z_r)] = np.nan
    scores = z_f * z_r if context.cross else (z_f * z_r).T
    mean, se, events = clustered_mean(scores, event_numbers(~np.isnan(scores), hold))
    used, used_se, holds = significance(z_f, z_r, hold, context)
    return [
        one_sided_p(m / s, n - 1.0) if n >= 10 and s > 0.0 else np.nan
        for m, s, n in ((mean, se, events), (used, used_se, holds))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=800)
    parser.add_argument("--bars", type=int, default=5700, help="the research part of a year of hours")
    parser.add_argument("--symbols", type=int, default=1)
    parser.add_argument("--plant", type=float, default=0.0, help="drift after 'its own' triggers, hold 24, share .1")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    found: dict[tuple[str, int, float], list[list[float]]] = defaultdict(list)
    for w in range(given.worlds):
        rng = np.random.default_rng([given.seed, w])
        returns = world(rng, given.bars, given.symbols)
        made = features(rng, returns)
        if given.plant:
            made = {"its own": made["its own"]}
            returns = planted(returns, made, "its own", 24, 0.1, given.plant)
        context = context_of(returns, np.array(["A"] * given.bars))
        for name, (values, extreme) in made.items():
            for hold in (24,) if given.plant else HOLDS:
                for share in (0.1,) if given.plant else SHARES:
                    fired = extreme > np.nanquantile(extreme, 1.0 - share)
                    found[name, hold, share].append(p_values(context, values, fired, hold))
    print(
        f"{given.symbols} symbols, {given.bars} bars, {given.worlds} worlds, seed {given.seed}; +: as named, -: against"
    )
    print("share in % of p below 5 % (bar 3.5-7.5) and 0.17 % (bar 0.4); +: as named, -: the opposite; figures given")
    print("feature            hold share   by sums of events                 as used")
    for (name, hold, share), rows in found.items():
        cells = []
        for column in np.array(rows).T:
            up, down = np.nan_to_num(column, nan=1.0), np.nan_to_num(1.0 - column, nan=1.0)
            passed = [100.0 * (p < line).mean() for p in (up, down) for line in (0.05, 0.0017)]
            cells.append("+{:5.1f} {:5.2f}  -{:5.1f} {:5.2f}".format(*passed) + f"  {1 - np.isnan(column).mean():4.0%}")
        print(f"{name:18} {hold:4} {share:5.2f}   {cells[0]}   {cells[1]}")


if __name__ == "__main__":
    main()
