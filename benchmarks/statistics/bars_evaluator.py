"""Measure every bar of the evaluator and write the table.

    # all of it, about a quarter of an hour on two quiet cores
    python benchmarks/statistics/bars_evaluator.py
    # some of it; the other rows of the table stay as they are
    python benchmarks/statistics/bars_evaluator.py --only noise,speed

The table goes to demo_artifacts/BARS_EVALUATOR.md with the command behind each row, the figures to
demo_artifacts/bars_evaluator.json beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import sim_contract
import sim_lifetimes
from sim_contract import INDEX, Row, ar1, forward, world

from midas_engine.evaluator import AlphaEvaluator, MultiAgentEvaluator
from midas_engine.executor import ProcessExecutor

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benchmarks" / "speed"))
OUT = ROOT / "demo_artifacts"
STORE = OUT / "bars_evaluator.json"


def contract(seed: int) -> list[Row]:
    """Verdicts under changes of scale, and of a leak."""
    judge = MultiAgentEvaluator(AlphaEvaluator())
    rng, shocks, scale, labels = world(seed, "logar")
    feature = ar1(rng, 0.95, (len(INDEX),))
    returns = forward((0.04 * feature + shocks) * scale, (1, 4, 24))
    verdicts = []
    for change in (lambda x: x, lambda x: x * 0.001, lambda x: x * 1000.0, np.exp):
        v = judge.evaluate(pd.Series(change(feature), INDEX), returns, labels, trials=60)
        gates = [(g.name, g.passed, g.value) for a in v.verdicts for g in a.gates]
        verdicts.append((v.overall_pass, v.statistical_pass, v.evaluation.score_t, gates))
    same = all(v == verdicts[0] for v in verdicts)
    leak = judge.evaluate(returns["ret_1h"], returns, labels, trials=1)
    refused = not leak.overall_pass and not leak.statistical_pass and any("implausible" in s for s in leak.suggestions)
    return [
        ("verdict under x 0.001, x 1000, exp()", "identical to the last bit" if same else "differs", "identical", same),
        ("the forward return as its own feature", leak.suggestions[0].split(":")[0], "refused as implausible", refused),
    ]


def calibration() -> list[Row]:
    """`midas calibrate` on the bundled sample with its default budget: time, memory of all its processes, report."""
    import psutil

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "midas", "calibrate", "--data", "sample", "--kb", f"{folder}/kb", "--json"]
        command += ["--out", str(OUT / "calibration")]
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        most = [0]

        def watch() -> None:
            root = psutil.Process(process.pid)
            while process.poll() is None:
                try:
                    family = [root, *root.children(recursive=True)]
                    # Proportional: pages that workers share are counted once.
                    most[0] = max(most[0], sum(p.memory_full_info().pss for p in family))
                except psutil.Error:
                    pass
                time.sleep(0.25)

        watcher = threading.Thread(target=watch)
        watcher.start()
        text, _ = process.communicate()
        watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds, gib = time.perf_counter() - start, most[0] / 2**30
    return [
        (
            "`midas calibrate` on the sample, default budget",
            f"{seconds:.0f} s ({cpu:.0f} s of CPU, load {os.getloadavg()[1]:.0f})",
            "< 180 s on 2 cores",
            seconds < 180,
        ),
        ("its memory, all processes", f"{gib:.2f} GiB", "< 2 GB", most[0] < 2e9),
        ("what it says", json.loads(text)["headline"], "a sentence with intervals", process.returncode == 0),
    ]


def measure(only: set[str], seed: int) -> dict[str, list[tuple[str, list[Row]]]]:
    """Rows by part, each with its command."""
    here = "python benchmarks/statistics/"
    found: dict[str, list[tuple[str, list[Row]]]] = {}
    with ProcessExecutor(2) as pool:
        for name, run, worlds in (
            ("noise", sim_contract.noise, 20),
            ("recall", sim_contract.recall, 900),
            ("pvalues", sim_contract.pvalues, 40),
            ("panel", sim_contract.panel, 60),
        ):
            if name in only:
                found[name] = [
                    (f"{here}sim_contract.py {name} --seed {seed} --worlds {worlds}", run(pool, worlds, seed))
                ]
        if "lifetimes" in only:
            found["lifetimes"] = [(f"{here}sim_lifetimes.py --seed {seed}", sim_lifetimes.run(pool, 200, 30, 60, seed))]
    if "contract" in only:
        found["contract"] = [(f"{here}bars_evaluator.py --only contract --seed {seed}", contract(seed))]
    if "speed" in only:
        import bench_evaluator

        rows = bench_evaluator.series(100) + bench_evaluator.panel_assessment(20, True)
        found["speed"] = [("python benchmarks/speed/bench_evaluator.py", rows)]
    if "calibrate" in only:
        found["calibrate"] = [("midas calibrate --data sample", calibration())]
    return found


PARTS = ("noise", "lifetimes", "recall", "pvalues", "panel", "contract", "speed", "calibrate")


def write(store: dict[str, list[tuple[str, list[Row]]]]) -> None:
    """The table and the figures behind it."""
    OUT.mkdir(exist_ok=True)
    STORE.write_text(json.dumps(store, indent=1) + "\n", encoding="utf-8")
    lines = [
        "# The evaluator's bars, measured",
        "",
        "Written by `python benchmarks/statistics/bars_evaluator.py`.",
        "Worlds: 8,760 hourly bars, t(4) returns, AR(1) features,",
        "volatility-tercile regimes; volatility clusters as a log-AR(1) (`logar`), a GARCH(1,1) (`garch`) or in two",
        "states (`switch`). Everything goes through the public contract. Brackets are 90 % intervals.",
        "",
        "| bar | measured | asked | | command |",
        "| --- | --- | --- | --- | --- |",
    ]
    for part in PARTS:
        for command, rows in store.get(part, []):
            lines += [
                f"| {name} | {said} | {asked} | {'yes' if held else '**no**'} | `{command}` |"
                for name, said, asked, held in rows
            ]
    (OUT / "BARS_EVALUATOR.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas: " + ", ".join(PARTS))
    parser.add_argument("--seed", type=int, default=20_000)
    options = parser.parse_args()
    only = set(options.only.split(","))
    if only - set(PARTS):
        parser.error(f"no part {', '.join(sorted(only - set(PARTS)))}")
    found = measure(only, options.seed)
    # Read late: another run may have written other parts meanwhile.
    store = json.loads(STORE.read_text(encoding="utf-8")) if STORE.is_file() else {}
    write(store | found)


if __name__ == "__main__":
    main()
