"""Sizes of features that past returns made (prices, trends, drawdowns, volatility), scored in time on random walks.

    python benchmarks/statistics/sim_driven_sizes.py [--worlds 400] [--seed 9]

Random walks of Student-t(4) steps; 3,066 hourly bars, as the sealed part of a year, and 5,694, as its research part; 1,
3 and 9 symbols; 1, 4 and 24 bars ahead. Shares of p at most 5 % and 0.17 %; beside them those of the score over the
whole part (normal scores against location scores), which leans towards reversal.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from midas_engine.dsl import FeatureEngine
from midas_engine.evaluator import EvaluationContext, ScoringOptions, evaluate_values
from midas_engine.evaluator.context.byte_cache import mask_key
from midas_engine.evaluator.metrics.components import persistence
from midas_engine.evaluator.metrics.significance import score_figures
from midas_engine.market import Panel
from midas_engine.settings import Settings
from midas_engine.stats.bar_scores import combine
from midas_engine.stats.ranks import sort_rows

CELLS = ((3066, 1, 1), (5694, 1, 4), (3066, 3, 1), (5694, 9, 24))
TEXTS = (
    "-close", "close", "-ts_mean(close, 24)", "-returns(close, 24)", "-returns(close, 168)", "-returns(close, 720)",
    "returns(close, 720)", "-ts_zscore(close, 168)", "-close / ts_max(close, 720)", "ts_std(returns, 168)",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=400)
    parser.add_argument("--seed", type=int, default=9)
    args = parser.parse_args()
    began = time.process_time()
    every: list[float] = []
    for bars, symbols, target in CELLS:
        p: dict[str, list[tuple[float, float]]] = {text: [] for text in TEXTS}
        times = np.datetime64("2024-01-01", "ns") + np.arange(bars) * np.timedelta64(3600, "s")
        for k in range(max(1, args.worlds // int(symbols**0.5))):
            rng = np.random.default_rng([args.seed, bars, symbols, target, k])
            close = 100.0 * np.exp(np.cumsum(0.007 * rng.standard_t(4, (bars, symbols)), axis=0))
            panel = Panel(times, [f"S{i}USDT" for i in range(symbols)], {"close": close}, 3600)
            engine = FeatureEngine(panel, limits=Settings().dsl)
            context = EvaluationContext.from_panel(panel, horizons=(1,), options=ScoringOptions(target=target))
            for text in TEXTS:
                values = engine.values(text)
                rows = context.lay(context.take(values))
                bars_of = context.score(rows, sort_rows(rows), mask_key(rows), target)
                steady = persistence(bars_of.z_f, False) if target > 1 else 0.0
                whole = score_figures(combine(bars_of.z_f, bars_of.z_r, False), target, steady, False).p
                p[text].append((evaluate_values(values, context).score_p, whole))
        print(f"\n{bars} bars, {symbols} symbol(s), {target} bar(s) ahead, {len(p[TEXTS[0]])} worlds")
        print("  feature                       p at 5 %   0.17 %   over the whole part: 5 %   0.17 %")
        for text in TEXTS:
            ours, whole = np.array(p[text]).T
            every += ours.tolist()
            shares = [(x <= line).mean() for x in (ours, whole) for line in (0.05, 0.0017)]
            print(
                f"  {text:28}   {shares[0]:6.1%}   {shares[1]:6.2%}   {shares[2]:22.1%}   {shares[3]:6.2%}", flush=True
            )
    found = np.array(every)
    print(f"\nall cells: {(found <= 0.05).mean():.1%} at 5 %, {(found <= 0.0017).mean():.2%} at 0.17 %")
    print(f"{time.process_time() - began:.0f} s of CPU")


if __name__ == "__main__":
    main()
