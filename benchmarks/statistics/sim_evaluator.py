"""How often the gates are fooled and how much they find, on simulated markets with known truth.

Worlds of the statistics page: hourly bars, Student-t(4) returns, clustered volatility, AR(1) features,
volatility-tercile regimes. Every row of output names its seeds; the same command prints the same table.

    # p-values on noise, h = 1 / 4 / 24, memory 0 / 0.9 / 0.98
    python benchmarks/statistics/sim_evaluator.py calibration
    # noise accepted, one session of 1,000 and sessions of 60
    python benchmarks/statistics/sim_evaluator.py noise
    python benchmarks/statistics/sim_evaluator.py recall        # planted IC 0.02 / 0.03 / 0.05 at N = 60
    python benchmarks/statistics/sim_evaluator.py panel         # 20 symbols against one
    python benchmarks/statistics/sim_evaluator.py all
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np

from midas_engine.evaluator import EvaluationContext, ScoringOptions
from midas_engine.evaluator.gates.verdict import judge
from midas_engine.evaluator.metrics.evaluate import evaluate_values

BARS = 8760
START = np.datetime64("2024-01-01", "ns")


def ar1(rng: np.random.Generator, rho: float, shape: tuple[int, ...]) -> np.ndarray:
    """AR(1) paths of unit variance along the first axis."""
    from scipy.signal import lfilter

    noise = rng.normal(size=shape) * math.sqrt(1.0 - rho * rho)
    noise[0] /= math.sqrt(1.0 - rho * rho)
    return lfilter([1.0], [1.0, -rho], noise, axis=0)


def volatility(rng: np.random.Generator, bars: int) -> np.ndarray:
    """Clustered volatility: a log-AR(1) around 0.6 % an hour, log standard deviation 0.6 as in hourly perpetuals."""
    return 0.006 * np.exp(0.6 * ar1(rng, 0.98, (bars,)) - 0.18)


def world(seed: int, bars: int = BARS, symbols: int = 1, common: float = 0.0):
    """Noise returns [T, S], their scale [T] and regime labels [T]."""
    rng = np.random.default_rng(seed)
    scale = volatility(rng, bars)
    t4 = rng.standard_t(4, size=(bars, symbols)) / math.sqrt(2.0)
    if common:
        t4 = math.sqrt(common) * (rng.standard_t(4, size=(bars, 1)) / math.sqrt(2.0)) + math.sqrt(1.0 - common) * t4
    edges = np.quantile(scale, [1 / 3, 2 / 3])
    regimes = np.array(["LOW_VOL", "MID_VOL", "HIGH_VOL"])[np.searchsorted(edges, scale)]
    return t4, scale, regimes


def context_of(returns: np.ndarray, regimes: np.ndarray, horizons=(1,), target: int = 1) -> EvaluationContext:
    """A context over one-bar returns [T, S]."""
    bars, symbols = returns.shape
    close = np.vstack([np.ones((1, symbols)), np.cumprod(1.0 + np.clip(returns, -0.5, 0.5), axis=0)])
    forward = {}
    for h in horizons:
        forward[h] = np.full((bars, symbols), np.nan)
        forward[h][: bars - h + 1] = close[h:] / close[:-h] - 1.0
    return EvaluationContext.from_returns(
        forward,
        timestamps=START + np.arange(bars) * np.timedelta64(3600, "s"),
        symbols=tuple(f"S{i}" for i in range(symbols)),
        regimes=regimes,
        options=ScoringOptions(target=target),
    )


def calibration(worlds: int, each: int, seed: int) -> None:
    seeds = f"seeds {seed}..{seed + worlds - 1}"
    print(f"\np-values on noise: share below 5 %, {worlds} worlds x {each} features of 8,760 bars, {seeds}")
    print("   h   memory   one-sided   two-sided   (bar 3.5-7.5 %)   90 % error of a cell")
    for h in (1, 4, 24):
        for rho in (0.0, 0.9, 0.98):
            p = []
            for w in range(worlds):
                noise, scale, regimes = world(seed + w)
                context = context_of(noise * scale[:, None], regimes, (1, h) if h > 1 else (1,), h)
                rng = np.random.default_rng([seed, w, h, int(100 * rho)])
                features = ar1(rng, rho, (BARS, each))
                p += [evaluate_values(features[:, i], context).score_p for i in range(each)]
            q = np.array(p)
            error = 1.645 * math.sqrt(0.05 * 0.95 / q.size)
            two = (2 * np.minimum(q, 1 - q) < 0.05).mean()
            print(f"  {h:2d}   {rho:6.2f}   {(q < 0.05).mean():9.2%}   {two:9.2%}   n={q.size}   +-{error:.2%}")


def noise(sessions: int, seed: int) -> None:
    results = []
    for w in range(20 * sessions):
        returns, scale, regimes = world(seed + w)
        context = context_of(returns * scale[:, None], regimes)
        rng = np.random.default_rng([seed, w, 77])
        for i in range(50):
            rho = (0.0, 0.5, 0.9, 0.95, 0.98)[i % 5]
            results.append(evaluate_values(ar1(rng, rho, (BARS,)), context))
    print()
    for label, trials in (("one session of 1,000", 1000), ("sessions of 60, per 1,000", 60)):
        verdicts = [judge(result, trials=trials) for result in results]
        statistical = sum(v.statistical_pass for v in verdicts) / sessions
        overall = sum(v.overall_pass for v in verdicts) / sessions
        line = sum(v.verdicts[0].gates[2].passed for v in verdicts) / sessions
        print(
            f"noise, {label}: {statistical:.2f} statistical, {overall:.2f} overall accepted "
            f"({line:.2f} over the session line alone; seeds {seed}..{seed + 20 * sessions - 1})"
        )


def planted(
    rng: np.random.Generator, ic: float, rho: float, noise: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A feature, and returns [T, S] whose correlation with it is `ic`.

    The feature moves the mean in units of the current volatility; the factor makes the correlation with the return
    itself, volatility clusters included, the one that was asked for.
    """
    feature = ar1(rng, rho, noise.shape)
    inner = ic * math.sqrt(float((scale**2).mean())) / float(scale.mean())
    return feature, (inner * feature + math.sqrt(1.0 - inner * inner) * noise) * scale[:, None]


def recall(worlds: int, seed: int) -> None:
    bars = {0.02: 0.18, 0.03: 0.52, 0.05: 0.88}
    print(f"\nrecall at N = 60, one series, {worlds} worlds a cell, seeds {seed}..")
    for rho in (0.9, 0.95, 0.98):
        for ic, bar in bars.items():
            verdicts = []
            for w in range(worlds):
                t4, scale, regimes = world(seed + w)
                rng = np.random.default_rng([seed, w, int(1000 * ic), int(100 * rho)])
                feature, returns = planted(rng, ic, rho, t4, scale)
                verdicts.append(judge(evaluate_values(feature, context_of(returns, regimes)), trials=60))
            passed = np.mean([v.statistical_pass for v in verdicts])
            gates: dict[str, list[bool]] = {}
            for v in verdicts:
                for a in v.verdicts:
                    for g in a.gates:
                        gates.setdefault(g.name, []).append(g.passed)
            weak = "  ".join(f"{n} {np.mean(x):.2f}" for n, x in gates.items() if np.mean(x) < 0.97)
            seen = [v.evaluation for v in verdicts]
            print(
                f"  memory {rho:.2f}  IC {ic:.2f}  recall {passed:.3f} (bar {bar:.2f})  "
                f"overall {np.mean([v.overall_pass for v in verdicts]):.2f}  "
                f"t {np.mean([e.score_t for e in seen]):.2f}  "
                f"rank IC {np.mean([e.rank_ic.value for e in seen]):.4f}  "
                f"Pearson {np.mean([e.ic.value for e in seen]):.4f}   {weak}"
            )


def panel(worlds: int, seed: int) -> None:
    print(f"\npanels at IC 0.03, N = 60, {worlds} worlds, seeds {seed}..")
    for symbols, common in ((1, 0.0), (20, 0.0), (20, 0.5)):
        t, passed, breadth = [], [], []
        for w in range(worlds):
            t4, scale, regimes = world(seed + w, symbols=symbols, common=common)
            rng = np.random.default_rng([seed, w, symbols])
            feature, returns = planted(rng, 0.03, 0.95, t4, scale)
            verdict = judge(evaluate_values(feature, context_of(returns, regimes)), trials=60)
            t.append(verdict.evaluation.score_t)
            passed.append(verdict.statistical_pass)
            breadth.append(verdict.evaluation.effective_breadth)
        per_market = np.mean(t) / math.sqrt(np.mean(breadth))
        print(
            f"  {symbols:2d} symbols, common share {common:.1f}: mean t {np.mean(t):6.2f}  "
            f"breadth {np.mean(breadth):5.1f}  t / sqrt(breadth) {per_market:.2f}  recall {np.mean(passed):.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("calibration", "noise", "recall", "panel", "all"))
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--worlds", type=int, default=0, help="0 takes the default of each table")
    options = parser.parse_args()
    start = time.perf_counter()
    if options.what in ("calibration", "all"):
        calibration(options.worlds or 20, 50, options.seed)
    if options.what in ("noise", "all"):
        noise(options.worlds or 1, options.seed)
    if options.what in ("recall", "all"):
        recall(options.worlds or 300, options.seed)
    if options.what in ("panel", "all"):
        panel(options.worlds or 40, options.seed)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
