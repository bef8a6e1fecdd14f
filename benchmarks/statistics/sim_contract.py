"""The evaluator's bars, measured as a stranger would: pandas in, verdicts out, worlds of several kinds.

    python benchmarks/statistics/sim_contract.py pvalues   # p-values on noise, horizon alone or beside others
    python benchmarks/statistics/sim_contract.py noise     # noise accepted in sessions of 1,000 and of 60
    python benchmarks/statistics/sim_contract.py recall    # planted IC 0.02 / 0.03 / 0.05 at N = 60
    # 20 symbols against one, at the breadth the evaluator reports
    python benchmarks/statistics/sim_contract.py panel
    python benchmarks/statistics/sim_contract.py all --seed 5000

Every series has 8,760 hourly bars, t(4) returns, AR(1) features and volatility-tercile regimes; worlds differ in how
volatility clusters: `logar` (log-AR(1) with persistence 0.98), `garch` (GARCH(1,1) with alpha 0.08, beta 0.90),
`switch` (two states a factor of three apart that last for days) and `flat` (none). Nothing but the public contract
`MultiAgentEvaluator(AlphaEvaluator()).evaluate(feature, forward_returns, regime_labels, trials=N)` is called.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
import pandas as pd

from midas_engine.evaluator import AlphaEvaluator, MultiAgentEvaluator, ScoringOptions
from midas_engine.executor import ProcessExecutor, TaskExecutor
from midas_engine.stats.intervals import rate_interval, share_interval

BARS = 8760
KINDS = ("logar", "garch", "switch", "flat")
MEMORIES = (0.0, 0.5, 0.9, 0.95, 0.98)
Row = tuple[str, str, str, bool]
"""A bar, what was measured, what was asked, and whether it holds."""

INDEX = pd.date_range("2024-03-01", periods=BARS, freq="h", tz="UTC")


def ar1(rng: np.random.Generator, rho: float, shape: tuple[int, ...]) -> np.ndarray:
    """AR(1) paths of unit variance along the first axis."""
    from scipy.signal import lfilter

    noise = rng.normal(size=shape) * math.sqrt(1.0 - rho * rho)
    noise[0] /= math.sqrt(1.0 - rho * rho)
    return lfilter([1.0], [1.0, -rho], noise, axis=0)


def clusters(rng: np.random.Generator, kind: str, shocks: np.ndarray) -> np.ndarray:
    """Volatility [T] around 0.6 % an hour; a GARCH path is driven by its own shocks."""
    if kind == "logar":
        return 0.006 * np.exp(0.5 * ar1(rng, 0.98, (BARS,)) - 0.125)
    if kind == "switch":
        state = np.cumsum(rng.random(BARS) < 1.0 / 96.0) % 2
        return 0.006 * np.where(state == 1, 1.5, 0.5)
    if kind == "garch":
        variance = np.empty(BARS)
        variance[0] = 1.0
        for t in range(1, BARS):
            variance[t] = 0.02 + (0.90 + 0.08 * min(shocks[t - 1] ** 2, 50.0)) * variance[t - 1]
        return 0.006 * np.sqrt(variance)
    return np.full(BARS, 0.006)


def world(seed: int, kind: str) -> tuple[np.random.Generator, np.ndarray, np.ndarray, pd.Series]:
    """A generator for features, unit noise [T], its volatility [T], and regime labels by tercile of past volatility."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    shocks = rng.standard_t(4, BARS) / math.sqrt(2.0)
    scale = clusters(rng, kind, shocks)
    known = pd.Series(np.abs(shocks * scale)).ewm(halflife=24).mean().shift(1).bfill().to_numpy()
    edges = np.quantile(known, [1 / 3, 2 / 3])
    labels = np.array(["LOW_VOL", "MID_VOL", "HIGH_VOL"])[np.searchsorted(edges, known)]
    return rng, shocks, scale, pd.Series(labels, INDEX)


def forward(returns: np.ndarray, horizons: tuple[int, ...]) -> pd.DataFrame:
    """Forward returns: `returns[t]` is earned over the bar that follows t."""
    path = np.concatenate([[0.0], np.cumsum(np.log1p(np.clip(returns, -0.9, None)))])
    columns = {}
    for h in horizons:
        total = np.full(BARS, np.nan)
        total[: BARS - h + 1] = np.expm1(path[h:] - path[:-h])
        columns[f"ret_{h}h"] = total
    return pd.DataFrame(columns, INDEX)


def planted(
    rng: np.random.Generator, ic: float, rho: float, shocks: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A feature, and returns whose Pearson correlation with it is `ic` in expectation."""
    feature = ar1(rng, rho, (BARS,))
    inner = ic * math.sqrt(float((scale**2).mean())) / float(scale.mean())
    return feature, (inner * feature + math.sqrt(1.0 - inner * inner) * shocks) * scale


def _pvalues(job: tuple[int, str, int, float, bool, int]) -> list[float]:
    seed, kind, h, rho, alone, each = job
    rng, shocks, scale, labels = world(seed, kind)
    returns = forward(shocks * scale, (h,) if alone else tuple(sorted({1, h})))
    judge = MultiAgentEvaluator(AlphaEvaluator(options=ScoringOptions(target=h)))
    return [
        judge.evaluate(pd.Series(ar1(rng, rho, (BARS,)), INDEX), returns, labels).evaluation.score_p
        for _ in range(each)
    ]


def pvalues(pool: TaskExecutor, worlds: int, seed: int) -> list[Row]:
    each = 50
    print(f"\np-values on noise below 5 % (one-sided / two-sided), {worlds} worlds x {each} features, seeds {seed}..")
    worst = (0.05, 0.05)
    for h in (1, 4, 24):
        for alone in (False, True):
            for rho in (0.0, 0.9, 0.98):
                jobs = [(seed + w, KINDS[w % len(KINDS)], h, rho, alone, each) for w in range(worlds)]
                p = np.concatenate(list(pool.map(_pvalues, jobs)))
                one, two = float((p < 0.05).mean()), float((2 * np.minimum(p, 1 - p) < 0.05).mean())
                worst = (min(worst[0], one, two), max(worst[1], one, two))
                given = "alone" if alone else "with h = 1"
                error = 1.645 * math.sqrt(0.0475 / p.size)
                print(f"  h {h:2d} {given:<10}  memory {rho:4.2f}   {one:6.2%} / {two:6.2%}  n={p.size} +-{error:.2%}")
    print(f"  smallest and largest share {worst[0]:.2%} and {worst[1]:.2%} (bar 3.5-7.5 %)")
    said = f"{worst[0]:.1%} to {worst[1]:.1%} over 18 cells of {worlds * each:,}, one- and two-sided"
    held = worst[0] >= 0.035 and worst[1] <= 0.075
    return [("p-values of noise at nominal 5 %, h = 1/4/24, memory 0/0.9/0.98", said, "3.5-7.5 %", held)]


def _noise(job: tuple[int, str, int]) -> list[tuple[bool, bool]]:
    seed, kind, each = job
    rng, shocks, scale, labels = world(seed, kind)
    returns = forward(shocks * scale, (1, 4, 24))
    judge = MultiAgentEvaluator(AlphaEvaluator())
    out = []
    for i in range(each):
        feature = pd.Series(ar1(rng, MEMORIES[i % len(MEMORIES)], (BARS,)), INDEX)
        out.append(tuple(judge.evaluate(feature, returns, labels, trials=n).statistical_pass for n in (1000, 60)))
    return out


def noise(pool: TaskExecutor, sessions: int, seed: int) -> list[Row]:
    each = 125
    jobs = [(seed + w, KINDS[w % len(KINDS)], each) for w in range(8 * sessions)]
    found = np.array([row for rows in pool.map(_noise, jobs) for row in rows]).reshape(sessions, 1000, 2)
    out: list[Row] = []
    for k, (label, bar) in enumerate((("one session of 1,000", 1), ("sessions of 60, per 1,000", 3))):
        counts = found[:, :, k].sum(axis=1)
        print(
            f"\nnoise, {label}: accepted per 1,000 candidates {counts.mean():.2f}, "
            f"most {counts.max()} (bar {bar}), {sessions} x 1,000 candidates, seeds {seed}.."
        )
        low, high = rate_interval(int(counts.sum()), float(sessions))
        over = f"over the bar in {(counts > bar).sum()} of {sessions}"
        said = f"{counts.mean():.2f} [{low:.2f}, {high:.2f}] per 1,000; {over}"
        name = f"noise accepted, {label.removesuffix(', per 1,000')}"
        out.append((name, f"{said} runs of 1,000", f"<= {bar}", bool(counts.mean() <= bar)))
    return out


def _recall(job: tuple[int, str, float, float]) -> tuple[bool, float, float, list[str]]:
    seed, kind, ic, rho = job
    rng, shocks, scale, labels = world(seed, kind)
    feature, returns = planted(rng, ic, rho, shocks, scale)
    judge = MultiAgentEvaluator(AlphaEvaluator())
    verdict = judge.evaluate(pd.Series(feature, INDEX), forward(returns, (1, 4, 24)), labels, trials=60)
    failed = [g.name for v in verdict.verdicts if not v.economic for g in v.gates if not g.passed]
    return verdict.statistical_pass, verdict.evaluation.score_t, verdict.evaluation.ic.value, failed


def recall(pool: TaskExecutor, worlds: int, seed: int) -> list[Row]:
    print(f"\nrecall on the statistical gates at N = 60, {worlds} worlds a cell, seeds {seed}..")
    out: list[Row] = []
    for kind in KINDS:
        for ic, bar in ((0.02, 0.18), (0.03, 0.52), (0.05, 0.88)):
            jobs = [(seed + w, kind, ic, MEMORIES[w % len(MEMORIES)]) for w in range(worlds)]
            rows = list(pool.map(_recall, jobs))
            passed = np.mean([r[0] for r in rows])
            lost: dict[str, int] = {}
            for row in rows:
                # what refuses a feature that is over the line
                for name in row[3] if "score_t" not in row[3] else ():
                    lost[name] = lost.get(name, 0) + 1
            why = ", ".join(f"{n} {c / len(rows):.1%}" for n, c in sorted(lost.items(), key=lambda kv: -kv[1])[:4])
            t, pearson = np.mean([r[1] for r in rows]), np.mean([r[2] for r in rows])
            print(
                f"  {kind:<7} IC {ic:.2f}: recall {passed:.3f} (bar {bar:.2f}), mean t {t:.2f}, "
                f"Pearson IC {pearson:.4f}   lost beyond the line: {why or 'none'}"
            )
            if kind != "flat":
                low, high = share_interval(sum(r[0] for r in rows), len(rows))
                said = f"{passed:.3f} [{low:.3f}, {high:.3f}]"
                out.append(
                    (f"recall at IC {ic:.2f}, N = 60, world `{kind}`", said, f">= {bar:.2f}", bool(passed >= bar))
                )
    return out


def _panel(job: tuple[int, str, int, float]) -> tuple[bool, float, float, list[str]]:
    seed, kind, symbols, common = job
    rng, _, scale, labels = world(seed, kind)
    own = rng.standard_t(4, (BARS, symbols)) / math.sqrt(2.0)
    market = rng.standard_t(4, (BARS, 1)) / math.sqrt(2.0)
    shocks = math.sqrt(common) * market + math.sqrt(1.0 - common) * own
    feature = ar1(rng, 0.9, (BARS, symbols))
    inner = 0.03 * math.sqrt(float((scale**2).mean())) / float(scale.mean())
    returns = (inner * feature + math.sqrt(1.0 - inner * inner) * shocks) * scale[:, None]
    names = [f"S{i:02d}" for i in range(symbols)]
    if symbols == 1:
        values, ahead = pd.Series(feature[:, 0], INDEX), forward(returns[:, 0], (1, 4))
    else:
        index = pd.MultiIndex.from_product([INDEX, names], names=["timestamp", "symbol"])
        values = pd.Series(feature.reshape(-1), index)
        pieces = [forward(returns[:, s], (1, 4)) for s in range(symbols)]
        ahead = pd.DataFrame({c: np.column_stack([p[c] for p in pieces]).reshape(-1) for c in pieces[0]}, index)
    verdict = MultiAgentEvaluator(AlphaEvaluator()).evaluate(values, ahead, labels, trials=60)
    failed = [g.name for v in verdict.verdicts if not v.economic for g in v.gates if not g.passed]
    return verdict.statistical_pass, verdict.evaluation.score_t, verdict.evaluation.effective_breadth, failed


def panel(pool: TaskExecutor, worlds: int, seed: int) -> list[Row]:
    print(f"\npanels at IC 0.03 per symbol, N = 60, {worlds} worlds, seeds {seed}..")
    single = 0.0
    out: list[Row] = []
    for symbols, common in ((1, 0.0), (5, 0.0), (20, 0.0), (20, 0.3)):
        rows = list(pool.map(_panel, [(seed + w, KINDS[w % 4], symbols, common) for w in range(worlds)]))
        t, breadth = np.mean([r[1] for r in rows]), np.mean([r[2] for r in rows])
        single = single or float(t)
        failed = sorted({name for r in rows for name in r[3]})
        print(
            f"  {symbols:2d} symbols, common share {common:.1f}: recall {np.mean([r[0] for r in rows]):.2f}, "
            f"mean t {t:5.2f}, effective breadth {breadth:5.2f}, "
            f"t over one symbol's {t / single:.2f}, sqrt(breadth) {math.sqrt(breadth):.2f}"
            + (f"   failed gates: {', '.join(failed)}" if failed else "")
        )
        if symbols == 20 and common == 0.0:
            said = f"t is {t / single:.2f} times one symbol's, recall {np.mean([r[0] for r in rows]):.2f}"
            near = abs(t / single / math.sqrt(breadth) - 1.0) < 0.1
            want = f"sqrt(breadth) = {math.sqrt(breadth):.2f} times, within 10 %"
            out.append(("power of 20 symbols at IC 0.03", said, want, bool(near)))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pvalues", "noise", "recall", "panel", "all"))
    parser.add_argument("--seed", type=int, default=5000)
    parser.add_argument("--worlds", type=int, default=0, help="0 takes the default of each table")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    start = time.perf_counter()
    with ProcessExecutor(options.workers) as pool:
        for name, run, worlds in (
            ("pvalues", pvalues, 40),
            ("noise", noise, 5),
            ("recall", recall, 400),
            ("panel", panel, 40),
        ):
            if options.what in (name, "all"):
                run(pool, options.worlds or worlds, options.seed)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
