"""Every windowed and cross-sectional operator against pandas, at three shapes: none may be slower.

Run: `python benchmarks/speed/bench_dsl_operators.py`. CPU seconds, interleaved, the better of several rounds.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from dsl_peers import Pandas
from dsl_workload import Row, difference, market, timed

from midas_engine.dsl import FeatureEngine, warm_kernels
from midas_engine.dsl.registry import OPERATORS

SHAPES = ((8760, 1, 9), (8760, 200, 2), (525_600, 1, 2))
# Quick operators are timed more often: a copy of 14 MB varies more from call to call than from library to library.
_QUICK, _MOST_ROUNDS = 0.06, 11
# Arithmetic is the same numpy call on both sides: what differs is where the pages happen to lie.
_NOISE, _SAME_CALL = 0.97, 0.8


def texts(symbols: int) -> list[str]:
    """One expression an operator and window; what pandas has no counterpart for is left out."""
    found = []
    for operator in OPERATORS.values():
        if not hasattr(Pandas, "op_" + operator.name) or operator.family == "logic":
            continue
        if operator.family == "cross_section" and symbols == 1:
            continue
        args = ["close", "volume"][: operator.arity]
        windows = ("24", "168") if operator.literals else ("",)
        found += [f"{operator.name}({', '.join([*args, n] if n else args)})" for n in windows]
    return found


def rows() -> list[Row]:
    warm_kernels()
    found, ranks = [], []
    for bars, symbols, rounds in SHAPES:
        panel = market(bars, symbols, bar_seconds=3600 if bars < 10_000 else 60)
        engine = FeatureEngine(panel, cache_bytes=0)
        peer = Pandas({name: np.array(values) for name, values in panel.fields.items()})
        ratios: dict[str, float] = {}
        errors = 0.0
        for text in texts(symbols):
            parsed = engine.parse(text)
            ours, theirs = [], []
            while len(ours) < rounds or (len(ours) < _MOST_ROUNDS and ours[0] + theirs[0] < _QUICK):
                spent, value = timed(partial(engine.values, parsed))
                ours.append(spent)
                spent, other = timed(partial(peer.run, parsed.ast))
                theirs.append(spent)
                if len(ours) == 1:
                    error, cells = difference(value, peer.dump(other), "ema" in text)
                    # pandas' own rolling moments are off by 1e-4 on wandering minute data: see the accuracy table.
                    errors = max(errors, error + (1.0 if cells else 0.0))
                del value, other
            ratios[text] = min(theirs) / min(ours)
        ranks += [r for t, r in ratios.items() if t.startswith("ts_rank")]
        print(f"\n{bars:,} x {symbols}")
        for text, ratio in sorted(ratios.items(), key=lambda item: item[1]):
            print(f"  {ratio:7.1f} x  {text}")
        plain = {t for t in ratios if OPERATORS[t.partition("(")[0]].family == "arithmetic"}
        own = {t: r for t, r in ratios.items() if t not in plain}
        slowest = min(own, key=lambda t: own[t])
        same = min(plain, key=lambda t: ratios[t])
        found.append(
            Row(
                f"{len(ratios)} operators, {bars:,} x {symbols}, against pandas",
                f"slowest {own[slowest]:.2f} x ({slowest}), median {np.median(list(ratios.values())):.1f} x; of plain "
                f"arithmetic, the same numpy call in both, {ratios[same]:.2f} x ({same})",
                "none slower",
                own[slowest] >= _NOISE and ratios[same] >= _SAME_CALL,
            )
        )
        print(f"  worst 99.9 % difference {errors:.0e}")
    found.append(
        Row("ts_rank against pandas, three shapes", f"at least {min(ranks):.1f} x", "at least 5 x", min(ranks) >= 5)
    )
    return found


if __name__ == "__main__":
    for row in rows():
        print(row)
