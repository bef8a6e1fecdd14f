"""The fault drills, one after the other, so many rounds in a row; each round with another seed.

    make torture
    python benchmarks/torture/drills.py [--rounds 3] [--long] [NAME ...]

What `make test` has no time for: real processes killed at random, disks that refuse, damaged files, far sides that lie,
hostile texts. A drill of `--long` takes up to hours, the same one without it a minute or two. Printed: one line a
drill with its seconds and its verdict; what a failed one had said stands below it. Exit code 1 when any failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Drill:
    """One program of this folder: what it is called with, in short and at full length."""

    program: str
    what: str
    short: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    seeded: bool = True

    def command(self, *, long: bool, seed: int) -> list[str]:
        """The call, in short or at full length."""
        words = self.full if long else self.short
        return [
            sys.executable,
            str(ROOT / "benchmarks" / self.program),
            *words,
            *(["--seed", str(seed)] if self.seeded else []),
        ]


DRILLS = {
    "journal": Drill(
        "torture/torture_journal.py", "a damaged journal: nothing altered, lost in silence or final",
        ("--flips", "120", "--check"), ("--flips", "500", "--check"),
    ),
    "base": Drill(
        "torture/torture_kb.py", "the base: eight writers, killed writers (at length: each disk call the last one)",
        ("writers", "kills"), ("calls", "kernel", "writers", "kills"), seeded=False,
    ),
    "monitor": Drill(
        "torture/torture_monitor.py", "a monitor killed at random, and beside a model that never answers",
        ("kills", "hang", "--kills", "20"), ("kills", "hang", "soak", "--kills", "200"),
    ),
    "service": Drill(
        "torture/torture_service.py", "the whole service killed at random: its alarms equal an undisturbed one's",
        ("--kills", "10", "--bars", "200"), ("--kills", "300"),
    ),
    "kills": Drill(
        "torture/torture_kills_out.py", "kills on their way out: none lost, doubled or unlatched",
        ("--faults", "150"), ("--faults", "10000"),
    ),
    "proof": Drill(
        "torture/torture_proof.py", "tampered proofs: every one found",
        ("--tamperings", "600"), ("--tamperings", "10000"),
    ),
    "campaigns": Drill(
        "campaigns/drill_deaths.py", "campaigns whose workers die: the same to the byte",
        ("--campaigns", "6"), ("--campaigns", "500"),
    ),
    "stream": Drill(
        "torture/property_batch_equals_stream.py", "random expressions: the stream gives what the batch gives",
        ("--n", "400"), ("--n", "10000"),
    ),
    "texts": Drill(
        "torture/fuzz_dsl.py", "hostile expressions: refused quickly or computed alike by both engines",
        ("--examples", "300", "--runs", "0"), ("--examples", "20000"), seeded=False,
    ),
    "inputs": Drill(
        "torture/hostile_inputs.py", "hostile files and arguments through the command line", seeded=False,
    ),
}  # fmt: skip


def run(name: str, drill: Drill, *, long: bool, seed: int) -> bool:
    """One drill; its line is printed, and all it said where it failed."""
    began = time.monotonic()
    done = subprocess.run(
        drill.command(long=long, seed=seed), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    held = done.returncode == 0
    print(f"  {name:10} {time.monotonic() - began:7.0f} s  {'held' if held else 'FAILED'}  {drill.what}", flush=True)
    if not held:
        print(f"    exit {done.returncode}; seed {seed}" if drill.seeded else f"    exit {done.returncode}")
        print("\n".join(f"    | {line}" for line in done.stdout.splitlines()[-60:]), flush=True)
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description="The fault drills, so many rounds in a row.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(DRILLS)} (without: all)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next takes the next number")
    parser.add_argument("--long", action="store_true", help="at full length: hours")
    options = parser.parse_args()
    for unknown in sorted(set(options.names) - set(DRILLS)):
        parser.error(f"no drill is called {unknown!r}; there are {', '.join(DRILLS)}")
    failed = 0
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        for name in options.names or DRILLS:
            failed += not run(name, DRILLS[name], long=options.long, seed=options.seed + number)
    print(f"{failed} failed" if failed else f"all held, {options.rounds} rounds in a row")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
