"""Random expressions on random panels: the stream must give what the batch gives, at every bar.

Run: `python benchmarks/torture/property_batch_equals_stream.py --n 10000`. Prints counts; exits 1 on a disagreement.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from helpers_dsl import COLUMNS, make_panel
from midas_engine.dsl import FeatureEngine, StreamEngine, parse, random_expression
from midas_engine.settings import DslLimits

LIMITS = DslLimits(depth=12, nodes=400, total_lookback_bars=100_000)


def compare(batch: np.ndarray, stream: np.ndarray, tolerance: float) -> tuple[bool, bool]:
    """(bit-equal, within the tolerance); NaN must stand in the same cells."""
    exact = bool(np.array_equal(batch, stream, equal_nan=True))
    if exact:
        return True, True
    if (np.isnan(batch) != np.isnan(stream)).any():
        return False, False
    scale = np.maximum(np.maximum(np.abs(batch), np.abs(stream)), 1e-300)
    return False, bool(np.nan_to_num(np.abs(batch - stream) / scale).max(initial=0) <= tolerance)


def run(n: int, seed: int, group: int = 50, quiet: bool = False) -> dict[str, int]:
    """Compare `n` expressions, `group` to a panel; every other group restarts the stream half-way."""
    rng = np.random.default_rng(seed)
    counts = dict.fromkeys(
        ("expressions", "recursive", "bit_equal", "equal", "different", "cells", "valid", "infinite"), 0
    )
    while counts["expressions"] < n:
        symbols = int(rng.choice([1, 2, 3, 5, 8, 13]))
        bars = int(rng.choice([40, 90, 200, 400]))
        panel = make_panel(int(rng.integers(2**31)), bars, symbols, float(rng.choice([0.0, 0.02, 0.3])))
        exclude = ("cross_section",) if symbols == 1 else ()
        columns = (*COLUMNS, "vwap", "returns")
        texts = {}
        for i in range(min(group, n - counts["expressions"])):
            texts[f"f{i}"] = random_expression(rng, columns, int(rng.integers(1, 6)), exclude=exclude, limits=LIMITS)
        engine = FeatureEngine(panel, limits=LIMITS, cache_bytes=0)
        stream = StreamEngine(texts, tuple(panel.fields), panel.symbols, limits=LIMITS)
        streamed = {name: np.empty(panel.shape) for name in texts}
        restart = bars // 2 if rng.random() < 0.5 else -1
        for t in range(bars):
            if t == restart:
                saved = stream.state()
                stream = StreamEngine(texts, tuple(panel.fields), panel.symbols, limits=LIMITS)
                stream.restore(saved)
            for name, row in stream.update({c: v[t] for c, v in panel.fields.items()}).items():
                streamed[name][t] = row
        for name, text in texts.items():
            batch = engine.values(text)
            recursive = parse(text, limits=LIMITS).recursive
            exact, equal = compare(batch, streamed[name], 1e-9 if recursive else 1e-12)
            counts["expressions"] += 1
            counts["recursive"] += recursive
            counts["bit_equal"] += exact
            counts["equal"] += equal
            counts["different"] += not equal
            counts["cells"] += batch.size
            counts["valid"] += int(np.isfinite(batch).sum())
            counts["infinite"] += int(np.isinf(batch).sum() + np.isinf(streamed[name]).sum())
            if not equal and not quiet:
                print("DIFFERENT:", text)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    counts = run(options.n, options.seed)
    for name, count in counts.items():
        print(f"{name:12} {count:>12,}")
    print(f"{'seconds':12} {time.perf_counter() - start:>12.1f}")
    return 1 if counts["different"] or counts["infinite"] else 0


if __name__ == "__main__":
    sys.exit(main())
