"""The end of a campaign as it is predicted on the way, against its end: recorded once at real speed, judged offline.

    python benchmarks/campaigns/bench_eta.py record --seeds 301-312 --out traces   campaigns of many shapes
    python benchmarks/campaigns/bench_eta.py judge traces/*.json                   what was said on the way

By the clock, and in processor time of the campaign and its workers: a clock that stands while others have the
processors, for nobody foresees what they will do. An error is (predicted end - end) / end. What each campaign is (bars,
symbols, workers, goals, horizons, candidates) is drawn by its seed; a trace holds what the pace was told and asked, so
that another way to predict is judged on the same.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from midas_engine.campaign import Campaign, CampaignPlan
from midas_engine.campaign.progress import SCREENED, TRIED, Left, Pace
from midas_engine.clock import WallClock
from midas_engine.market import SyntheticMarket
from midas_engine.settings import EvaluationSettings, Settings
from midas_engine.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

GOALS = ("funding carry", "reversal after volume shocks", "momentum of majors")
SHARES = (0.1, 0.25, 0.5, 0.75)


@dataclass(slots=True)
class Mean:
    """As it was before: the mean of all that was seen of a kind, said once a few were seen."""

    seen: dict[str, list[float]] = field(default_factory=lambda: {SCREENED: [0.0] * 4, TRIED: [0.0] * 4})
    met: int = 0

    def took(self, kind: str, met: int, seconds: float, *, first: bool = False) -> None:
        """See `Pace.took`."""
        start, self.met = not self.met, self.met + met
        if not start:
            at = 2 if first else 0
            self.seen[kind][at] += 1 if first else met
            self.seen[kind][at + 1] += seconds

    def left(self, screened: tuple[int, int], tried: tuple[int, int]) -> Left | None:
        """See `Pace.left`."""
        likely = 0.0
        for kind, (count, sessions), enough in ((SCREENED, screened, 50), (TRIED, tried, 5)):
            met, seconds, begun, begun_seconds = self.seen[kind]
            if count > 0 and met < enough:
                return None
            likely += count * seconds / met + sessions * begun_seconds / max(1.0, begun) if count > 0 else 0.0
        return Left(likely, likely, likely)


@dataclass(slots=True)
class Recorder(Pace):
    """A pace that keeps what it is told and asked."""

    campaign: Campaign | None = None
    rows: list[list[Any]] = field(default_factory=list)
    spent: dict[int, float] = field(default_factory=dict)

    def cpu(self) -> float:
        """Processor time of this process and of every worker that lives or lived."""
        pool = None if self.campaign is None or self.campaign._assessor is None else self.campaign._assessor._pool
        for number in (os.getpid(), *getattr(pool, "processes", ())):
            with contextlib.suppress(psutil.Error):
                times = psutil.Process(number).cpu_times()
                self.spent[number] = times.user + times.system
        return sum(self.spent.values())

    def took(self, kind: str, met: int, seconds: float, *, first: bool = False) -> None:
        """See `Pace.took`."""
        Pace.took(self, kind, met, seconds, first=first)
        self.rows.append([kind, met, seconds, self.cpu(), first])

    def left(self, screened: tuple[int, int], tried: tuple[int, int]) -> Left | None:
        """See `Pace.left`."""
        self.rows[-1] += [screened, tried]
        return Pace.left(self, screened, tried)


def drawn(seed: int) -> tuple[CampaignPlan, int, int, int]:
    """A campaign of this seed, with bars, symbols and workers."""
    rng = np.random.default_rng(seed)
    horizons = ((1,), (1,), (1, 24), (1, 4))[rng.integers(4)]
    screened = int(rng.integers(4, 14)) * 100
    candidates = int(screened * len(horizons) * rng.integers(2, 5))
    plan = CampaignPlan(
        "eta", GOALS[: int(rng.integers(1, 4))], candidates, horizons=horizons, seed=seed, screened=screened
    )
    return plan, int(rng.integers(20, 45)) * 100, int(rng.integers(12, 26)), int(rng.choice([1, 2, 2]))


def record(seed: int, out: Path) -> None:
    plan, bars, symbols, workers = drawn(seed)
    panel, clock, pace = SyntheticMarket(seed, bars=bars, symbols=symbols).panel(), WallClock(), Recorder()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Settings(kb=f"{folder}/kb", evaluation=EvaluationSettings(workers=workers)))
        begun = clock.monotonic()
        campaign = Campaign(workspace, plan, panel=panel)
        campaign._pace, pace.campaign, before = pace, campaign, pace.cpu()
        state = asyncio.run(campaign.run())
        took = clock.monotonic() - begun
        workspace.close()
    cpu = [0.0, *(row[3] - before for row in pace.rows)]
    for row, now, last in zip(pace.rows, cpu[1:], cpu, strict=False):
        row[3] = now - last
    load = os.getloadavg()[0]
    shape = f"{plan.candidates} candidates, {len(plan.legs)} sessions, {bars} x {symbols}, {workers} workers"
    print(f"seed {seed}: {shape}: {took:.0f} s, {state.spent} met, load {load:.1f}", flush=True)
    body = {"seed": seed, "shape": shape, "took": took, "cpu": cpu[-1], "load": load, "rows": pace.rows}
    (out / f"eta-{seed}.json").write_text(json.dumps(body))


def replay(trace: dict[str, Any], make: Callable[[], Pace | Mean], clock: str) -> list[tuple[float, Left | None]]:
    """What `make` would have said, and when."""
    pace, at, said = make(), 0.0, []
    for kind, met, wall, cpu, first, screened, tried in trace["rows"]:
        seconds = cpu if clock == "cpu" else wall
        at += seconds
        pace.took(kind, met, seconds, first=first)
        said.append((at, pace.left(tuple(screened), tuple(tried))))
    return said


def judge(paths: list[Path]) -> None:
    traces = [json.loads(path.read_text()) for path in paths]
    for clock, words in (("took", "by the clock"), ("cpu", "in processor time")):
        for name, make in (("the mean of all", Mean), ("as it is", Pace)):
            inside = list[bool]()
            for share in SHARES:
                errors = list[float]()
                for trace in traces:
                    end = trace[clock]
                    before = [s for s in replay(trace, make, clock) if s[0] <= share * end]
                    if before and (left := before[-1][1]) is not None:
                        errors.append((before[-1][0] + left.seconds) / end - 1.0)
                        inside.append(left.least <= end - before[-1][0] <= left.most)
                said = f"{words}, {name}, at {share:.0%}: said by {len(errors)} of {len(traces)}"
                if errors:
                    size = sorted(abs(e) for e in errors)
                    said += f", error median {statistics.median(size):.0%}, worst {max(errors, key=abs):+.0%}"
                    said += f", within 25 %: {sum(e <= 0.25 for e in size)}"
                print(said)
            if make is Pace:
                print(f"{words}, the end lay between the two that were shown: {sum(inside)} of {len(inside)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="what", required=True)
    recording = parts.add_parser("record")
    recording.add_argument("--seeds", default="301-312")
    recording.add_argument("--out", type=Path, required=True)
    parts.add_parser("judge").add_argument("traces", type=Path, nargs="+")
    options = parser.parse_args()
    if options.what == "judge":
        judge(options.traces)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    low, _, high = options.seeds.partition("-")
    for seed in range(int(low), int(high or low) + 1):
        record(seed, options.out)


if __name__ == "__main__":
    main()
