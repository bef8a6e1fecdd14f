"""Critical alerts of a healthy month: twenty features at IC 0.03, through the whole monitor, by rule.

    python benchmarks/statistics/sim_healthy_criticals.py [--seeds 10] [--months 3] [--features 20] [--promised 0.7]

Each world is a market of 20 symbols with Student returns and a common factor; each feature is an AR(1) signal whose
IC with the next bar is 0.03 for good, promised at 0.7 of it, as a promotion
does; `--promised 1` is as hard as it can be. Fills come on one bar in two, log-normal around what
was expected. The first month fills the windows and is not counted. Bar: at most 3 criticals a month on average.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.bus import EventBus
from midas_engine.clock import WallClock
from midas_engine.events import AlertRaised
from midas_engine.models import Severity
from midas_engine.monitor.alerts.engine import AlertEngine
from midas_engine.monitor.figures.engine import EngineConfig
from midas_engine.monitor.fleet import Fleet
from midas_engine.monitor.kill.switch import KillSwitch

if TYPE_CHECKING:
    from numpy.typing import NDArray

START = datetime(2025, 1, 1, tzinfo=UTC)
MONTH, SYMBOLS, IC, PHI, PROMISED = 730, 20, 0.03, 0.9, 0.7
BAR = 3.0


def month(seed: int, *, months: int = 2, features: int = 20, promised: float = PROMISED) -> Counter[str]:
    """Critical alerts by rule in the months after the first."""
    rng = np.random.default_rng([seed, 2301])
    names = [f"f{i}" for i in range(features)]
    fleet = Fleet(
        names,
        dict.fromkeys(names, promised * IC),
        EngineConfig(),
        AlertEngine(),
        KillSwitch(bus=EventBus(), clock=WallClock()),
        "manual",
    )
    fleet.build(SYMBOLS)
    found: Counter[str] = Counter()
    values = rng.standard_normal((features, SYMBOLS))
    move: NDArray[np.float64] = np.full(SYMBOLS, np.nan)
    for bar in range(months * MONTH):
        at = START + timedelta(hours=bar)
        cost = float(np.exp(0.8 * rng.standard_normal() - 0.32)) if rng.random() < 0.5 else np.nan
        meta = {"index": fleet.stream.index(at), "regime": "LOW", "own": True, "labelled": True}
        fills = np.stack([np.full(features, cost), np.full(features, 1.0 if cost == cost else np.nan)])
        for pair in fleet.arrive(meta, {"values": values.copy(), "returns": move, "fills": fills}).pairs:
            fleet.score(pair)
        for event in fleet.judge(at):
            if not isinstance(event, AlertRaised) or bar < MONTH:
                continue
            if event.alert.severity is Severity.CRITICAL:
                found[event.alert.rule] += 1
        noise = rng.standard_t(4, SYMBOLS) / np.sqrt(2.0)
        move = 0.006 * (0.7 * rng.standard_normal() + 0.7 * (IC * values.sum(axis=0) + noise))
        values = PHI * values + np.sqrt(1.0 - PHI * PHI) * rng.standard_normal(values.shape)
    return found


def main() -> int:
    """Run and print; 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--months", type=int, default=3)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--promised", type=float, default=PROMISED)
    given = parser.parse_args()
    began = time.perf_counter()
    worlds = [
        month(seed, months=given.months, features=given.features, promised=given.promised)
        for seed in range(1, given.seeds + 1)
    ]
    counted = given.seeds * (given.months - 1)
    total = sum(world.total() for world in worlds)
    print(f"{counted} healthy months of {given.features} features at IC {IC}: {total / counted:.2f} criticals a month")
    for rule in sorted({rule for world in worlds for rule in world}):
        each = [world[rule] for world in worlds]
        print(f"  {rule:<10} {sum(each) / counted:.2f} a month; by world {each}")
    print(f"bar: at most {BAR:.0f} a month; {time.perf_counter() - began:.0f} s")
    return 1 if total / counted > BAR else 0


if __name__ == "__main__":
    raise SystemExit(main())
