"""Streaming: time a bar of many live features over many symbols, and whether it stays flat.

Run: `python benchmarks/speed/bench_stream.py`. CPU time of one thread, which on a quiet machine is what the clock says.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from dsl_workload import Row

from helpers_dsl import COLUMNS
from midas_engine.dsl import StreamEngine, random_expression, warm_kernels
from midas_engine.settings import DslLimits

LIMITS = DslLimits(depth=12, total_lookback_bars=100_000)


def bar(rng: np.random.Generator, symbols: int, price: np.ndarray) -> dict[str, np.ndarray]:
    price *= np.exp(rng.normal(0, 0.01, symbols))
    values = {name: price * (1 + rng.normal(0, 0.001, symbols)) for name in COLUMNS}
    for row in values.values():
        row[rng.random(symbols) < 0.002] = np.nan
    return values


def measure(features: int, symbols: int, bars: int, goal: float, seed: int = 3) -> Row:
    rng = np.random.default_rng(seed)
    texts: dict[str, str] = {}
    while len(texts) < features:
        text = random_expression(rng, COLUMNS, 3)
        if text not in COLUMNS:
            texts[f"f{len(texts)}"] = text
    names = [f"S{i}" for i in range(symbols)]
    engine = StreamEngine(texts, COLUMNS, names, limits=LIMITS)
    price = np.full(symbols, 100.0)
    times = np.empty(bars)
    for t in range(bars):
        values = bar(rng, symbols, price)
        start = time.process_time()
        engine.update(values)
        times[t] = time.process_time() - start
    times *= 1e3
    warm = times[min(bars // 4, 168) :]
    first, last = warm[: len(warm) // 3], warm[-len(warm) // 3 :]
    state = len(engine.state()) / 2**20
    trend = np.median(last) / np.median(first)
    figure = (
        f"median {np.median(warm):.2f} ms, p99 {np.percentile(warm, 99):.2f}, worst {warm.max():.2f}; last third over "
        f"first {trend:.2f}; {engine.node_count:,} nodes, state {state:.1f} MB"
    )
    flat = trend <= 1.2 or np.median(warm) < 0.1 * goal
    passed = bool(np.percentile(warm, 99) < goal and flat)
    return Row(f"one bar of {features} features x {symbols} symbols", figure, f"under {goal:g} ms, flat", passed)


def rows(bars: int = 600) -> list[Row]:
    warm_kernels()
    return [measure(10, 20, bars, 5.0), measure(500, 200, bars, 250.0)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=600)
    for row in rows(parser.parse_args().bars):
        print(row)
