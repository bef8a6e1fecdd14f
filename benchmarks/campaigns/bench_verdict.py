"""From the return key to the first verdict: `midas campaign FILE` as a fresh command, with two fresh workers.

python benchmarks/campaigns/bench_verdict.py --repeats 6
python benchmarks/campaigns/bench_verdict.py --midas .venv/bin/midas --midas /elsewhere/.venv/bin/midas   in turn
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from midas_engine.clock import WallClock

PLAN = 'name = "verdict"\ngoals = ["funding carry on majors"]\ncandidates = 400\nscreened = 100\ndata = "sample"\n'


def seconds(midas: str, clock: WallClock) -> float:
    """One start; it is killed once the verdict is told."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "plan.toml").write_text(PLAN)
        begun = clock.monotonic()
        command = [midas, "campaign", "plan.toml", "--kb", "kb", "--workers", "2"]
        process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)
        assert process.stderr is not None
        told = any(" of 400 candidates" in line for line in process.stderr)
        took = clock.monotonic() - begun
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if not told:
            raise SystemExit(f"{midas} ended without a verdict")
        return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--midas", action="append", help="the command; several are started in turn")
    parser.add_argument("--repeats", type=int, default=6)
    options = parser.parse_args()
    clock, took = WallClock(), dict[str, list[float]]()
    for _ in range(options.repeats):
        for midas in options.midas or [str(Path(sys.executable).with_name("midas"))]:
            took.setdefault(os.path.abspath(midas), []).append(seconds(os.path.abspath(midas), clock))
    for midas, each in took.items():
        span = f"{min(each):.1f} to {max(each):.1f}"
        print(f"{midas}: median {statistics.median(each):.1f} s ({span}), load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
