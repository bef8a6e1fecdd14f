"""What grows how: the executor's overhead, a campaign's cost per candidate, a worker's time and memory by panel.

    python benchmarks/campaigns/bench_growth.py executor     overhead a task; two workers against one; Dask against both
    python benchmarks/campaigns/bench_growth.py campaign     CPU a candidate at 1,000 and at 10,000; the first verdict
    python benchmarks/campaigns/bench_growth.py panel        CPU and memory of a worker by symbols and bars

CPU is that of the process and its children, so that a machine that others use too says the same; what is measured by
the wall (overhead, speed-up, the first verdict) comes with the load average beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import re
import resource
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.campaign import Campaign, CampaignPlan
from midas_engine.campaign.progress import Pace
from midas_engine.dsl.spelling import spelled
from midas_engine.evaluator import DEFAULT_THRESHOLDS
from midas_engine.executor import DaskExecutor, ProcessExecutor, Workshop
from midas_engine.loops.config import FAMILY_SLOTS
from midas_engine.loops.worker import PanelJudge, open_judge
from midas_engine.market import Panel, SyntheticMarket
from midas_engine.market.shared_panel import SharedPanel
from midas_engine.proposer import Proposal
from midas_engine.search.grammar import Grammar
from midas_engine.settings import EvaluationSettings, Settings
from midas_engine.workspace import Workspace

if TYPE_CHECKING:
    from midas_engine.executor import TaskExecutor


def nothing(number: int) -> int:
    return number


def wait(seconds: float) -> None:
    time.sleep(seconds)


def count(rounds: int) -> float:
    """Work of about half a second of CPU; returns the CPU it took."""
    begun, values = time.process_time(), np.random.default_rng(1).normal(size=50_000)
    for _ in range(rounds):
        np.sort(values)
    return time.process_time() - begun


def cpu() -> float:
    own, children = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def wall(executor: TaskExecutor, function: Any, given: list[Any]) -> tuple[float, list[Any]]:
    begun = time.monotonic()
    found = list(executor.map(function, given))
    return time.monotonic() - begun, found


def measure_executor(tasks: int, busy: bool, repeats: int) -> None:
    """Tasks that wait measure the executor alone; tasks that compute say something only where nobody else does.

    Warm pools, asked in turn, round after round, so that what others do on the machine meets all of them. Beside the
    time by the clock stands processor time: that of the workers while they had a task, and of this process.
    """
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the start")
    rounds = max(1, round(0.5 / (count(100) / 100)))
    kinds = {"waits": (wait, 0.5)} | ({"CPU": (count, rounds)} if busy else {})
    made = {("processes", 1): ProcessExecutor, ("processes", 2): ProcessExecutor, ("dask", 2): DaskExecutor}
    walls: dict[tuple[str, tuple[str, int]], list[float]] = {}
    spent: dict[tuple[str, int], list[float]] = {}
    with ExitStack() as stack:
        pools = {key: stack.enter_context(make(key[1])) for key, make in made.items()}
        for key, pool in pools.items():
            wall(pool, wait, [0.3] * (2 * key[1]))  # warm
            one = min(wall(pool, nothing, [0] * 200)[0] / 200 for _ in range(3))
            print(f"{key[0]}, {key[1]} workers: {1e3 * one:.2f} ms a task that does nothing", flush=True)
        for _ in range(repeats):
            for kind, (function, given) in kinds.items():
                for key, pool in pools.items():
                    own = time.process_time()
                    seconds, found = wall(pool, function, [given] * tasks)
                    walls.setdefault((kind, key), []).append(seconds)
                    if kind == "CPU":
                        spent.setdefault(key, []).append(sum(found) + time.process_time() - own)
    single, two, dask = made
    for kind in kinds:
        for what, over, under in (("two processes over one", single, two), ("Dask over two processes", two, dask)):
            print(f"{kind}: {what} {told_ratio(walls[kind, over], walls[kind, under])}")
    if busy:
        print(f"processor time of a task, two processes over Dask {told_ratio(spent[two], spent[dask])}")
    print(f"load {os.getloadavg()[0]:.1f} at the end")


def told_ratio(over: list[float], under: list[float]) -> str:
    """Median of the ratios round by round, and least and greatest: of five rounds they hold the median at 94 %."""
    ratios = sorted(a / b for a, b in zip(over, under, strict=True))
    return f"{np.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}, {len(ratios)} rounds)"


class Kinds(Pace):
    """A pace that adds up processor time by what was done: a session begins, screens, tries."""

    def __init__(self) -> None:
        super().__init__()
        self.cpu, self.count, self._last = dict[str, float](), dict[str, int](), cpu()

    def took(self, kind: str, met: int, seconds: float, *, first: bool = False) -> None:
        """See `Pace.took`; the first of a kind in its session pays for the beginning, and is counted there."""
        now, key = cpu(), f"beginning to be {kind}" if first else kind
        self.cpu[key] = self.cpu.get(key, 0.0) + now - self._last
        self.count[key] = self.count.get(key, 0) + (1 if first else met)
        self._last = now


def measure_campaign(sizes: tuple[int, ...], seed: int, repeats: int) -> None:
    """Sizes in turn, round after round. What is paid once a campaign is told apart from what each candidate costs."""
    panel = SyntheticMarket(seed, bars=2400, symbols=12).panel()
    spent: dict[int, list[float]] = {size: [] for size in sizes}
    met: dict[int, int] = {}
    kinds: dict[int, list[Kinds]] = {size: [] for size in sizes}
    for size in (min(sizes), *sizes * repeats):  # the first one warms what is compiled, and is not counted
        settings = Settings(evaluation=EvaluationSettings(workers=0))
        plan = CampaignPlan("growth", ("anything that predicts",), size, seed=seed)
        with tempfile.TemporaryDirectory() as folder:
            workspace = Workspace(dataclasses.replace(settings, kb=f"{folder}/kb"))
            with closing(workspace):
                campaign = Campaign(workspace, plan, panel=panel)
                campaign._pace = pace = Kinds()
                begun, load = cpu(), os.getloadavg()[0]
                state = asyncio.run(campaign.run())
                seconds = cpu() - begun
        if not met:
            met[0] = 0
            continue
        met[size] = state.spent
        spent[size].append(seconds)
        kinds[size].append(pace)
        print(
            f"{size:,} candidates: {state.spent:,} met a return in {len(state.done)} sessions; "
            f"{1e3 * seconds / state.spent:.2f} ms of CPU a candidate; first verdict {campaign.first_verdict:.1f} s, "
            f"load {load:.0f}",
            flush=True,
        )
    small, large = min(sizes), max(sizes)
    each = {size: [1e3 * seconds / met[size] for seconds in spent[size]] for size in (small, large)}
    for size, costs in each.items():
        print(f"{size:,}: median {np.median(costs):.2f} ms a candidate ({min(costs):.2f} to {max(costs):.2f})")
    print(f"a candidate at {large:,} over one at {small:,}: {told_ratio(each[large], each[small])}")
    for kind in kinds[small][0].cpu:
        cost = {size: [1e3 * k.cpu[kind] / k.count[kind] for k in kinds[size]] for size in (small, large)}
        words = " against ".join(f"{np.median(cost[size]):.2f} ms at {size:,}" for size in (large, small))
        print(f"{kind}: {words}: {told_ratio(cost[large], cost[small])}")
    more = [(b - a) / (met[large] - met[small]) for a, b in zip(spent[small], spent[large], strict=True)]
    once = [a - met[small] * m for a, m in zip(spent[small], more, strict=True)]
    print(f"each one beyond {small:,}: {1e3 * np.median(more):.2f} ms; paid once a campaign: {np.median(once):.2f} s")


def own_memory(judge: PanelJudge) -> tuple[float, float]:
    """Peak of the resident megabytes of this process, and those now that are its own, no file's."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    peak, own = (float(re.search(rf"{name}:\s+(\d+) kB", text)[1]) / 1e3 for name in ("VmHWM", "RssAnon"))  # type: ignore[index]
    return peak, own


def timed(judge: PanelJudge, texts: list[str]) -> tuple[float, float]:
    """CPU seconds a screened expression and a judged one; then all that a session may ask, for the memory."""
    judge.screened(texts[:3])
    judge.judge(Proposal("warm", texts[0]), "research", 10, DEFAULT_THRESHOLDS)
    begun = time.process_time()
    judge.screened(texts)
    middle = time.process_time()
    for k, text in enumerate(texts[:5]):
        judge.judge(Proposal(f"f{k}", text), "research", 10, DEFAULT_THRESHOLDS)
    judged = (time.process_time() - middle) / 5
    for _ in range(3):  # the rest of a session, until what may be kept is there
        for text in texts[:5]:
            judge.judge(Proposal("again", text), "research", 10, DEFAULT_THRESHOLDS)
    judge.family(texts[:FAMILY_SLOTS], 0.05)
    for part in ("research", "sealed", "research"):
        judge.judge(Proposal("last", texts[0]), part, 10, DEFAULT_THRESHOLDS)
    return (middle - begun) / len(texts), judged


def measure_panel(shapes: list[tuple[int, int]], seed: int) -> None:
    print("| symbols | bars | panel, MB | CPU a screened, ms | CPU a judged, ms | peak of a worker, MB | its own, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for symbols, bars in shapes:
        panel: Panel = SyntheticMarket(seed, bars=bars, symbols=symbols).panel()
        grammar = Grammar(np.random.default_rng(seed), panel.columns, True, 168)
        texts = list(dict.fromkeys(spelled(grammar.tree()) for _ in range(60)))[:20]
        size = panel.T * panel.S * len(panel.fields) * 8 / 1e6
        with tempfile.TemporaryDirectory() as folder:
            shared = SharedPanel.write(panel, Path(folder))
            del panel
            with ProcessExecutor(1, Workshop(open_judge, (shared, Settings(), {}))) as executor:
                screened, judged = executor.submit(timed, texts).result()
                peak, own = executor.submit(own_memory).result()
        print(
            f"| {symbols} | {bars:,} | {size:,.0f} | {1e3 * screened:.0f} | {1e3 * judged:.0f} | {peak:,.0f} "
            f"| {own:,.0f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="What grows how.")
    parser.add_argument("what", choices=("executor", "campaign", "panel"))
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=12)
    parser.add_argument("--busy", action="store_true", help="of executor: tasks of 0.5 s of CPU too; a quiet machine")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument(
        "--shapes",
        nargs="+",
        default=["50x8760", "100x8760", "200x2190", "200x4380", "200x8760"],
        metavar="SYMBOLSxBARS",
    )
    options = parser.parse_args()
    if options.what == "executor":
        measure_executor(options.tasks, options.busy, options.repeats)
    elif options.what == "campaign":
        measure_campaign(tuple(options.sizes), options.seed, options.repeats)
    else:
        shapes = [tuple(int(n) for n in shape.split("x")) for shape in options.shapes]
        measure_panel([(s, b) for s, b in shapes], options.seed)


if __name__ == "__main__":
    main()
