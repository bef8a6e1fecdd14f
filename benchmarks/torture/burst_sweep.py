"""The property of random bursts in every mode, idle and loaded, over many seeds.

    python benchmarks/torture/burst_sweep.py --seeds 200-260 [--mode discovery] [--loaded]

Each run is the test's own (`tests/test_tui_bursts.py`) with another seed: keys that come in one burst behind `/`, `g`,
a dialog's key and the like; none may reach the engine. Prints each failing case, ends with 1 when there is one. A wait
that ends for want of an answer says what everything in the loop was waiting for, and what the machine gave meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from textual.pilot import Pilot, WaitForScreenTimeout

from helpers_patience import ServedClock
from test_tui_bursts import BURSTS, OPENERS, typed_at_random


def tell_who_waits(served: ServedClock) -> None:
    """Have a wait of the pilot that times out print every task with the place it stands at."""
    found = Pilot._wait_for_screen

    async def wait(self: Pilot[Any], timeout: float = 30.0) -> bool:
        before, began = served.seconds, time.process_time()
        try:
            return await found(self, timeout)
        except WaitForScreenTimeout:
            given = served.seconds - before
            print(f"no answer in {timeout:.0f} s, of which the machine served {given:.1f}", flush=True)
            print(f"this process computed for {time.process_time() - began:.1f} s", flush=True)
            for task in asyncio.all_tasks():
                task.print_stack(file=sys.stdout)
            for node in (self.app, *self.app.screen.walk_children(with_self=True)):
                if node.message_queue_size:
                    print(f"{node}: {node.message_queue_size} messages wait", flush=True)
            raise

    Pilot._wait_for_screen = wait  # type: ignore[method-assign]


def main() -> int:
    """Run them all."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--seeds", default="200-260", help="first-last")
    p.add_argument("--mode", choices=list(OPENERS), help="only this one")
    p.add_argument("--loaded", action="store_true", help="only beside work that holds the loop")
    given = p.parse_args()
    first, last = (int(part) for part in given.seeds.split("-"))
    failed, started, runs = 0, time.perf_counter(), 0
    with ServedClock() as served:
        tell_who_waits(served)
        for seed in range(first, last + 1):
            for mode in [given.mode] if given.mode else OPENERS:
                for loaded in (True,) if given.loaded else (False, True):
                    runs += 1
                    try:
                        asyncio.run(typed_at_random(mode, loaded=loaded, seed=f"{mode} {loaded} {seed}"))
                    except Exception:
                        failed += 1
                        print(f"seed {seed}, {mode}, {'loaded' if loaded else 'idle'}:", flush=True)
                        traceback.print_exc()
            print(f"seed {seed}: {runs} runs, {failed} failed", flush=True)
    took = time.perf_counter() - started
    print(f"{runs} runs of {BURSTS} bursts in {took:,.0f} s: {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
