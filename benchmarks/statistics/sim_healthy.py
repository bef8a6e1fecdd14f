"""Diagnoses, alerts and kill proposals that healthy features cause, through the whole monitor.

    python benchmarks/statistics/sim_healthy.py [--worlds 30] [--seed 5000]

Each world is a synthetic year in which nothing breaks: three planted features on 10 to 30 symbols, promises measured on
the first 27 %, then every bar through the fleet that the monitor runs: rules, sequential tests, portfolio test,
episodes, and the agent's own rule for what deserves a diagnosis. Two promises are measured: as promoted (0.7 of
what was measured) and as hard as it can be (what the feature truly does over the watched bars). Bar: at most 0.12
diagnoses per healthy feature-month.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.bus import EventBus
from midas_engine.clock import WallClock
from midas_engine.dsl import FeatureEngine
from midas_engine.evaluator.metrics.reference_score import SHRINK, reference_of
from midas_engine.events import AlertRaised, KillProposed
from midas_engine.market.forward import forward_returns
from midas_engine.market.regimes import regime_labels
from midas_engine.market.synthetic import SyntheticMarket
from midas_engine.monitor.alerts.engine import AlertEngine
from midas_engine.monitor.diagnosis.agent import deserves_diagnosis
from midas_engine.monitor.diagnosis.classify import classify
from midas_engine.monitor.diagnosis.snapshot import take_snapshot
from midas_engine.monitor.figures.engine import EngineConfig
from midas_engine.monitor.fleet import Fleet
from midas_engine.monitor.kill.switch import KillSwitch
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from midas_engine.stats.sequential import Reference

START = datetime(2025, 1, 1, tzinfo=UTC)
WATCHED_FROM = 2400
MONTH = 730.0
BAR = 0.12


def year(seed: int) -> list[tuple[str, Counter[str], float]]:
    """One world under both promises: what was counted, and over how many feature-months."""
    rng = np.random.default_rng([seed, 77])
    ics = tuple(float(x) for x in rng.uniform(0.02, 0.08, 3))
    market = SyntheticMarket(seed, symbols=int(rng.integers(10, 31)), ics=ics, decay_at=2.0)  # type: ignore[arg-type]
    panel = market.panel()
    engine = FeatureEngine(panel, limits=DslLimits())
    values = {f.name: engine.values(f.expression) for f in market.truth.features}
    follow, returns, labels = forward_returns(panel, (1,))[1], panel.values("returns"), regime_labels(panel)
    slippage = rng.gamma(8.0, 1 / 8.0, panel.T)
    found = []
    for promise in ("as promoted", "as hard as it can be"):
        part = slice(300, WATCHED_FROM) if promise == "as promoted" else slice(WATCHED_FROM, panel.T)
        measured = {n: reference_of(v, follow, part)[0] for n, v in values.items()}
        references: dict[str, Reference] = {}
        for name, reference in measured.items():
            if reference is not None:
                hard = promise != "as promoted"
                references[name] = dataclasses.replace(reference, score=reference.score / SHRINK) if hard else reference
        counted = _watch(references, {n: values[n] for n in references}, returns, labels, slippage, panel.S)
        found.append((promise, counted, len(references) * (panel.T - WATCHED_FROM) / MONTH))
    return found


def _watch(
    references: dict[str, Reference], values: dict[str, Any], returns: Any, labels: Any, slippage: Any, symbols: int
) -> Counter[str]:
    names = list(values)
    switch = KillSwitch(bus=EventBus(), clock=WallClock())
    fleet = Fleet(names, references, EngineConfig(), AlertEngine(), switch, "manual")
    fleet.build(symbols)
    count: Counter[str] = Counter()
    for bar in range(WATCHED_FROM, len(returns)):
        at = START + timedelta(hours=bar)
        meta = {"index": fleet.stream.index(at), "regime": str(labels[bar]), "own": True, "labelled": True}
        arrays = {
            "values": np.stack([values[n][bar] for n in names]),
            "returns": returns[bar],
            "fills": np.stack([np.full(len(names), slippage[bar]), np.ones(len(names))]),
        }
        for pair in fleet.arrive(meta, arrays).pairs:
            fleet.score(pair)
        for event in fleet.judge(at):
            if isinstance(event, AlertRaised):
                count[f"{event.alert.alert_type} {event.alert.severity}"] += 1
                if deserves_diagnosis(event.alert):
                    count["diagnoses"] += 1
                    snapshot = take_snapshot(fleet, event.alert.feature, at, alert=event.alert)
                    count[f"said {classify(snapshot).cause}"] += 1
            count["kill proposals"] += isinstance(event, KillProposed)
    return count


def main() -> int:
    """Run and print; 1 when the bar is missed under either promise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=5000)
    given = parser.parse_args()
    began = time.perf_counter()
    totals: dict[str, Counter[str]] = {}
    months: Counter[str] = Counter()
    for seed in range(given.seed, given.seed + given.worlds):
        for promise, counted, watched in year(seed):
            totals.setdefault(promise, Counter()).update(counted)
            months[promise] += watched
    missed = False
    for promise, counted in totals.items():
        rate = counted["diagnoses"] / months[promise]
        missed |= rate > BAR
        print(f"\npromise {promise}: {months[promise]:.0f} healthy feature-months")
        print(f"  diagnoses per feature-month  {rate:.4f}  (bar {BAR})")
        for name, n in sorted(counted.items()):
            if name != "diagnoses":
                print(f"  {name:<28} {n / months[promise]:.4f} a feature-month ({n})")
    print(f"\n{time.perf_counter() - began:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
