"""Peak memory of five expressions on a year of minutes for 20 symbols, each engine in a process of its own.

Run: `python benchmarks/speed/bench_dsl_memory.py`. Data as plain arrays, outputs dropped one by one.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
from dsl_workload import Row, market

TEXTS = [
    "close / delay(close, 24) - 1",
    "ts_zscore(close, 24)",
    "delta(close, 4) / ts_std(close, 48)",
    "(close - ts_min(low, 24)) / (ts_max(high, 24) - ts_min(low, 24))",
    "log(volume / ts_mean(volume, 168))",
]
NAMES = ("close", "high", "low", "volume")


def peak(engine: str) -> float:
    """Megabytes of a fresh process that computes with one engine."""
    line = [sys.executable, str(Path(__file__)), engine]
    return float(subprocess.run(line, check=True, capture_output=True, text=True).stdout)


def child(engine: str) -> None:
    panel = market(525_600, 20, bar_seconds=60)
    if engine == "midas":
        from midas_engine.dsl import FeatureEngine
        from midas_engine.market.panel import Panel

        fields = {name: panel.fields[name] for name in NAMES}
        panel = Panel(panel.timestamps, panel.symbols, fields, 60)
        own = FeatureEngine(panel, cache_bytes=0)
        for text in TEXTS:
            own.values(text)
    elif engine == "pandas":
        from dsl_peers import Pandas

        from midas_engine.dsl import parse

        fields = {name: np.array(panel.fields[name]) for name in NAMES}
        del panel
        peer = Pandas(fields)
        del fields
        for text in TEXTS:
            peer.run(parse(text).ast)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def rows() -> list[Row]:
    sizes = {engine: peak(engine) for engine in ("midas", "pandas")}
    ratio = sizes["midas"] / sizes["pandas"]
    figure = f"{ratio:.2f} x ({sizes['midas']:,.0f} MB against {sizes['pandas']:,.0f})"
    return [Row("peak memory, 525,600 x 20, against pandas", figure, "at most 1 x", ratio <= 1.0)]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1])
    else:
        for row in rows():
            print(row)
