"""Run lengths and delays of the decay detectors on simulated feature-years, against the bars Midas promises.

    python benchmarks/statistics/sim_detectors.py [--runs 400] [--seed 1] [--world t4|t4cond|garch|gauss|all] [--write]

Every run draws a healthy history of 8,760 bars, measures the reference score there as `decay_detector` does, and
follows streams from its end through the monitor's own compiled steps (`check_object` proves that the public object
fires on the same bars):

* healthy: three more years; ARL0 is bars per alarm, the detector starting again after each, and "first" the mean time
  to the first alarm (exposure until it, over how many came);
* drop, flip: the IC is zero, or has the other sign, from the first bar on ("at once") or after 2,000 healthy bars
  ("later"): bars to the first alarm after the change (EDD);
* kill: the IC is half of what was expected: bars per alarm of the kill test, which should keep still.

With `--write` the table goes to demo_artifacts/BARS_DETECTORS.md.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from pathlib import Path

import numpy as np
from detector_worlds import HISTORY, WORLDS, Feature, World, alarms

from midas_engine.monitor import decay_detector
from midas_engine.stats.sequential import DROP_WEIGHTS, DROPS, KILL_DROPS, KILL_WEIGHTS, Reference, head_start
from midas_engine.stats.sequential_reference import expected_reference, measure_score

ARL0 = 8760.0
YEARS = 3 * 8760
LATER = 2000
MONTH = 730
MOST = 4096
OPTIMUM = {0.03: (1762, 769), 0.05: (973, 378), 0.08: (520, 186), 0.15: (205, 68)}
BARS = {0.03: (2200, 950), 0.05: (1200, 460), 0.08: (650, 240), 0.15: (260, 100)}
ICS = tuple(BARS)
PHIS = (0.0, 0.9)
TARGET = Path(__file__).resolve().parents[2] / "demo_artifacts" / "BARS_DETECTORS.md"


def detect(u: np.ndarray, w: np.ndarray, reference: Reference, kind: str, most: int = MOST) -> np.ndarray:
    """Bars on which the detector of `kind` fires on scores u with weights w."""
    critical = kind == "critical"
    drops, weights = (DROPS, DROP_WEIGHTS) if critical else (KILL_DROPS, KILL_WEIGHTS)
    start = head_start(reference.score, reference.variance, ARL0) if critical else 0.0
    return alarms(
        u,
        w,
        np.array([reference.score if critical else reference.floor]),
        reference.score * np.array([drops]),
        np.array(weights),
        np.array([reference.score]),
        np.array([reference.variance]),
        np.array([max(reference.variance_bars, 20.0)]),
        np.array([start]),
        ARL0,
        most,
    )


def delay(stream: np.ndarray, reference: Reference, healthy: int = 0) -> float:
    """Bars from the change to the first alarm after it."""
    found = detect(stream[2], stream[3], reference, "critical")
    after = found[found >= healthy]
    return float(after[0] - healthy + 1) if len(after) else float(stream.shape[1] - healthy)


class Cell:
    """The runs of one IC and autocorrelation in one world."""

    def __init__(self, world: World, ic: float, phi: float, runs: int, seed: int, *, history: bool = True) -> None:
        self.ic, self.phi = ic, phi
        self.counts, self.exposure, self.firsts, self.kills = [], [], [], []
        self.delays: dict[str, list[float]] = {"drop": [], "flip": [], "late drop": [], "late flip": []}
        reach = {"drop": int(9 * BARS[ic][0]), "flip": int(9 * BARS[ic][1])}
        for run in range(runs):
            feature = Feature(ic, phi, world, seed + run)
            measured = measure_score(feature.past[2], feature.past[3]) if history else None
            reference = expected_reference(ic, measured)
            cautious = expected_reference(ic, measured, cautious=True)
            healthy = feature.stream(1, YEARS, 1.0)
            found = detect(healthy[2], healthy[3], reference, "critical")
            self.counts.append(len(found))
            self.exposure.append(found[0] + 1 if len(found) else YEARS)
            self.firsts.append(found[0] + 1 if len(found) else math.inf)
            for number, (what, share) in enumerate((("drop", 0.0), ("flip", -1.0))):
                at_once = feature.stream(2 + number, reach[what], share)
                later = feature.stream(4 + number, LATER + reach[what], share, healthy=LATER)
                self.delays[what].append(delay(at_once, reference))
                self.delays[f"late {what}"].append(delay(later, reference, LATER))
            half = feature.stream(6, YEARS, 0.5)
            self.kills.append(len(detect(half[2], half[3], cautious, "kill")))

    @property
    def arl0(self) -> float:
        """Bars per false alarm."""
        return YEARS * len(self.counts) / max(1, sum(self.counts))

    @property
    def first(self) -> float:
        """Mean bars to the first false alarm, censoring allowed for."""
        return sum(self.exposure) / max(1, int(np.isfinite(self.firsts).sum()))

    @property
    def kill_arl0(self) -> float:
        """Bars per kill at half the IC."""
        return YEARS * len(self.kills) / max(1, sum(self.kills))

    @property
    def first_month(self) -> float:
        """Share of features with an alarm in their first month."""
        return float((np.array(self.firsts) <= MONTH).mean())

    def edd(self, what: str) -> float:
        """Mean delay."""
        return float(np.mean(self.delays[what]))

    def row(self) -> str:
        """Its line of the table."""
        cells = []
        for what, place in (("drop", 0), ("late drop", 0), ("flip", 1), ("late flip", 1)):
            x = np.array(self.delays[what])
            error = x.std() / math.sqrt(len(x))
            cells.append(f"{x.mean():,.0f} ±{error:.0f} ({x.mean() / BARS[self.ic][place]:.2f})")
        return (
            f"| {self.ic:.2f} | {self.phi} | {self.arl0:,.0f} | {self.first:,.0f} | {self.first_month:.3f} | "
            f"{' | '.join(cells)} | {self.kill_arl0:,.0f} |"
        )

    def kept(self) -> bool:
        """Whether every bar of this cell is met."""
        drop, flip = (max(self.edd(w), self.edd(f"late {w}")) for w in ("drop", "flip"))
        (bar_drop, bar_flip), (best_drop, best_flip) = BARS[self.ic], OPTIMUM[self.ic]
        quick = drop <= min(bar_drop, 1.4 * best_drop) and flip <= min(bar_flip, 1.4 * best_flip)
        return quick and min(self.arl0, self.first) >= 5500 and self.kill_arl0 >= ARL0


HEAD = (
    "| IC | autocorrelation | ARL0 | first | 1st month | drop at once | drop later | flip at once | flip later "
    "| kill ARL0 at half |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def table(world: World, runs: int, seed: int, ics: list[float], say, *, history: bool = True) -> bool:
    say(f"\n### {world.title}{'' if history else ', without a history'}\n\n{HEAD}")
    cells = []
    for place, (ic, phi) in enumerate(itertools.product(ics, PHIS)):
        cells.append(Cell(world, ic, phi, runs, seed + 100_000 * place, history=history))
        say(cells[-1].row())
    years = sum(len(c.counts) for c in cells) * YEARS
    pooled = years / max(1, sum(sum(c.counts) for c in cells))
    steady, early = MONTH / pooled, float(np.mean([c.first_month for c in cells]))
    promised = world.counted and history
    good = all(c.kept() for c in cells) and pooled >= 8000 and max(steady, early) <= 0.12
    say(
        f"\nPooled ARL0 {pooled:,.0f} bars over {years / 8760:,.0f} feature-years (bar 8,000), least cell "
        f"{min(c.arl0 for c in cells):,.0f} (bar 5,500); kill ARL0 at half the IC, least cell "
        f"{min(c.kill_arl0 for c in cells):,.0f} (bar 8,760); diagnoses a healthy feature-month {steady:.3f}, in the "
        f"first month {early:.3f} (bar 0.12). "
        + ("Every bar met." if good else "NOT every bar met." if promised else "The bars are not promised here.")
    )
    return good or not promised


def check_object(seed: int, say) -> bool:
    """The public object: the simulation's alarms, through restarts, and its cost per bar."""
    feature = Feature(0.05, 0.9, WORLDS["t4"], seed)
    stream = feature.stream(1, 40_000, -0.5)
    straight, restarted = (decay_detector(0.05, feature.past[0], feature.past[1]) for _ in range(2))
    began = time.perf_counter()
    fired = [t for t in range(stream.shape[1]) if straight.update(stream[0, t], stream[1, t])]
    cost = (time.perf_counter() - began) / stream.shape[1] * 1e6
    again = []
    for t in range(stream.shape[1]):
        if t % 997 == 0:
            blob = restarted.state()
            restarted = decay_detector(0.05)
            restarted.restore(blob)
        if restarted.update(stream[0, t], stream[1, t]):
            again.append(t)
    simulated = detect(stream[2], stream[3], straight.reference, "critical").tolist()
    same = fired == again == simulated
    say(
        f"`decay_detector`: {cost:.1f} us a bar and feature (bar 100); {len(fired)} alarms on a broken stream of "
        f"{stream.shape[1]:,} bars, the same after {math.ceil(stream.shape[1] / 997)} restarts and in this simulation: "
        f"{'yes' if same else 'NO'}."
    )
    return same and cost <= 100 and bool(fired)


def check_panels(seed: int, runs: int, say) -> bool:
    """Panels through the public object: breadth makes it faster, no alarm more."""
    say("\n### Panels, through the public object\n\nIndependent symbols, IC 0.03, t(4) returns.\n")
    say("| symbols | ARL0 on healthy streams | drop, bars | flip, bars |\n| ---: | ---: | ---: | ---: |")
    good, reached = True, {}
    for symbols, bars in ((3, 4000), (20, 4000)):
        total, count, delays = 0, 0, {0.0: [], -1.0: []}
        for run in range(runs):
            rng = np.random.default_rng(seed + run)
            past = rng.normal(size=(4000, symbols))

            def answer(values, rho, rng=rng):
                noise = rng.standard_t(4, values.shape) / math.sqrt(2)
                return 0.006 * (rho * values + math.sqrt(1 - rho * rho) * noise)

            history = answer(past, 0.03)
            for share in (1.0, 0.0, -1.0):
                detector = decay_detector(0.03, past, history)
                values = rng.normal(size=(bars, symbols))
                returns = answer(values, 0.03 * share)
                found = [t for t in range(bars) if detector.update(values[t], returns[t])]
                if share == 1.0:
                    total, count = total + bars, count + len(found)
                else:
                    delays[share].append(found[0] + 1 if found else bars)
        reached[symbols] = np.mean(delays[0.0])
        arl0 = f"{total / count:,.0f}" if count else f"above {total:,}"
        say(f"| {symbols} | {arl0} ({count} alarms) | {np.mean(delays[0.0]):,.0f} | {np.mean(delays[-1.0]):,.0f} |")
        good &= total / max(1, count) >= 5500
    return good and reached[20] < reached[3]


def main() -> None:
    parser = argparse.ArgumentParser(description="Run lengths and delays of the decay detectors.")
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--world", choices=[*WORLDS, "all"], default="t4")
    parser.add_argument("--ics", default=",".join(map(str, ICS)))
    parser.add_argument("--write", action="store_true", help="write demo_artifacts/BARS_DETECTORS.md too")
    args = parser.parse_args()
    lines: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        lines.append(text)

    ics, seed = [float(v) for v in args.ics.split(",")], args.seed * 10_000_000
    given = f"--runs {args.runs} --seed {args.seed} --world {args.world}"
    command = f"python benchmarks/statistics/sim_detectors.py {given}"
    promised = ", ".join(f"{drop:,} / {flip:,} at IC {ic}" for ic, (drop, flip) in BARS.items())
    say(
        f"# Decay detectors against their bars\n\n`{command}{' --write' if args.write else ''}`. {args.runs} features "
        f"a cell, {HISTORY:,} bars of history each, {YEARS // 8760} healthy years followed; delays in bars, in "
        f"brackets over the bar. Bars, drop / flip: {promised}; and within 1.4x of the exact CUSUM optimum.\n"
    )
    good = check_object(seed, say)
    chosen = list(WORLDS.values()) if args.world == "all" else [WORLDS[args.world]]
    for world in chosen:
        good &= table(world, args.runs, seed, ics, say)
    if args.world == "all":
        table(WORLDS["t4"], max(20, args.runs // 2), seed + 5, ics, say, history=False)
        good &= check_panels(seed, max(4, args.runs // 20), say)
    say("\nEvery promised bar is met." if good else "\nNOT every promised bar is met.")
    if args.write:
        TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
