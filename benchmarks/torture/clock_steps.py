"""Set the clock of a running service back and ahead; what it saw must equal what an undisturbed one saw beside it.

    python benchmarks/torture/clock_steps.py [--bars 10] [--steps=-7200,0,10800,0]

Two `midas run` follow the same minute bars as they close. The wall clock of one (and of nothing else: a few lines of C
stand between it and `clock_gettime`) is moved by so many seconds every two bars, as a time server, a wrong set-up clock
or a machine that slept would; its monotonic clock goes on. Printed: bars, alarms of features and signals of both, what
the moved one said of its clock, and whether they are equal. Needs a C compiler (cc); takes as many minutes as bars.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static volatile long long *shift;
__attribute__((constructor)) static void begin(void) {
    int handle = open(getenv("CLOCK_SHIFT"), O_RDONLY);
    void *page = handle < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, handle, 0);
    shift = page == MAP_FAILED ? 0 : page;
}
int clock_gettime(clockid_t which, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(which, at);
    if (!failed && which == CLOCK_REALTIME && shift) at->tv_sec += *shift;
    return failed;
}
"""
HISTORY = 400


def shim(folder: Path) -> dict[str, str]:
    """The environment of a process whose wall clock is `moved`."""
    (folder / "shift.c").write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "shift.so", folder / "shift.c", "-ldl"], check=True)
    (folder / "shift").write_bytes(struct.pack("q", 0))
    return {"LD_PRELOAD": str(folder / "shift.so"), "CLOCK_SHIFT": str(folder / "shift")}


def move(folder: Path, seconds: int) -> None:
    """Set its wall clock so far from this machine's."""
    with (folder / "shift").open("r+b") as file:
        file.write(struct.pack("q", seconds))


class Bars:
    """Minute bars of a made market that end with the last minute that is over."""

    def __init__(self, bars: int) -> None:
        from midas_engine.market import SyntheticMarket

        self.whole, self.rows = SyntheticMarket(5).panel(), HISTORY + bars
        self.first = int(time.time() // 60) - HISTORY

    def write(self, desks: list[Path]) -> int:
        """Bring the file of every desk up to now; how many bars there are."""
        from midas_engine.market import Panel

        count = min(self.rows, int(time.time() // 60) - self.first)
        times = ((self.first + np.arange(count)) * 60).astype("datetime64[s]").astype("datetime64[ns]")
        fields = {name: values[-self.rows :][:count, :6] for name, values in self.whole.fields.items()}
        for desk in desks:
            Panel(times, self.whole.symbols[:6], fields, 60).save(desk / "young.parquet")
            os.replace(desk / "young.parquet", desk / "bars.parquet")
        return count


def seen(desk: Path) -> dict[str, Any]:
    """What a service left: alarms of features in order, signals by bar, what was said of the clock."""
    alarms = [json.loads(line) for line in (desk / "kb" / "service" / "alarms.jsonl").read_text().splitlines()]
    sent = [json.loads(line) for line in (desk / "signals.jsonl").read_text().splitlines()]
    log = [json.loads(line) for line in (desk / "kb" / "service" / "midas.log").read_text().splitlines()]
    return {
        "alarms": [(a["what"], a["id"], a["feature"]) for a in alarms if a["feature"] != "*"],
        "feed": [(a["what"], a["message"]) for a in alarms if a["rule"] == "feed"],
        "signals": [(s["bar"], json.dumps({n: f["values"] for n, f in s["features"].items()})) for s in sent],
        "clock": [e["message"] for e in log if e.get("where") == "feed"],
    }


def main() -> int:
    """Run and print; 1 when they differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bars", type=int, default=10)
    parser.add_argument("--steps", default="-7200,0,10800,0", help="seconds from the true time, one every two bars")
    args = parser.parse_args()
    from helpers_service import copy_desk, make_desk, start_run

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ, bars = shim(folder), Bars(args.bars)
        one = make_desk(folder / "undisturbed", bars=60)
        desks = [one, copy_desk(one, folder / "moved")]
        for desk in desks:
            (desk / "midas.toml").write_text(f'[outbound.signals]\nout = "file:{desk / "signals.jsonl"}"\n')
        bars.write(desks)
        runs = [
            start_run(desk, "--config", "midas.toml", env=more) for desk, more in zip(desks, ({}, environ), strict=True)
        ]
        steps, before = [int(step) for step in args.steps.split(",")], HISTORY
        while before < bars.rows:
            count = bars.write(desks)
            if count > before and (count - HISTORY) % 2 == 0 and steps:
                move(folder, steps[0])
                print(f"bar {count - HISTORY}: the clock is {steps.pop(0):+} s off", flush=True)
            before = count
            time.sleep(1.0)
        time.sleep(45.0)  # one that does not trust its clock waits for the source to show the next bar, or for its own
        for run in runs:
            run.send_signal(signal.SIGTERM)
            run.communicate(timeout=120)
        wanted, found = seen(desks[0]), seen(desks[1])
    known = dict(wanted["signals"])
    bars_of = [bar for bar, _ in found["signals"]]
    equal = found["alarms"] == wanted["alarms"] and all(known.get(bar) == text for bar, text in found["signals"])
    # the newest bar may still be waited for where the clock alone would prove it closed
    whole = len(set(bars_of)) == len(bars_of) >= len(known) - 1
    print(f"undisturbed: {len(known)} bars sent, {len(wanted['alarms'])} alarms of features, feed {wanted['feed']}")
    print(f"moved: {len(bars_of)} bars sent, {len(found['alarms'])} alarms of features, feed {found['feed']}")
    print("\n".join(f"said: {words}" for words in found["clock"]))
    print(f"none lost or doubled: {whole}; equal: {equal}; load {os.getloadavg()[0]:.1f}")
    return 0 if equal and whole else 1


if __name__ == "__main__":
    raise SystemExit(main())
