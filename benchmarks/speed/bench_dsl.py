"""Every bar of the expression language, measured in one run, as one table.

Run: `python benchmarks/speed/bench_dsl.py [--rounds 3] [--only panel,stream] [--page BENCHMARKS_DSL.md]`.
Contenders are interleaved and their results compared; ratios, not milliseconds, are what a table like this can carry
to another machine. Exits 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dsl_workload import Row

PARTS = {
    "expressions": "bench_dsl_expressions",
    "operators": "bench_dsl_operators",
    "accuracy": "bench_dsl_accuracy",
    "sharing": "bench_dsl_sharing",
    "stream": "bench_stream",
    "memory": "bench_dsl_memory",
    "start": "bench_dsl_start",
}
LIBRARIES = ("numpy", "numba", "pandas", "bottleneck", "polars", "numbagg", "KunQuant")
HEAD = """# The expression language, measured

Peers run in the same process and the same minutes as Midas, interleaved, on the same data, and their results are
compared cell by cell (ratios are CPU time on one thread; above 1 Midas is faster). Data: hourly or minute bars with
0.2 % holes, a third of the symbols listed late, a quarter with a gap.

| what | measured | goal | |
| --- | --- | --- | --- |
"""


def line(row: Row) -> str:
    mark = {True: "passed", False: "**missed**", None: ""}[row.passed]
    return f"| {row.what} | {row.figure} | {row.goal} | {mark} |"


def page(rows: list[Row]) -> str:
    used = []
    for name in LIBRARIES:
        try:
            used.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    foot = f"\nMade by `python benchmarks/speed/bench_dsl.py` with {', '.join(used)}.\n"
    return HEAD + "\n".join(map(line, rows)) + "\n" + foot


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, by comma")
    parser.add_argument("--rows", type=Path, help="keep the rows of each part here; parts not run now are read from it")
    parser.add_argument("--page", type=Path, help="write the table here too")
    options = parser.parse_args()
    known: dict[str, list[dict[str, object]]] = {}
    if options.rows and options.rows.exists():
        known = json.loads(options.rows.read_text(encoding="utf-8"))
    for part in options.only.split(","):
        module = import_module(PARTS[part])
        measured = module.rows(options.rounds) if part == "expressions" else module.rows()
        known[part] = [asdict(row) for row in measured]
        print(f"\n== {part}")
        print("\n".join(map(line, measured)), flush=True)
    rows = [Row(**row) for part in PARTS for row in known.get(part, [])]  # type: ignore[arg-type]
    if options.rows:
        options.rows.write_text(json.dumps(known, indent=1), encoding="utf-8")
    if options.page:
        options.page.write_text(page(rows), encoding="utf-8")
    print("\n" + page(rows))
    return 1 if any(row.passed is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
