"""The end of a campaign as it is predicted on the way, against its end: recorded once at real speed, judged offline.

    python benchmarks/campaigns/bench_eta.py record --seeds 301-312 --out traces   campaigns of many shapes
    python benchmarks/campaigns/bench_eta.py judge traces/*.json                   what was said on the way

An error is (predicted end - end) / end. What each campaign is (bars, symbols, workers, goals, horizons, candidates) is
drawn by its seed; a trace holds what the pace was told and asked, so that another way to predict is judged on the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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

    rows: list[list[Any]] = field(default_factory=list)

    def took(self, kind: str, met: int, seconds: float, *, first: bool = False) -> None:
        """See `Pace.took`."""
        Pace.took(self, kind, met, seconds, first=first)
        self.rows.append([kind, met, seconds, first])

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
        campaign._pace = pace
        state = asyncio.run(campaign.run())
        took = clock.monotonic() - begun
        workspace.close()
    load = os.getloadavg()[0]
    shape = f"{plan.candidates} candidates, {len(plan.legs)} sessions, {bars} x {symbols}, {workers} workers"
    print(f"seed {seed}: {shape}: {took:.0f} s, {state.spent} met, load {load:.1f}", flush=True)
    body = {"seed": seed, "shape": shape, "took": took, "load": load, "rows": pace.rows}
    (out / f"eta-{seed}.json").write_text(json.dumps(body))


def replay(trace: dict[str, Any], make: Callable[[], Pace | Mean]) -> list[tuple[float, Left | None]]:
    """What `make` would have said, and when."""
    pace, at, said = make(), 0.0, []
    for kind, met, seconds, first, screened, tried in trace["rows"]:
        at += seconds
        pace.took(kind, met, seconds, first=first)
        said.append((at, pace.left(tuple(screened), tuple(tried))))
    return said


def judge(paths: list[Path]) -> None:
    traces = [json.loads(path.read_text()) for path in paths]
    for name, make in (("the mean of all", Mean), ("as it is", Pace)):
        inside = list[bool]()
        for share in SHARES:
            errors = list[float]()
            for trace in traces:
                before = [s for s in replay(trace, make) if s[0] <= share * trace["took"]]
                if before and (left := before[-1][1]) is not None:
                    errors.append((before[-1][0] + left.seconds) / trace["took"] - 1.0)
                    inside.append(left.least <= trace["took"] - before[-1][0] <= left.most)
            if not errors:
                print(f"{name}, at {share:.0%}: nothing said")
                continue
            size = sorted(abs(e) for e in errors)
            within, middle = sum(e <= 0.25 for e in size), statistics.median(size)
            print(
                f"{name}, at {share:.0%}: said by {len(size)} of {len(traces)}, error median {middle:.0%},"
                f" worst {max(errors, key=abs):+.0%}, within 25 %: {within}"
            )
        if make is Pace:
            print(f"the end lay between the two that were shown: {sum(inside)} of {len(inside)}")


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
