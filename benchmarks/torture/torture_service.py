"""SIGKILL and SIGTERM a whole service at random moments; its alarms must equal those of one that nobody disturbed.

    python benchmarks/torture/torture_service.py [--kills 20] [--seed 13] [--bars 300]

Every round starts `midas run` in a process of its own, ends it after a random number of printed lines or bars of the
catch-up, and starts it again. Printed: kills, starts, lines of the alarms file, and whether it is equal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]


def alarms(desk: Path) -> list[str]:
    """The alarms without those of the feed's silence."""
    lines = (desk / "kb" / "service" / "alarms.jsonl").read_text().splitlines()
    return [line for line in lines if json.loads(line)["alert_type"] != "feed"]


def main() -> int:
    """Run and print; 1 when they differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--bars", type=int, default=300)
    args = parser.parse_args()
    from helpers_service import copy_desk, make_desk, plan_of, read_until, start_run
    from midas_engine.service.service import Service

    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        stocked = make_desk(Path(folder) / "desk", bars=args.bars)
        undisturbed, killed = copy_desk(stocked, Path(folder) / "a"), copy_desk(stocked, Path(folder) / "b")

        async def once() -> None:
            async with Service(plan_of(undisturbed)):
                pass

        asyncio.run(once())
        starts = hits = 0
        while hits < args.kills:
            starts += 1
            with start_run(killed) as run:
                read_until(run, " running ", lines=chance.randrange(1, 8))
                time.sleep(chance.random() * 0.3)
                number = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
                hits += run.poll() is None
                run.send_signal(number)
        with start_run(killed) as run:
            read_until(run, " running ")
            run.send_signal(signal.SIGTERM)
        wanted, found = alarms(undisturbed), alarms(killed)
        same = wanted == found
        print(
            f"{hits} kills in {starts} starts: {len(found)} of {len(wanted)} alarms, {'equal' if same else 'NOT EQUAL'}"
        )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
