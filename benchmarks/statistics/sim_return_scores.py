"""Which rank score of the return finds more: t of planted features, over that of normal scores.

Series of Student-t(4 to 6) returns and panels of the bundled sample's real hourly returns, every bar's sign drawn anew
(`promoted_worlds.py`); the feature's side is normal scores throughout.

    python benchmarks/statistics/sim_return_scores.py [--worlds 60] [--seed 0]
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from promoted_worlds import World, daily, real, series, slow
from scipy.special import stdtrit

from midas_engine.stats.normal_scores import location_table, score_table, scores_of_ranks
from midas_engine.stats.ranks import own_ranks, sort_rows
from midas_engine.stats.scale import lagged_scale


def uniform(n: int) -> np.ndarray:
    """Ranks themselves (Wilcoxon)."""
    return np.arange(2 * n - 1) - (n - 1.0)


def heavier(n: int) -> np.ndarray:
    """Location scores of a t(3)."""
    quantile = stdtrit(3.0, (np.arange(2 * n - 1) + 1.0) / (2.0 * n))
    return 4.0 * quantile / (3.0 + quantile * quantile)


TABLES = {"normal": score_table, "rank": uniform, "t(4)": location_table, "t(3)": heavier}


def t_of(world: World, feature: np.ndarray, table) -> float:
    """T of the mean score over bars, the return scored by `table`."""
    scaled = world.returns / lagged_scale(world.returns, 1)
    cross = scaled.shape[1] > 1
    known = ~np.isnan(scaled)
    rows, others = (np.where(known, a, np.nan) for a in (feature, scaled))
    rows, others = (np.ascontiguousarray(a if cross else a.T) for a in (rows, others))
    minimum = 3 if cross else 30
    z_f = scores_of_ranks(*own_ranks(rows, sort_rows(rows)), minimum)
    z_r = scores_of_ranks(*own_ranks(others, sort_rows(others)), minimum, table)
    with np.errstate(invalid="ignore"):
        u = np.nansum(z_f * z_r, axis=1) / (~np.isnan(z_f)).sum(axis=1) if cross else (z_f * z_r).ravel()
    u = u[np.isfinite(u)]
    return float(u.mean() / u.std() * math.sqrt(u.size))


def narrow(seed: int, symbols: int) -> World:
    """The first symbols of the real panel."""
    whole = real(seed)
    return World(whole.returns[:, :symbols], whole.scale[:, :symbols], whole.seconds, whole.rng)


def one_real(seed: int) -> World:
    """One symbol of the real panel, from where it was listed."""
    whole = real(seed)
    column = whole.returns[:, [seed % 24]]
    column = column[~np.isnan(column[:, 0])]
    return World(column, lagged_scale(column, 1), whole.seconds, whole.rng)


CELLS = (
    ("one series", series, 0.04),
    ("one real series", one_real, 0.04),
    ("3 real symbols", lambda seed: narrow(seed, 3), 0.04),
    ("6 real symbols", lambda seed: narrow(seed, 6), 0.04),
    ("9 real symbols", lambda seed: narrow(seed, 9), 0.04),
    ("24 real symbols", real, 0.02),
    ("40 symbols by day", daily, 0.04),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print("t with each score of the return, over that with normal scores")
    for name, make, ic in CELLS:
        found = {table: [] for table in TABLES}
        for k in range(given.worlds):
            world = make(given.seed + k)
            feature = slow(world.rng, 0.9, world.returns.shape)
            world = world.planted(ic, feature)
            for table, of in TABLES.items():
                found[table].append(t_of(world, feature, of))
        base = np.mean(found["normal"])
        gains = "  ".join(f"{table} {np.mean(ts) / base:.3f}" for table, ts in found.items())
        print(f"{name:18} IC {ic:g}  t {base:5.2f}  {gains}", flush=True)


if __name__ == "__main__":
    main()
