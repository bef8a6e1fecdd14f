"""What a live detector does at each bar size, against what its gauge and the settings say of it.

    python benchmarks/statistics/sim_live_promise.py [--runs 200] [--seed 5] [--world t4]

Every run is a feature as the monitor meets one: its promise is measured on the sealed part of a history by
`reference_of` (the causal score, shrunk), the run length is the settings' per calendar time, and it is watched through
the monitor's own compiled steps. A feature whose measured score is not positive is not watched: "watched" is the share
that is. Printed beside what is stated:

* false alarms a calendar year of healthy features, with a 95 % interval, against at most one;
* days to notice a death, and a flip, half a year of bars after the start, against the gauge of each feature.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import numpy as np
from detector_worlds import WORLDS, Feature, World, alarms

from midas_engine.evaluator.metrics.reference_score import reference_of
from midas_engine.settings import MonitorSettings
from midas_engine.stats.sequential import DROP_WEIGHTS, DROPS, Reference, head_start
from midas_engine.stats.sequential_delay import outlook

SECONDS_A_YEAR = 365 * 86_400
SEALED = 0.35
MOST = 4096


@dataclass(frozen=True)
class BarSize:
    """A bar, years of history, and the ICs of features that are findable at it."""

    name: str
    seconds: int
    history_years: float
    ics: tuple[float, ...]


SIZES = (
    BarSize("5m", 300, 0.5, (0.02, 0.04)),
    BarSize("1h", 3600, 1.0, (0.05, 0.08)),
    BarSize("4h", 14_400, 2.0, (0.08, 0.12)),
    BarSize("1d", 86_400, 5.0, (0.15, 0.25)),
)


def fired(u: np.ndarray, w: np.ndarray, reference: Reference, arl0: float) -> np.ndarray:
    """Bars on which the critical test fires on scores u with weights w."""
    return alarms(
        u, w, np.array([reference.score]), reference.score * np.array([DROPS]), np.array(DROP_WEIGHTS),
        np.array([reference.score]), np.array([reference.variance]), np.array([max(reference.variance_bars, 20.0)]),
        np.array([head_start(reference.score, reference.variance, arl0)]), arl0, MOST,
    )  # fmt: skip


def cell(size: BarSize, ic: float, world: World, runs: int, seed: int) -> str:
    """One line: false alarms and delays, measured and stated."""
    year = SECONDS_A_YEAR // size.seconds
    arl0 = MonitorSettings().arl0_bars(size.seconds)
    history = int(size.history_years * year)
    watched_bars, healthy = 3 * year, year // 2
    count, alarms_seen = 0, 0
    delays: dict[str, list[float]] = {"drop": [], "flip": []}
    gauges: dict[str, list[float]] = {"drop": [], "flip": []}
    for run in range(runs):
        feature = Feature(ic, 0.9, world, seed + 1000 * run, bars=history)
        past = feature.past
        rows = slice(int(history * (1.0 - SEALED)), history)
        reference, _ = reference_of(past[0][:, None], past[1][:, None], rows)
        if reference is None:
            continue
        count += 1
        alive = feature.stream(1, watched_bars, 1.0)
        alarms_seen += len(fired(alive[2], alive[3], reference, arl0))
        told = outlook(reference.score, reference.variance, arl0=arl0, bars_per_year=year)
        for number, (what, share, gauge) in enumerate((("drop", 0.0, told.drop_bars), ("flip", -1.0, told.flip_bars))):
            bars = healthy + 2 * year
            stream = feature.stream(2 + number, bars, share, healthy=healthy)
            found = fired(stream[2], stream[3], reference, arl0)
            after = found[found >= healthy]
            delays[what].append(float(after[0] - healthy + 1) if len(after) else float(bars - healthy))
            gauges[what].append(gauge)
    years = 3.0 * count
    rate = alarms_seen / years if years else math.nan
    error = 1.96 * math.sqrt(max(alarms_seen, 1)) / years if years else math.nan
    day = size.seconds / 86_400
    words = []
    for what in ("drop", "flip"):
        seen, told_days = np.mean(delays[what]) * day, np.mean(gauges[what]) * day
        se = np.std(delays[what]) * day / math.sqrt(max(count, 1))
        words.append(f"{seen:7.1f} ±{se:4.1f} {told_days:7.1f} {told_days / seen:5.2f}")
    return f"{size.name:>3} {ic:5.2f} {count / runs:7.0%} {rate:6.2f} ±{error:4.2f}  {words[0]}   {words[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Live promises at every bar size, measured against stated.")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--world", choices=list(WORLDS), default="t4")
    parser.add_argument("--bars", choices=[s.name for s in SIZES], help="One bar size only.")
    args = parser.parse_args()
    print("bar    IC watched alarms/year   drop: days  gauge ratio        flip: days  gauge ratio")
    for size in SIZES:
        if args.bars in (None, size.name):
            for ic in size.ics:
                print(cell(size, ic, WORLDS[args.world], args.runs, args.seed), flush=True)


if __name__ == "__main__":
    main()
