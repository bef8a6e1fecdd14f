"""The property of random bursts in every mode, idle and loaded, over many seeds.

    python benchmarks/torture/burst_sweep.py --seeds 200-260

Each run is the test's own (`tests/test_tui_bursts.py`) with another seed: keys that come in one burst behind `/`, `g`,
a dialog's key and the like; none may reach the engine. Prints each failing case, ends with 1 when there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from test_tui_bursts import BURSTS, OPENERS, typed_at_random


def main() -> int:
    """Run them all."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--seeds", default="200-260", help="first-last")
    first, last = (int(part) for part in p.parse_args().seeds.split("-"))
    failed, started, runs = 0, time.perf_counter(), 0
    for seed in range(first, last + 1):
        for mode in OPENERS:
            for loaded in (False, True):
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
