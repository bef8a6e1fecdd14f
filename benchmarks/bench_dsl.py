"""Expressions on a panel and on one series, against pandas, bottleneck + numpy and polars.

Run: `python benchmarks/bench_dsl.py [--rounds 3] [--small]`. One thread, contenders interleaved, medians of
CPU seconds, results compared cell by cell. Every rolling window needs half of its bars in every engine.
"""

# ruff: noqa: E402 - libraries read their thread counts when they are imported

from __future__ import annotations

import argparse
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ[_name] = "1"

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from dsl_peers import Bottleneck, Pandas, Peer, Polars

from midas_engine.dsl import FeatureEngine, warm_kernels
from midas_engine.market.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable

SERIES = [
    "close / delay(close, 24) - 1",
    "ts_zscore(close, 24)",
    "ts_zscore(volume, 168)",
    "ts_rank(volume, 48)",
    "ts_corr(close, volume, 48)",
    "ema(close, 12) / ema(close, 26) - 1",
    "ts_std(returns(close, 1), 24)",
    "(close - ts_min(low, 24)) / (ts_max(high, 24) - ts_min(low, 24))",
    "delta(close, 4) / ts_std(close, 48)",
    "log(volume / ts_mean(volume, 168))",
    "if_else(returns(close, 1) > 0, volume, -volume) / ts_mean(volume, 24)",
    "atr(high, low, close, 14) / close",
    "rsi(close, 14)",
    "bbands_pct(close, 20, 2)",
]
CROSS = [
    "cs_rank(returns(close, 24))",
    "cs_zscore(ts_mean(funding_rate, 24))",
    "cs_demean(returns(close, 4))",
    "cs_rank(ts_zscore(volume, 72))",
    "-cs_rank(delta(close, 8) / ts_std(close, 24))",
    "cs_zscore(ts_corr(close, volume, 24))",
]
# An engine carries an exponential mean through a long gap or restarts it; cells valid in both are compared.
OVERLAP_ONLY = ("ema",)


def market(bars: int, symbols: int, seed: int = 0) -> Panel:
    """Holes of 0.2 %, a third listed late, a quarter with a gap of 2 % of the history."""
    rng = np.random.default_rng(seed)
    shape = (bars, symbols)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.005, shape), axis=0))
    gone = rng.random(shape) < 0.002
    for s in range(symbols if symbols > 1 else 0):
        if s % 3 == 0:
            gone[: int(rng.integers(1, bars // 2)), s] = True
        if s % 4 == 0:
            at = int(rng.integers(bars // 2, bars - bars // 50))
            gone[at : at + bars // 50, s] = True
    fields = {
        "open": close * (1 + rng.normal(0, 0.001, shape)),
        "high": close * (1 + np.abs(rng.normal(0, 0.003, shape))),
        "low": close * (1 - np.abs(rng.normal(0, 0.003, shape))),
        "close": close,
        "volume": rng.lognormal(3, 1, shape),
        "funding_rate": rng.normal(0, 1e-4, shape),
    }
    for values in fields.values():
        values[gone] = np.nan
    times = np.datetime64("2025-01-01", "ns") + np.arange(bars) * np.timedelta64(3600, "s")
    return Panel(times, [f"S{i}" for i in range(symbols)], fields, 3600)


def difference(ours: np.ndarray, theirs: np.ndarray, overlap_only: bool) -> tuple[float, int]:
    """(99.9th percentile of the relative error, cells that are NaN in one only)."""
    one_only = int((np.isnan(ours) != np.isnan(theirs)).sum())
    both = np.isfinite(ours) & np.isfinite(theirs)
    if not both.any():
        return 0.0, one_only
    scale = np.maximum(np.abs(ours[both]), np.median(np.abs(ours[both])) * 1e-3 + 1e-300)
    return float(np.quantile(np.abs(ours[both] - theirs[both]) / scale, 0.999)), 0 if overlap_only else one_only


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def compare(title: str, panel: Panel, texts: list[str], peers: list[type[Peer]], rounds: int) -> None:
    engine = FeatureEngine(panel, cache_bytes=0)
    fields = {name: np.array(values) for name, values in panel.fields.items()}
    others = [peer(fields) for peer in peers]
    # Nobody is timed for parsing: the peers get the tree, Midas its parsed expression.
    parsed = [engine.parse(t) for t in texts]
    trees = [p.ast for p in parsed]
    names = ["midas", *(p.name for p in others)]
    times: dict[str, list[list[float]]] = {name: [[] for _ in texts] for name in names}
    worst = {p.name: (0.0, 0, "") for p in others}
    for i, text in enumerate(texts):
        for round_ in range(rounds):
            spent, ours = timed(lambda i=i: engine.values(parsed[i]))
            times["midas"][i].append(spent)
            for peer in others:
                spent, value = timed(lambda peer=peer, i=i: peer.run(trees[i]))
                times[peer.name][i].append(spent)
                if round_ == 0:
                    error, cells = difference(ours, peer.dump(value), any(o in text for o in OVERLAP_ONLY))
                    if (error, cells) > worst[peer.name][:2]:
                        worst[peer.name] = (error, cells, text)
                del value
            del ours
    totals = {n: sum(float(np.median(v)) for v in times[n]) for n in names}
    print(f"\n{title}: {len(texts)} expressions on {panel.T:,} x {panel.S}")
    for name in names:
        line = f"  {name:12} {totals[name] * 1e3:9.1f} ms   {totals[name] / totals['midas']:6.2f} x"
        if name != "midas":
            error, cells, text = worst[name]
            line += f"   worst 99.9 % error {error:.0e}, {cells} cells NaN in one only  {text}"
        print(line)
    fresh = []
    for text in texts:
        for _ in range(rounds):
            other = FeatureEngine(panel, cache_bytes=0)
            fresh.append(timed(lambda text=text, other=other: other.values(text))[0])
    print(f"  from text, new engine each time: median {np.median(fresh) * 1e3:.2f} ms, worst {max(fresh) * 1e3:.2f} ms")
    for i, text in enumerate(texts):
        row = "  ".join(f"{float(np.median(times[n][i])) * 1e3:8.2f}" for n in names)
        print(f"    {row}   {text}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="an eighth of the history")
    parser.add_argument("--series", action="store_true", help="the single series only")
    options = parser.parse_args()
    warm_kernels()
    bars = 1095 if options.small else 8760
    peers: list[type[Peer]] = [Pandas, Bottleneck, Polars]
    if not options.series:
        compare("panel", market(bars, 200), SERIES + CROSS, peers, options.rounds)
    compare("one series", market(8760, 1), SERIES, peers, max(options.rounds, 9))


if __name__ == "__main__":
    main()
