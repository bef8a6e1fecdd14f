"""Runs a monitor with a journal in child processes that are killed at random moments, and compares what it told.

    python tests/crash_driver_monitor.py KILLS SEED FOLDER [BARS]

Started by the torture tests as a process of its own, so that forking is safe. Every life of a story goes on where the
journal says; the last one ends it. What was told over all lives, repeats left out, must be what one uninterrupted
life tells, and so must the state at the end. Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from midas_engine.events import AlertRaised, AlertResolved, Event, KillProposed
from midas_engine.journal import Journal
from midas_engine.monitor import OnlineMonitor
from midas_engine.settings import MonitorSettings
from tests.helpers_monitor import ar1, bar_time, clock_at, linked

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ["dies", "flips", "lives", "slow"]
PROMISES = {"dies": 0.15, "flips": 0.12, "lives": 0.12}
BARS = 900
MOST_A_STORY = 40
LATE = 5  # every fifth label comes with a repeat of its bar


class Story:
    """A market that ends badly for two features, with a gap, late labels, repeats and holes; the same for each seed."""

    def __init__(self, seed: int, bars: int) -> None:
        rng = np.random.default_rng(seed)
        self.bars = bars
        healthy = np.arange(bars) < bars // 3
        self.values = np.column_stack([ar1(rng, bars, phi) for phi in (0.0, 0.5, 0.0, 0.9)])
        parts = [
            linked(rng, self.values[:, 0], np.where(healthy, 0.25, 0.0)),
            linked(rng, self.values[:, 1], np.where(healthy, 0.2, -0.3)),
            linked(rng, self.values[:, 2], 0.2),
        ]
        self.returns = sum(parts) / np.sqrt(3)
        self.values[rng.random(self.values.shape) < 0.01] = np.nan
        self.missing = {bars // 2 + t for t in range(int(rng.integers(2, 30)))}

    def bars_from(self, first: int) -> Iterator[tuple[int, dict[str, float], float | None]]:
        """What the feed sends from bar `first` on: bar, values, label or None."""
        for t in range(max(0, first), self.bars):
            if t in self.missing:
                continue
            row = dict(zip(NAMES, self.values[t].tolist(), strict=True))
            late = t % LATE == 0
            yield t, row, None if late else float(self.returns[t])
            before = t - 1
            if before >= 0 and before % LATE == 0 and before not in self.missing:
                yield before, dict(zip(NAMES, self.values[before].tolist(), strict=True)), float(self.returns[before])


def _line(event: Event) -> str:
    if isinstance(event, KillProposed):
        return f"kill {event.at:%Y-%m-%dT%H} {event.feature}"
    alert = event.alert  # type: ignore[attr-defined]
    told = f"{alert.rule} {alert.feature} {alert.id} {alert.severity} {alert.count} {alert.value!r}"
    return f"{type(event).__name__} {event.at:%Y-%m-%dT%H} {told}"


async def live(story: Story, folder: Path) -> None:
    """One life: from where the journal ends to the end of the story; then the state is written beside it."""
    told = os.open(folder / "told", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    called = os.open(folder / "called", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(event: Event) -> None:
        if isinstance(event, AlertRaised | AlertResolved | KillProposed):
            os.write(told, f"{_line(event)}\n".encode())

    def on_kill(name: str) -> None:
        os.write(called, f"{name}\n".encode())

    with Journal(folder / "journal.sqlite") as journal:
        monitor = OnlineMonitor(
            NAMES,
            references=PROMISES,
            settings=MonitorSettings(kill_policy="auto", arl0="400b"),
            journal=journal,
            on_kill=on_kill,
            clock=clock_at(10 * story.bars),
        )
        monitor.bus.tap(write)
        await monitor.start()
        fleet = monitor.fleet
        last = -1 if not fleet.built or fleet.stream.last is None else fleet.stream.last - _first_index(fleet)
        for t, row, label in story.bars_from(last - 2):  # a feed repeats what it is not sure was taken
            regime = "HIGH" if t % 90 < 45 else "LOW"
            fills = {"slippage_bps": 1.0 if t < 3 * story.bars // 4 else 2.6}
            await monitor.process_update(bar_time(t), row, label, fills=fills, regime=regime)
        await monitor.kills.settle()
        state = [monitor.all_metrics(), monitor.alerts(include_resolved=True), sorted(monitor.kills.killed)]
        figures = hashlib.sha256(repr(state).encode()).hexdigest()
        (folder / "end").write_text(figures, encoding="utf-8")


def _first_index(fleet: Any) -> int:
    return int(fleet.stream.index(bar_time(0)))


def in_child(story: Story, folder: Path, seconds: float | None) -> bool:
    """Fork a life and kill it after `seconds`; True when it was killed before its end."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(live(story, folder))
            os._exit(0)
        except BaseException as error:
            (folder / "error").write_text(repr(error), encoding="utf-8")
            os._exit(3)
    if seconds is not None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return _ended(status, folder)
            time.sleep(min(0.002, seconds))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return _ended(status, folder)


def _ended(status: int, folder: Path) -> bool:
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status):
        raise SystemExit(f"a life failed: {(folder / 'error').read_text(encoding='utf-8')}")
    return False


def lines(folder: Path, name: str) -> list[str]:
    """Whole lines of a log, repeats left out."""
    path = folder / name
    return list(dict.fromkeys(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []


def main() -> None:
    """Kill lives until enough were killed; compare every story with its uninterrupted twin."""
    wanted, seed, root = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    bars = int(sys.argv[4]) if len(sys.argv) > 4 else BARS
    chance = random.Random(seed)
    report = {"kills": 0, "stories": 0, "alarms": 0, "features_killed": 0, "callbacks": 0, "different": []}
    while report["kills"] < wanted:
        story, folders = Story(seed + report["stories"], bars), []
        for twin in ("straight", "killed"):
            folders.append(root / f"{report['stories']}-{twin}")
            folders[-1].mkdir()
        began = time.monotonic()
        in_child(story, folders[0], None)
        whole = time.monotonic() - began
        enough = min(wanted, report["kills"] + MOST_A_STORY)
        while report["kills"] < enough and in_child(story, folders[1], chance.uniform(0.0, 0.25) * whole):
            report["kills"] += 1
        if not (folders[1] / "end").exists():
            in_child(story, folders[1], None)
        told, again = (lines(folder, "told") for folder in folders)
        called = [(folder / "called").read_text(encoding="utf-8").split() for folder in folders]
        ends = [(folder / "end").read_text(encoding="utf-8") for folder in folders]
        if told != again:
            report["different"].append(f"story {report['stories']}: told {sorted(set(told) ^ set(again))[:6]}")
        if ends[0] != ends[1]:
            report["different"].append(f"story {report['stories']}: the state at the end")
        if set(called[0]) != set(called[1]):
            report["different"].append(f"story {report['stories']}: on_kill was called for {called[1]}")
        report["stories"] += 1
        report["alarms"] += len(told)
        report["features_killed"] += len(set(called[0]))
        report["callbacks"] += len(called[1])
    print(json.dumps(report))


if __name__ == "__main__":
    main()
