"""p-values of noise features on panels whose symbols differ for good, by time alone and clustered by symbol too.

24 symbols (or another number) of clustered volatility, Student-t(4) returns, half of the variance common, each with a
drift of its own (0.01 % an hour and symbol, about one in annual standard deviation). Features know nothing: AR(1) of
memory 0 to 0.999, a constant per symbol, and a constant with noise on it. Both sides of each p are counted.

    python benchmarks/statistics/sim_panel_sizes.py                        # 24 symbols, 100 worlds, about 3 minutes
    python benchmarks/statistics/sim_panel_sizes.py --symbols 6 --worlds 40   # scored in time below 10 symbols
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict

import numpy as np
from sim_evaluator import ar1, context_of, volatility

from midas_engine.evaluator.context.byte_cache import mask_key
from midas_engine.evaluator.metrics.components import persistence
from midas_engine.evaluator.metrics.significance import score_figures, time_figures
from midas_engine.stats.hac import one_sided_p
from midas_engine.stats.ranks import sort_rows

HORIZONS = (1, 4, 24)
MEMORIES = ("0", "0.9", "0.98", "0.999", "constant", "both")


def feature(rng: np.random.Generator, memory: str, shape: tuple[int, int]) -> np.ndarray:
    """A feature that knows nothing of the returns."""
    constant = np.tile(rng.normal(size=(1, shape[1])), (shape[0], 1))
    if memory == "constant":
        return constant
    return constant + ar1(rng, 0.9, shape) if memory == "both" else ar1(rng, float(memory), shape)


def world(rng: np.random.Generator, bars: int, symbols: int, drift: float) -> np.ndarray:
    """Noise returns [T, S] whose symbols drift for good."""
    scale = volatility(rng, bars)[:, None] * np.exp(0.3 * rng.normal(size=(1, symbols)))
    common, own = rng.standard_t(4, size=(bars, 1)), rng.standard_t(4, size=(bars, symbols))
    return scale * 0.5 * (common + own) + drift * rng.normal(size=(1, symbols))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=100)
    parser.add_argument("--each", type=int, default=12)
    parser.add_argument("--bars", type=int, default=3000)
    parser.add_argument("--symbols", type=int, default=24)
    parser.add_argument("--drift", type=float, default=1e-4, help="standard deviation of a symbol's drift a bar")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    found: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    for w in range(given.worlds):
        rng = np.random.default_rng([given.seed, w])
        returns = world(rng, given.bars, given.symbols, given.drift)
        for h in HORIZONS:
            context = context_of(returns, np.array(["A"] * given.bars), (1, h) if h > 1 else (1,), h)
            for memory in MEMORIES:
                if memory == "constant" and not context.cross:
                    continue  # scored in time, where a constant has no score
                for _ in range(given.each):
                    rows = context.lay(feature(rng, memory, returns.shape))
                    bars = context.score(rows, sort_rows(rows), mask_key(rows), h)
                    steady = persistence(bars.z_f, context.cross) if h > 1 else 0.0
                    clustered = score_figures(bars, h, steady, context.cross)
                    found[h, memory, "time"].append(time_figures(bars.u, h, steady).p)
                    found[h, memory, "used"].append(clustered.p)
                    found[h, memory, "S - 1"].append(one_sided_p(clustered.t, given.symbols - 1.0))
    print(
        f"{given.symbols} symbols, {given.bars} bars, {given.worlds} worlds x {given.each} features, seed {given.seed}"
    )
    print("share of p below 5 % (bar 3.5-7.5 %) and below 0.17 % (bar 0.4 %)")
    print("   h   memory      time axis alone      as used             with S - 1 degrees")
    for h in HORIZONS:
        for memory in MEMORIES:
            if (h, memory, "used") not in found:
                continue
            cells = []
            for way in ("time", "used", "S - 1"):
                one = np.array(found[h, memory, way])
                p = np.concatenate([one, 1.0 - one])
                cells.append(f"{(p < 0.05).mean():7.2%} {(p < 0.0017).mean():7.2%}")
            error = 1.96 * math.sqrt(0.05 * 0.95 / p.size)
            print(f"  {h:2d}   {memory:9} {cells[0]}     {cells[1]}     {cells[2]}     n {p.size}, +- {error:.2%}")


if __name__ == "__main__":
    main()
