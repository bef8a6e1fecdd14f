"""Hundreds of deployed features in the terminal: how long until it is ready, and what it holds.

    python benchmarks/speed/bench_many.py [--features 450] [--check]

A base of distinct deployed features (nine forms, windows of 6 to 306 bars) on the bundled sample (33 perpetuals, 13
months of hours); then the real program, fresh, in a real pseudo-terminal. Ready is when the sentence on top speaks of
the features. Memory is resident: at most, when it is ready, and after it was left alone for half a minute. With
`--check` the exit code is 1 when it took 10 s or held 600 MB at any moment.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

FORMS = (
    "-cs_zscore(ts_mean(returns(close, {k}), {w}))",
    "cs_zscore(ts_zscore(log(volume), {w}))",
    "cs_rank(ts_mean(funding_rate, {w})) * {k}",
    "-cs_zscore((close - ts_min(low, {w})) / (ts_max(high, {w}) - ts_min(low, {w})))",
    "cs_zscore(ts_std(returns(close, {k}), {w}))",
    "-cs_rank(ts_corr(close, volume, {w}))",
    "cs_zscore(close / ts_mean(vwap, {w}))",
    "cs_zscore(ts_mean(log(trades), {w}) - ts_mean(log(trades), {v}))",
    "-cs_zscore(ts_max(high, {w}) / close)",
)
READY_SECONDS, MEMORY_MB = 10.0, 600.0
LONGEST_SECONDS, LEFT_ALONE_SECONDS = 300.0, 30.0


def fill(folder: Path, features: int) -> None:
    """Deploy them."""
    from helpers_kb import record
    from midas_engine.journal import Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.promoter import FeaturePromoter

    kb = KnowledgeBase(folder)
    journal = Journal(kb.journal_path)
    promoter = FeaturePromoter(kb, journal)
    for i in range(features):
        k = i // len(FORMS)
        text = FORMS[i % len(FORMS)].format(k=1 + k % 24, w=6 + 6 * (k % 50), v=12 + 12 * (k % 50))
        name = f"feature_{i:04d}"
        promoter.save_candidate(record(name, expression=text, expected_score=0.01 + 1e-4 * (i % 50), breadth=5.0))
        promoter.promote(name)
    promoter.close()
    journal.close()


class Watched:
    """The program, its words on top, and what it holds."""

    def __init__(self, terminal: Any) -> None:
        self._terminal = terminal
        self.began = time.monotonic()
        self.told: list[tuple[float, str]] = []

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.began

    def look(self, seconds: float) -> None:
        """Draw what comes for so long; remember the words on top."""
        terminal, end = self._terminal, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([terminal.file], [], [], left)[0]:
                terminal._stream.feed(os.read(terminal.file, 65536))
                words = " ".join(" ".join(terminal.screen.display[:2]).split())
                if not self.told or words != self.told[-1][1]:
                    self.told.append((self.seconds, words))

    def holds(self, field: str) -> float:
        """VmRSS or VmHWM, MB."""
        lines = Path(f"/proc/{self._terminal.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))

    @property
    def cpu(self) -> float:
        """Processor seconds so far."""
        fields = Path(f"/proc/{self._terminal.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Start it, wait, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, default=450)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    from helpers_pty import Terminal

    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), given.features)
        with Terminal(["--kb", folder], columns=160, lines=45) as terminal:
            watched = Watched(terminal)
            while f"of {given.features} healthy" not in (watched.told[-1][1] if watched.told else ""):
                watched.look(0.2)
                if watched.seconds > LONGEST_SECONDS:
                    print(f"not ready after {LONGEST_SECONDS:.0f} s: {watched.told[-1][1]}")
                    return 1
            ready, cpu, held = watched.told[-1][0], watched.cpu, watched.holds("VmRSS")
            still = max(b[0] - a[0] for a, b in zip(watched.told, watched.told[1:], strict=False))
            watched.look(LEFT_ALONE_SECONDS)
            most, after = watched.holds("VmHWM"), watched.holds("VmRSS")
    print(f"{given.features} features ready after {ready:.1f} s ({cpu:.1f} s of processor), no news for {still:.1f} s")
    print(f"resident {held:.0f} MB when ready, {most:.0f} MB at most, {after:.0f} MB after {LEFT_ALONE_SECONDS:.0f} s")
    return int(given.check and (ready > READY_SECONDS or most > MEMORY_MB))


if __name__ == "__main__":
    sys.exit(main())
