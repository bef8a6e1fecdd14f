"""Is the IC that `SyntheticMarket` states the IC that its expressions have? Prints planted and measured, with errors.

python benchmarks/statistics/sim_planted_ic.py [SEEDS]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from midas_engine.dsl import FeatureEngine
from midas_engine.market import SyntheticMarket, forward_returns


def rank_ic(values: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Spearman correlation across symbols at each bar [T], by ranks of SciPy; NaN below five symbols."""
    out = np.full(len(values), np.nan)
    for t, (x, y) in enumerate(zip(values, returns, strict=True)):
        both = np.isfinite(x) & np.isfinite(y)
        if both.sum() >= 5 and np.ptp(x[both]) > 0:
            out[t] = np.corrcoef(rankdata(x[both]), rankdata(y[both]))[0, 1]
    return out


def main(seeds: int) -> None:
    """Simulate, measure, print."""
    alive: dict[str, list[float]] = {}
    after: dict[str, list[float]] = {}
    stated: dict[str, tuple[str, float]] = {}
    for seed in range(1, seeds + 1):
        market = SyntheticMarket(seed)
        panel = market.panel()
        engine = FeatureEngine(panel)
        returns = forward_returns(panel, (1,))[1]
        for feature in market.truth.features:
            ics = rank_ic(engine.values(feature.expression), returns)
            change = feature.changes_at or int(panel.T * 0.75)
            stated[feature.name] = (feature.kind, feature.ic)
            alive.setdefault(feature.name, []).append(float(np.nanmean(ics[:change])))
            after.setdefault(feature.name, []).append(float(np.nanmean(ics[change:])))
    print(f"{seeds} seeds")
    print(f"{'feature':16} {'kind':8} {'planted':>8} {'measured':>9} {'error':>7} {'after':>8} {'error':>7}")
    for name, (kind, ic) in stated.items():
        before, later = np.array(alive[name]), np.array(after[name])
        error, late_error = (x.std(ddof=1) / np.sqrt(seeds) for x in (before, later))
        print(f"{name:16} {kind:8} {ic:8.4f} {before.mean():9.4f} {error:7.4f} {later.mean():8.4f} {late_error:7.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
