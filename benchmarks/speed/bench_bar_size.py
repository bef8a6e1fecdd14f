"""What a bar costs the monitor's figures, and how large they are, by the size of the bar.

Run: `nice python benchmarks/speed/bench_bar_size.py [--features 50] [--seed 7]`

Prints, for one symbol, three (figures in time) and twenty (figures across symbols): milliseconds a bar, MB of state,
and both as multiples of hourly bars in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from midas_engine.monitor.figures.engine import EngineConfig, MonitorEngine


def measure(features: int, symbols: int, bar_seconds: int, seed: int, bars: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    engine = MonitorEngine(
        [f"f{i}" for i in range(features)], symbols=symbols, config=EngineConfig(bar_seconds=bar_seconds)
    )
    start, step = np.datetime64("2026-01-01", "s"), np.timedelta64(bar_seconds, "s")
    took = []
    for k in range(bars):
        values, returns = rng.normal(size=(features, symbols)), rng.normal(size=symbols)
        begin = time.process_time()
        engine.observe(values)
        engine.update(start + k * step, values, returns)
        engine.columns()
        took.append(time.process_time() - begin)
    _, arrays = engine.parts()
    return 1e3 * statistics.median(took[bars // 2 :]), sum(a.nbytes for a in arrays.values()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--bars", type=int, default=120)
    args = parser.parse_args()
    for symbols in (1, 3, 20):
        hourly = (0.0, 0.0)
        for bar_seconds in (3600, 300, 60):
            cost, size = measure(args.features, symbols, bar_seconds, args.seed, args.bars)
            hourly = hourly if bar_seconds != 3600 else (cost, size)
            print(
                f"{symbols:3} symbols, bars of {bar_seconds:5} s: {cost:8.3f} ms a bar ({cost / hourly[0]:5.1f}x), "
                f"{size:8.1f} MB of state ({size / hourly[1]:5.1f}x)"
            )


if __name__ == "__main__":
    main()
