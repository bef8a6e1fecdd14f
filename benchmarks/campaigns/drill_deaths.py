"""Campaigns whose workers, or whose whole process, are killed at random: every one must conclude the same to the byte.

Each campaign is one of a few tiny plans on a made-up market. What it must conclude is that of one run in a thread of
one process, in which nobody dies. It then runs with 1, 2 or 4 workers, in processes or on a local Dask cluster, while
somebody kills random workers (SIGKILL), or the process that writes, which is then started again. Ledger, verdicts and
documents are compared by their hashes, byte for byte; the clock is injected. Workers stay from campaign to campaign of
a block, so that the time goes into deaths rather than into starts.

    python benchmarks/campaigns/drill_deaths.py --campaigns 500 --seed 1
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.campaign import Campaign, CampaignPlan, base_digest
from midas_engine.campaign.assessor import CampaignAssessor
from midas_engine.clock import ManualClock
from midas_engine.executor import ProcessExecutor
from midas_engine.settings import EvaluationSettings, ExecutorSettings, Settings
from midas_engine.workspace import Workspace

if TYPE_CHECKING:
    from midas_engine.market import Panel

PLANS = 4
START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ("processes", "dask")


@cache
def panel() -> Panel:
    """The market; not made where a worker imports this file, which would be most of what a death costs."""
    from midas_engine.market import SyntheticMarket

    return SyntheticMarket(5, bars=2400, symbols=12).panel()


def plan_of(number: int) -> CampaignPlan:
    """A tiny campaign; the first accepts something, the others meet noise."""
    goal = "funding carry" if number == 0 else "reversal after volume shocks"
    return CampaignPlan(
        "drill", (goal,), 120, horizons=(1 + number // 2,), seed=number, screened=100, iterations=1, each=2
    )


class Kept(CampaignAssessor):
    """Workers that stay for the next campaign of a block: what is drilled is deaths, not starts."""

    async def end(self) -> None:
        """See `stop`."""

    async def stop(self) -> None:
        """The end of the block."""
        await super().end()


def settings_of(folder: Path, number: int, kind: str, workers: int) -> Settings:
    """Of a campaign, and of the workers of its block."""
    target = plan_of(number).horizons[0]
    return Settings(
        kb=str(folder),
        seed=plan_of(number).seed,
        evaluation=EvaluationSettings(workers=workers, candidate_seconds=600.0, target=target),
        executor=ExecutorSettings(kind=kind),
    )


def run_here(
    folder: Path, number: int, kind: str, workers: int, reaper: Reaper | None = None, kept: Kept | None = None
) -> None:
    """One campaign in this process; where it was begun before, it goes on."""
    workspace = Workspace(settings_of(folder, number, kind, workers), clock=ManualClock(START))
    try:
        campaign = Campaign(workspace, plan_of(number), panel=panel())
        if kept is not None:
            campaign._assessor, kept._met, kept._turns = kept, campaign._counted, None  # another event loop
        if reaper is not None:
            reaper.watch(campaign)
        asyncio.run(campaign.run())
    finally:
        if reaper is not None:
            reaper.stop()
        workspace.close()


class Reaper(threading.Thread):
    """Kills a random worker of a campaign, again and again, at random moments."""

    def __init__(self, rng: random.Random, most: int) -> None:
        super().__init__(daemon=True)
        self._rng, self._most, self._over = rng, most, threading.Event()
        self._campaign: Campaign | None = None
        self.killed = 0

    def watch(self, campaign: Campaign) -> None:
        """Begin."""
        self._campaign = campaign
        self.start()

    def stop(self) -> None:
        """End."""
        self._over.set()

    def run(self) -> None:
        """The thread's own."""
        while self.killed < self._most and not self._over.wait(self._rng.uniform(0.05, 0.9)):
            alive = workers_of(self._campaign)
            if alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._rng.choice(alive), signal.SIGKILL)
                    self.killed += 1


def workers_of(campaign: Campaign | None) -> list[int]:
    assessor = None if campaign is None else campaign._assessor
    pool = None if assessor is None else assessor._pool
    if isinstance(pool, ProcessExecutor):
        return list(pool.processes)
    return list(getattr(pool, "processes", ()))


def killed_writer(number: int, kind: str, workers: int, rng: random.Random, folder: Path) -> int:
    """One campaign whose process is killed, up to three times; returns how often."""
    deaths = 0
    command = [sys.executable, __file__, "--one", str(folder), str(number), kind, str(workers)]
    while True:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            process.wait(rng.uniform(2.0, 9.0) if deaths < 3 else None)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            deaths += 1
            continue
        if process.returncode != 0:
            raise SystemExit(f"a campaign ended with {process.returncode}")
        return deaths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--campaigns", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so long; 0: never")
    parser.add_argument("--dask", type=float, default=0.1, help="share of the blocks that runs on a local Dask cluster")
    parser.add_argument(
        "--whole",
        type=float,
        default=0.3,
        help="share of blocks, of one campaign, whose writer is killed",
    )
    parser.add_argument("--block", type=int, default=20, help="campaigns after which fresh workers are taken")
    parser.add_argument("--one", nargs=4, metavar=("FOLDER", "PLAN", "KIND", "WORKERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        folder, number, kind, workers = options.one
        run_here(Path(folder), int(number), kind, int(workers))
        return
    rng, begun = random.Random(options.seed), time.monotonic()
    wanted: dict[int, dict[str, str]] = {}
    runs, deaths = Counter[str](), Counter[str]()
    different: list[str] = []
    while (done := sum(runs.values())) < options.campaigns:
        if options.minutes and time.monotonic() - begun > 60 * options.minutes:
            break
        number, kind = rng.randrange(PLANS), KINDS[rng.random() < options.dask]
        whole, workers = rng.random() < options.whole, rng.choice((1, 2, 4) if kind == "processes" else (1, 2))
        label = f"{workers} {kind}" + (", the writer killed" if whole else "")
        with tempfile.TemporaryDirectory() as place:
            root = Path(place)
            if number not in wanted:
                run_here(root / "reference", number, "processes", 0)
                wanted[number] = base_digest(root / "reference")
            kept = None if whole else Kept(panel(), settings_of(root / "none", number, kind, workers), lambda met: None)
            for k in range(1 if kept is None else min(options.block, options.campaigns - done)):
                if kept is None:
                    dead = killed_writer(number, kind, workers, rng, root / str(k))
                else:
                    reaper = Reaper(rng, 1 + (rng.random() < 0.25))  # a death costs more than a campaign does
                    run_here(root / str(k), number, kind, workers, reaper, kept)
                    dead = reaper.killed
                found = base_digest(root / str(k))
                runs[label] += 1
                deaths[label] += dead
                if found != wanted[number]:
                    names = sorted(n for n in {*found, *wanted[number]} if found.get(n) != wanted[number].get(n))
                    different.append(f"plan {number}, {label}, {dead} deaths: {', '.join(names)}")
                    print(different[-1], flush=True)
            if kept is not None:
                asyncio.run(kept.stop())
        print(
            f"{sum(runs.values())} campaigns, {sum(deaths.values())} deaths, {len(different)} differ, "
            f"{time.monotonic() - begun:.0f} s",
            flush=True,
        )
    total = sum(runs.values())
    print(
        f"\n{total} campaigns in {time.monotonic() - begun:.0f} s, {sum(deaths.values())} deaths, seed {options.seed}"
    )
    for label in sorted(runs):
        print(f"  {label}: {runs[label]} campaigns, {deaths[label]} deaths")
    for number, digest in sorted(wanted.items()):
        print(f"  plan {number}: digest {digest['whole']}")
    print(f"identical: {total - len(different)} of {total}")
    if different:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
