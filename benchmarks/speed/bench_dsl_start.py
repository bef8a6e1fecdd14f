"""A fresh process with a warm kernel cache, from start to first verdict.

Run: `python benchmarks/speed/bench_dsl_start.py`.
`midas evaluate` in a process of its own, the better of several; beside it
what importing numpy and pandas alone takes on the same machine in the same minutes. CPU seconds are judged: one thread
does the work, so on a quiet machine the clock says the same.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

from dsl_workload import Row

TRIES = 5
EXPRESSION = "cs_rank(-delta(close, 4))"
COMMANDS = {
    "evaluate": ["-m", "midas", "evaluate", EXPRESSION, "--data", "sample", "--json"],
    "help": ["-m", "midas", "--help"],
    "language": ["-m", "midas", "dsl", "explain", EXPRESSION],
    "numpy": ["-c", "import numpy"],
    "pandas": ["-c", "import pandas"],
}

# As a user's: what was imported once is kept compiled, whatever this process was told.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
# One thread: the CPU seconds of libraries that spin up pools say nothing about waiting.
ENVIRONMENT["OMP_NUM_THREADS"] = "1"


def spent(arguments: list[str]) -> tuple[float, float]:
    """(wall, CPU) seconds of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=ENVIRONMENT)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rows() -> list[Row]:
    subprocess.run([sys.executable, "-m", "midas", "warmup"], check=True, capture_output=True)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(TRIES):
        for name, arguments in COMMANDS.items():
            times[name].append(spent(arguments))
    wall = {name: min(w for w, _ in values) for name, values in times.items()}
    cpu = {name: min(c for _, c in values) for name, values in times.items()}
    first, pandas = cpu["evaluate"], cpu["pandas"]
    return [
        Row(
            "fresh process, cached kernels, to the first verdict (sample data), CPU",
            f"{first:.2f} s ({first / pandas:.1f} x importing pandas; by the clock {wall['evaluate']:.2f} s where "
            f"importing pandas took {wall['pandas']:.2f})",
            "at most 1.2 s",
            first <= 1.2,
        ),
        Row(
            "command-line help against importing numpy",
            f"{wall['help'] / wall['numpy']:.2f} x ({wall['help']:.2f} s)",
            "at most 1.5 x",
            wall["help"] <= 1.5 * wall["numpy"],
        ),
        Row("`midas dsl explain`, fresh process", f"{wall['language']:.2f} s"),
    ]


if __name__ == "__main__":
    for row in rows():
        print(row)
