"""A terminal left open: memory and faults of `midas-tui` replaying at high speed, with somebody walking about in it.

    python benchmarks/speed/soak_tui.py [--minutes 20] [--seed 1] [--check]

The real program in a real pseudo-terminal plays the synthetic recording at 256 bars a second from the beginning again
and again, while keys that change nothing (modes, rows, jumps, filters, help, resizes) come at random. Growth is of the
resident memory from the end of the first fifth, when every mode has been shown, to the end; the slope is that of a line
through every ten seconds of the last half. With `--check` the exit code is 1 when it grew by 20 MB or more, or a fault
was reported.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import pty
import random
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

import pyte

ROOT = Path(__file__).resolve().parents[2]
SIZES = ((160, 45), (120, 32), (80, 24), (240, 60))
# What a reader presses; none of it changes anything, and in a replay everything that would is refused.
KEYS = ("1", "2", "3", "4", "5", "6", "j", "k", "j", "\t", "]", "[", "s", "?", "\x1b", "/f\x1b", "f", "f", "m", "G",
        "\r", "\x1b", "!", "\x1b", "n", "y", "i", "v", "\x04", "\x15")  # fmt: skip
GROWTH_MB = 20.0


class Seat:
    """The program in its terminal."""

    def __init__(self, kb: str) -> None:
        self.screen = pyte.Screen(*SIZES[0])
        self._stream = pyte.ByteStream(self.screen)
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            state = str(Path(kb) / "state")  # what it remembers is not what this machine's user chose
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "XDG_STATE_HOME": state}
            os.chdir(ROOT)
            command = [sys.executable, "-m", "midas_tui", "--replay", "synthetic", "--speed", "256", "--kb", kb]
            os.execve(sys.executable, command, environment)
        self.resize(*SIZES[0])
        self.written = 0

    def resize(self, columns: int, lines: int) -> None:
        """Another size of the window."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def look(self, seconds: float) -> None:
        """Draw what comes for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self._terminal], [], [], left)[0]:
                data = os.read(self._terminal, 65536)
                self.written += len(data)
                self._stream.feed(data)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._terminal, keys.encode())

    def awaited(self, words: str, seconds: float = 60.0) -> str:
        """The screen once it says so, or as it is after so long: beside a busy machine a page takes its time."""
        end = time.monotonic() + seconds
        while True:
            self.look(1.0)
            shown = "\n".join(line.rstrip() for line in self.screen.display)
            if words in shown or time.monotonic() > end:
                return shown

    @property
    def resident_mb(self) -> float:
        """Its resident memory; NaN once it is gone."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    return int(line.split()[1]) / 1024
        return float("nan")

    def close(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._terminal)


def main() -> int:
    """Sit there, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    rng, seconds = random.Random(given.seed), 60.0 * given.minutes
    with tempfile.TemporaryDirectory() as kb:
        seat = Seat(kb)
        try:
            seat.look(20.0)
            began, told, seen, keys, rounds = time.monotonic(), 0.0, 0.0, 0, 0
            samples: list[tuple[float, float]] = []
            start = seat.resident_mb
            while (past := time.monotonic() - began) < seconds:
                seat.press(rng.choice(KEYS))
                keys += 1
                seat.look(rng.choice((0.05, 0.2, 0.5)))
                if keys % 200 == 0:
                    seat.resize(*rng.choice(SIZES))
                if keys % 400 == 0:  # back to the beginning, whatever stands open
                    seat.press("\x1b\x1b0")
                    seat.look(1.0)
                    seat.press(" ")
                    rounds += 1
                if past < seconds / 5:
                    start = seat.resident_mb
                if past - seen > 10:
                    seen = past
                    samples.append((past / 3600.0, seat.resident_mb))
                if past - told > 60:
                    told = past
                    print(f"{past / 60:5.1f} min  {seat.resident_mb:7.1f} MB", flush=True)
            end = seat.resident_mb
            seat.resize(*SIZES[0])
            seat.press("\x1b\x1b\x1b")
            seat.look(1.0)
            seat.press("!")
            shown = seat.awaited("fault")
        finally:
            seat.close()
    clean, growth = "no fault was reported" in shown, end - start
    print(f"{given.minutes:g} min, {keys} keys, {rounds} times from the beginning, {seat.written / 1e6:.0f} MB written")
    print(f"{start:.1f} MB after the first fifth, {end:.1f} MB at the end, growth {growth:+.1f} MB")
    half = samples[len(samples) // 2 :]
    if len(half) > 2:
        slope = statistics.linear_regression([at for at, _ in half], [mb for _, mb in half]).slope
        low, high = min(mb for _, mb in half), max(mb for _, mb in half)
        print(f"{low:.1f} to {high:.1f} MB in the last half, {slope:+.1f} MB an hour")
    print("no fault was reported" if clean else f"faults:\n{shown}")
    return int(given.check and not (clean and growth < GROWTH_MB))


if __name__ == "__main__":
    sys.exit(main())
