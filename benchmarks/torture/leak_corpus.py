"""The leak corpus: features that see the future and features that do not, each audited by execution.

Run: `python benchmarks/torture/leak_corpus.py [--bars 8760] [--symbols 20]`.
Prints what was missed and what was refused
wrongly, and the CPU time of an audit, the copies of the data included
(the better of two); exits 1 when either is not empty.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from helpers_leaks import auditor, build_market
from helpers_leaks_good import CLEAN, EXPRESSIONS
from helpers_leaks_worse import LEAKING_EXPRESSIONS, LEAKS, refused
from midas_engine.dsl import random_expression, warm_kernels
from midas_engine.dsl.leaks import ExpressionAuditor

RANDOM = 200


def audited(cases: dict[str, Any], market: Any, leaking: bool, slow: float) -> tuple[list[str], list[float]]:
    """(cases with another verdict than expected, milliseconds of each audit)."""
    wrong, times = [], []
    for name, case in cases.items():
        spent = []
        for _ in range(2):
            made = auditor(case, market)
            start = time.process_time()
            report = made.check("rank(close)")
            spent.append((time.process_time() - start) * 1e3)
        times.append(min(spent))
        if slow and times[-1] > slow:
            start = time.process_time()
            made.compute("rank(close)")
            own = (time.process_time() - start) * 1e3
            print(f"    {name}: {times[-1]:.0f} ms, {own:.0f} ms of them for one call of the function itself")
        if (report.verdict == "leak") != leaking:
            wrong.append(f"{name}: {report.verdict} {report.reason}")
    return wrong, times


def expressions(market: Any) -> tuple[list[str], list[float]]:
    """Clean expressions on the panel: the engine's own, and random ones."""
    rng = np.random.default_rng(0)
    texts = [*EXPRESSIONS, *(random_expression(rng, tuple(market.panel.columns), 4) for _ in range(RANDOM))]
    on_panel = ExpressionAuditor(market.panel)
    wrong, times = [], []
    for text in texts:
        start = time.process_time()
        report = on_panel.check(text)
        times.append((time.process_time() - start) * 1e3)
        if report.verdict != "clean":
            wrong.append(f"{text}: {report.verdict} {report.reason}")
    return wrong, times


def show(title: str, wrong: list[str], times: list[float], count: int) -> None:
    took = f"median {np.median(times):.0f} ms, worst {max(times):.0f} ms" if times else "before anything runs"
    print(f"{title:<44} {count - len(wrong):>4} of {count:<4} {took}")
    for line in wrong:
        print("    WRONG", line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=8760)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--slow", type=float, default=0.0, help="name the cases slower than this many milliseconds")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    warm_kernels()
    market = build_market(options.bars, options.symbols)
    print(f"{options.bars:,} bars x {options.symbols} symbols")
    missed, leak_times = audited(LEAKS, market, True, options.slow)
    show("leaking compute functions caught", missed, leak_times, len(LEAKS))
    accepted = [text for text in LEAKING_EXPRESSIONS if not refused(text)]
    show("leaking expressions refused", accepted, [], len(LEAKING_EXPRESSIONS))
    blamed, clean_times = audited(CLEAN, market, False, options.slow)
    show("clean compute functions passed", blamed, clean_times, len(CLEAN))
    wrong, times = expressions(market)
    show("clean expressions passed", wrong, times, len(times))
    return 1 if missed or accepted or blamed or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
