"""Sharing sub-expressions: never slower, faster where there is something to share; and two threads.

Run: `python benchmarks/bench_dsl_sharing.py`. One panel of 8,760 x 200; CPU seconds, for threads wall seconds.
"""

from __future__ import annotations

import os

os.environ["NUMBA_NUM_THREADS"] = "1"

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from bench_dsl import CROSS, SERIES, market

from midas_engine.dsl import FeatureEngine, warm_kernels
from midas_engine.dsl.cache import ValueCache
from midas_engine.dsl.plan import build_plan

BASES = [
    "ts_zscore(returns(close, 4), 48)",
    "ts_corr(close, volume, 48)",
    "ts_rank(volume, 48)",
    "ts_std(returns(close, 1), 24)",
    "ema(close, 12) / ema(close, 26) - 1",
]
FORMS = ["cs_zscore({})", "ts_mean({}, 12)", "delta({}, 6)", "clip({}, -2, 2) * funding_rate"]
SHARED = [form.format(base) for base in BASES for form in FORMS]


def seconds(panel, texts: list[str], cache: ValueCache | None) -> float:
    engine = FeatureEngine(panel, cache_bytes=0) if cache is None else FeatureEngine(panel, cache=cache)
    start = time.process_time()
    for text in texts:
        engine.values(text)
    return time.process_time() - start


def shared_nodes(panel, texts: list[str]) -> float:
    engine = FeatureEngine(panel, cache_bytes=0)
    trees = [engine.parse(t).ast for t in texts]
    apart = sum(sum(s.leaf is None for s in build_plan([t], 0.5).steps) for t in trees)
    together = sum(s.leaf is None for s in build_plan(trees, 0.5).steps)
    return 1 - together / apart


def main() -> None:
    warm_kernels()
    panel = market(8760, 200)
    panel.snapshot_id  # noqa: B018 - hashed once per panel, not per expression
    for title, texts in (("20 expressions, little in common", SERIES + CROSS), ("20 expressions on 5 bases", SHARED)):
        times: dict[str, list[float]] = {"alone": [], "cache 256 MB": [], "cache 64 MB": [], "at once": []}
        for _ in range(5):
            times["alone"].append(seconds(panel, texts, None))
            times["cache 256 MB"].append(seconds(panel, texts, ValueCache(2**28)))
            times["cache 64 MB"].append(seconds(panel, texts, ValueCache(2**26)))
            engine = FeatureEngine(panel, cache_bytes=0)
            start = time.process_time()
            engine.many(list(texts))
            times["at once"].append(time.process_time() - start)
        alone = float(np.median(times["alone"]))
        print(f"\n{title}: {shared_nodes(panel, texts):.0%} of the nodes are repeats")
        for name, values in times.items():
            print(f"  {name:14} {np.median(values) * 1e3:8.0f} ms   {alone / np.median(values):5.2f} x")
    walls = []
    for workers in (1, 2):
        engines = [FeatureEngine(panel, cache_bytes=0) for _ in range(workers)]
        best = []
        for _ in range(3):
            start = time.perf_counter()
            with ThreadPoolExecutor(workers) as pool:
                jobs = (SERIES + CROSS) * 2
                list(pool.map(FeatureEngine.values, (engines[i % workers] for i in range(len(jobs))), jobs))
            best.append(time.perf_counter() - start)
        walls.append(min(best))
    print(f"\ntwo threads on one panel: {walls[0] / walls[1]:.2f} x one thread (wall)")


if __name__ == "__main__":
    main()
