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
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.campaign import Campaign, CampaignPlan, base_digest
from midas_engine.campaign.assessor import CampaignAssessor
from midas_engine.clock import ManualClock
from midas_engine.settings import EvaluationSettings, ExecutorSettings, Settings
from midas_engine.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """A tiny campaign that accepts one feature."""
    goal = "funding carry" if number == 0 else "reversal after volume shocks"
    return CampaignPlan(
        "drill", (goal,), 60, horizons=(1 + number // 2,), seed=number, screened=50, iterations=1, each=2
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
    folder: Path,
    number: int,
    kind: str,
    workers: int,
    reaper: Reaper | None = None,
    kept: Kept | None = None,
    tell: Callable[[object], None] = lambda event: None,
) -> None:
    """One campaign in this process; where it was begun before, it goes on."""
    workspace = Workspace(settings_of(folder, number, kind, workers), clock=ManualClock(START))
    try:
        campaign = Campaign(workspace, plan_of(number), panel=panel(), tell=tell if reaper is None else reaper.heard)
        if kept is not None:
            campaign._assessor, kept._met, kept._turns = kept, campaign._counted, None  # another event loop
        if reaper is not None:
            reaper.watch(campaign)
        asyncio.run(campaign.run())
    finally:
        if reaper is not None:
            reaper.stop()
        workspace.close()


class Reaper:
    """Kills random workers of a campaign, each a random moment after an event that was drawn beforehand.

    Events and not seconds say when: on a machine that others use too, as many die as on a quiet one.
    """

    def __init__(self, rng: random.Random, events: int, most: int) -> None:
        self._rng, self._last = rng, events
        self._due = sorted(rng.randrange(max(1, events - 1)) for _ in range(most))
        self._seen = 0
        self._campaign: Campaign | None = None
        self._timers: list[threading.Timer] = []
        self.killed = 0

    def watch(self, campaign: Campaign) -> None:
        """Begin."""
        self._campaign = campaign

    def heard(self, event: object) -> None:
        """An event of the campaign; where workers are not there yet the next one counts."""
        self._seen += 1
        if self._due and self._seen > self._due[0] and workers_of(self._campaign):
            self._due.pop(0)
            timer = threading.Timer(self._rng.uniform(0.0, 0.2), self._kill)
            timer.daemon = True
            timer.start()
            self._timers.append(timer)

    def _kill(self) -> None:
        alive = workers_of(self._campaign)
        if alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._rng.choice(alive), signal.SIGKILL)
                self.killed += 1

    def stop(self) -> None:
        """End; one that is due waits for nobody."""
        for timer in self._timers:
            timer.cancel()
            timer.join()


def workers_of(campaign: Campaign | None) -> list[int]:
    assessor = None if campaign is None else campaign._assessor
    pool = None if assessor is None else assessor._pool
    return list(getattr(pool, "processes", ()))


def killed_writer(number: int, kind: str, workers: int, rng: random.Random, folder: Path, events: int) -> int:
    """One campaign whose process is killed once or twice, each a random moment after a random event; how often."""
    deaths = 0
    command = [sys.executable, __file__, "--one", str(folder), str(number), kind, str(workers)]
    for last in (False,) * (1 + (rng.random() < 0.3)) + (True,):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        due = rng.randrange(events)  # what it says again after a death is no event, so a late one may not come
        for seen, _ in enumerate(process.stdout):
            if not last and seen == due:
                time.sleep(rng.uniform(0.0, 0.2))
                process.kill()
                break
        process.stdout.close()
        code = process.wait()
        if code == -signal.SIGKILL:
            deaths += 1
        elif code != 0:
            raise SystemExit(f"a campaign ended with {code}")
        else:
            return deaths
    return deaths


@dataclass(slots=True)
class Block:
    """What one block of campaigns came to; a line of the file of `--out`."""

    block: int
    label: str
    campaigns: int = 0
    deaths: int = 0
    different: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Reference:
    """What a plan concludes when nobody dies, and how many events that takes."""

    digest: dict[str, str]
    events: int


def reference(number: int, folder: Path) -> Reference:
    """One thread of one process."""
    seen: list[object] = []
    run_here(folder, number, "processes", 0, tell=seen.append)
    return Reference(base_digest(folder), len(seen))


def run_block(block: int, options: argparse.Namespace, most: int, wanted: dict[int, Reference]) -> Block:
    """One block; what is drawn in it depends on the seed and its number alone."""
    rng = random.Random(f"{options.seed} {block}")
    number, kind = rng.randrange(PLANS), KINDS[rng.random() < options.dask]
    whole, workers = rng.random() < options.whole, rng.choice((1, 2, 4) if kind == "processes" else (1, 2))
    told = Block(block, f"{workers} {kind}" + (", the writer killed" if whole else ""))
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        if number not in wanted:
            wanted[number] = reference(number, root / "reference")
        right = wanted[number]
        kept = (
            None if whole else Kept(panel(), settings_of(root / "none", number, kind, workers), lambda kind, met: None)
        )
        for k in range(min(most, options.block)):
            if kept is None:
                dead = killed_writer(number, kind, workers, rng, root / str(k), right.events)
            else:
                reaper = Reaper(rng, right.events, 1 + (rng.random() < 0.25))
                run_here(root / str(k), number, kind, workers, reaper, kept)
                dead = reaper.killed
            found = base_digest(root / str(k))
            told.campaigns += 1
            told.deaths += dead
            if found != right.digest:
                names = sorted(n for n in {*found, *right.digest} if found.get(n) != right.digest.get(n))
                told.different.append(f"plan {number}, {told.label}, {dead} deaths: {', '.join(names)}")
                print(told.different[-1], flush=True)
                if options.keep:
                    shutil.copytree(root / str(k), Path(options.keep) / f"{block}-{k}", dirs_exist_ok=True)
        if kept is not None:
            asyncio.run(kept.stop())
    return told


def known_blocks(path: Path | None) -> list[Block]:
    """The blocks of an earlier run that are on file; a line that was cut short is done again."""
    found = []
    if path is not None and path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError, TypeError):
                found.append(Block(**json.loads(line)))
    return found


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
        help="share of the blocks whose writer is killed",
    )
    parser.add_argument("--block", type=int, default=10, help="campaigns after which fresh workers are taken")
    parser.add_argument("--out", default="", help="file of what is done, a line a block; it goes on there")
    parser.add_argument("--keep", default="", help="folder for the bases that differ")
    parser.add_argument("--one", nargs=4, metavar=("FOLDER", "PLAN", "KIND", "WORKERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        folder, number, kind, workers = options.one
        run_here(
            Path(folder), int(number), kind, int(workers), tell=lambda event: print(type(event).__name__, flush=True)
        )
        return
    begun, wanted = time.monotonic(), dict[int, Reference]()
    out = Path(options.out) if options.out else None
    blocks = known_blocks(out)
    number = 1 + max((b.block for b in blocks), default=-1)
    while (done := sum(b.campaigns for b in blocks)) < options.campaigns:
        if options.minutes and time.monotonic() - begun > 60 * options.minutes:
            break
        blocks.append(run_block(number, options, options.campaigns - done, wanted))
        number += 1
        if out is not None:
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(blocks[-1])) + "\n")
        print(
            f"{sum(b.campaigns for b in blocks)} campaigns, {sum(b.deaths for b in blocks)} deaths, "
            f"{sum(len(b.different) for b in blocks)} differ, {time.monotonic() - begun:.0f} s",
            flush=True,
        )
    total, different = sum(b.campaigns for b in blocks), sum(len(b.different) for b in blocks)
    print(f"\n{total} campaigns, {sum(b.deaths for b in blocks)} deaths, seed {options.seed}")
    for label in sorted({b.label for b in blocks}):
        same = [b for b in blocks if b.label == label]
        print(f"  {label}: {sum(b.campaigns for b in same)} campaigns, {sum(b.deaths for b in same)} deaths")
    for plan, right in sorted(wanted.items()):
        print(f"  plan {plan}: digest {right.digest['whole']}")
    print(f"identical: {total - different} of {total}")
    if different:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
