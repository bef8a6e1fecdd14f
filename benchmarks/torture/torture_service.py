"""SIGKILL and SIGTERM a whole service at random moments; its alarms must equal those of one that nobody disturbed.

    python benchmarks/torture/torture_service.py [--kills 20] [--seed 13] [--bars 300] [--folder DIR [--minutes M]]

Every round starts `midas run` in a process of its own, ends it after a random number of printed lines or bars of the
catch-up, and starts it again. The bars end six hours before: the feed is silent all the while, which is one alarm.
Printed: kills, starts, lines of the alarms file, and whether it is equal.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]


def alarms(desk: Path) -> tuple[list[str], list[str]]:
    """The alarms of features, and what became of those of the feed's silence, whose time is that of the run."""
    lines = (desk / "kb" / "service" / "alarms.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return (
        [line for line, row in zip(lines, rows, strict=True) if row["feature"] != "*"],
        [row["what"] for row in rows if row["rule"] == "feed"],
    )


def prepared(folder: Path, bars: int) -> tuple[Path, Path]:
    """The undisturbed desk, run to its end, and the one that is killed; made with the first call."""
    from helpers_service import copy_desk, make_desk, plan_of
    from midas_engine.service.service import Service

    undisturbed, killed = folder / "undisturbed", folder / "killed"
    if not (folder / "ready").exists():
        stocked = make_desk(folder / "desk", bars=bars, silent_hours=6)
        copy_desk(stocked, undisturbed), copy_desk(stocked, killed)

        async def once() -> None:
            async with Service(plan_of(undisturbed)):
                pass

        asyncio.run(once())
        (folder / "ready").touch()
    return undisturbed, killed


def disturb(folder: Path, killed: Path, kills: int, seed: int, minutes: float) -> tuple[int, int]:
    """Kill until so many kills hit, or the time is over; (starts, kills that hit), of earlier calls too."""
    from helpers_service import read_until, start_run

    kept = folder / "progress.json"
    starts, hits = json.loads(kept.read_text()) if kept.exists() else (0, 0)
    end = time.monotonic() + 60 * minutes
    while hits < kills and time.monotonic() < end:
        starts += 1
        chance = random.Random(f"{seed} {starts}")  # whoever goes on from here does what would have been done
        with start_run(killed) as run:
            read_until(run, " running ", " degraded ", lines=chance.randrange(1, 8))
            time.sleep(chance.random() * 0.3)
            number = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
            hits += run.poll() is None
            run.send_signal(number)
        kept.write_text(json.dumps([starts, hits]))
        if starts % 25 == 0:
            print(f"{hits} kills in {starts} starts, load {os.getloadavg()[0]:.1f}", flush=True)
    return starts, hits


def main() -> int:
    """Run and print; 1 when they differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--bars", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="keep everything here, and go on from where the last call stopped")
    parser.add_argument("--minutes", type=float, default=1e6, help="stop killing after so long")
    args = parser.parse_args()
    from helpers_service import read_until, start_run

    with contextlib.ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        undisturbed, killed = prepared(folder, args.bars)
        starts, hits = disturb(folder, killed, args.kills, args.seed, args.minutes)
        with start_run(killed) as run:
            read_until(run, " running ", " degraded ")
            run.send_signal(signal.SIGTERM)
        found, wanted = alarms(killed), alarms(undisturbed)
    print(f"{hits} kills in {starts} starts; {len(found[0])} alarms of features, {len(wanted[0])} undisturbed;")
    print(f"the feed's silence: {found[1]}, {wanted[1]} undisturbed; equal: {found == wanted}")
    return 0 if found == wanted else 1


if __name__ == "__main__":
    raise SystemExit(main())
