"""SIGKILL of a process that has workers: nothing outlives it, nothing of it stays, and its session is ended for it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import psutil
import pytest

from midas_engine.alive import Alive, Scratch, is_alive, sweep_scratch
from midas_engine.clock import WallClock
from midas_engine.evaluator.trials.ledger import TrialKey, TrialLedger
from midas_engine.events import SessionEnded
from midas_engine.loops.interrupted import end_interrupted, session_mark
from midas_engine.models import SessionSummary
from midas_engine.settings import Settings
from midas_engine.workspace import Workspace
from tests.helpers_cli import call_midas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_NAP = 0.02


def _wait(for_it: Callable[[], object], seconds: float, what: str) -> None:
    import time

    clock = WallClock()
    end = clock.monotonic() + seconds
    while not for_it():
        assert clock.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(_NAP)


class Running:
    """`midas` in a process of its own, with a temporary folder of its own."""

    def __init__(self, folder: Path, root: Path, *words: str) -> None:
        self.scratch = folder / "scratch"
        self.scratch.mkdir(exist_ok=True)
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from midas_engine.cli import main; main()", *words],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=folder,
                env={**os.environ, "TMPDIR": str(self.scratch), "PYTHONPATH": str(root)},
            )  # fmt: skip
        self.seen: dict[int, psutil.Process] = {}

    def workers(self) -> list[psutil.Process]:
        """Every descendant there ever was."""
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self.seen.setdefault(child.pid, child)
        return list(self.seen.values())

    def judging(self) -> list[psutil.Process]:
        """Workers that hold the panel already."""
        found = []
        for child in self.workers():
            with contextlib.suppress(psutil.Error):
                if any("column-" in m.path for m in child.memory_maps()):
                    found.append(child)
        return found

    def folders(self) -> list[str]:
        return sorted(p.name for p in self.scratch.iterdir() if p.name.startswith("midas-"))

    def kill(self) -> None:
        self.workers()
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def gone(self) -> bool:
        return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in self.seen.values())


@pytest.fixture
def started(tmp_path: Path, root: Path) -> Iterator[Callable[..., Running]]:
    all_of_them: list[Running] = []

    def start(*words: str) -> Running:
        all_of_them.append(Running(tmp_path, root, *words))
        return all_of_them[-1]

    yield start
    for running in all_of_them:
        for process in (running.process, *running.seen.values()):
            with contextlib.suppress(psutil.Error, OSError):
                process.kill()


def _discover(start: Callable[..., Running], tmp_path: Path) -> Running:
    (tmp_path / "midas.toml").write_text("[evaluation]\nworkers = 1\n")
    return start("discover", "anything", "--data", "sample", "--kb", "kb", "--iterations", "500", "--seed", "3")


PHASES: dict[str, Callable[[Running], object]] = {
    "the panel is shared": lambda r: r.folders(),
    "a worker starts": lambda r: len(r.workers()) > 1,
    "a worker has the panel": lambda r: r.judging(),
}


@pytest.mark.parametrize("phase", list(PHASES))
def test_no_worker_outlives_a_killed_session(
    tmp_path: Path, started: Callable[..., Running], phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = _discover(started, tmp_path)
    _wait(lambda: PHASES[phase](running), 60, phase)
    running.kill()
    _wait(running.gone, 10, "its workers to end")
    assert len(running.folders()) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(running.scratch))
    with Scratch("panel") as folder:
        assert running.folders() == [folder.name]


def test_a_killed_session_is_ended_with_its_learning(
    tmp_path: Path, started: Callable[..., Running], capsys: pytest.CaptureFixture[str]
) -> None:
    running = _discover(started, tmp_path)
    path = tmp_path / "kb" / "journal.sqlite"

    def charged() -> int:
        with contextlib.suppress(Exception), TrialLedger(path, read_only=True) as ledger:
            return ledger.counted()
        return 0

    _wait(lambda: charged() > 1, 90, "two trials")
    running.kill()
    _wait(running.gone, 10, "its workers to end")
    trials = charged()
    settings = Settings(kb=str(tmp_path / "kb"))
    with contextlib.closing(Workspace(settings)) as workspace:
        (session,) = workspace.journal.sessions()
        assert session.kind == "interrupted"
        assert session.body["tried"] == trials
        assert "was interrupted" in workspace.notices[0]
        ended = workspace.journal.events(SessionEnded)
        assert [(e.session_id, e.result, e.tried) for e in ended] == [(session.key, "interrupted", trials)]  # type: ignore[attr-defined]
        (learning,) = workspace.kb.learnings(loop="offline")
        assert learning.session_id == session.key
        assert learning.result == "interrupted"
        assert len(learning.expressions) == trials
        assert learning.research_goal == "anything"
        assert workspace.kb.check() == []
    assert charged() == trials
    with contextlib.closing(Workspace(settings)) as workspace:  # once is enough
        assert workspace.journal.sessions()[0].kind == "interrupted"
        assert workspace.notices == []
        assert len(workspace.kb.learnings(loop="offline")) == 1
    assert not list((tmp_path / "kb").glob("journal.sqlite.session-*"))
    assert "interrupted" in call_midas(capsys, "learnings", "--kb", str(tmp_path / "kb")).out


def test_a_living_session_is_left_alone(tmp_path: Path) -> None:
    settings = Settings(kb=str(tmp_path / "kb"))
    with contextlib.closing(Workspace(settings)) as workspace:
        kb, journal, clock = workspace.kb, workspace.journal, workspace.clock
        mark = Alive(session_mark(journal, "s1"))
        journal.record_session(SessionSummary("s1", "goal", "local", clock.now()))
        with TrialLedger(journal.path) as ledger:
            ledger.record(TrialKey("(rank close)", "snap"), "s1", outcome="invalid", summary={"name": "a"})
        assert end_interrupted(kb, journal, clock) == []
        assert journal.sessions()[0].kind == "running"
        mark.release()
        assert len(end_interrupted(kb, journal, clock)) == 1
        assert journal.sessions()[0].kind == "interrupted"
        assert end_interrupted(kb, journal, clock) == []


def test_no_worker_outlives_a_killed_calibration(
    tmp_path: Path, started: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--data", "sample", "--kb", "kb", "--sessions", "50", "--workers", "1")
    running = started("calibrate", *words)
    _wait(lambda: len(running.folders()) > 1, 90, "a worker in its first session, with a folder of its own")
    running.kill()
    _wait(running.gone, 10, "its workers to end")
    assert len(running.folders()) == 2
    monkeypatch.setattr(tempfile, "tempdir", str(running.scratch))
    sweep_scratch()
    assert running.folders() == []


def test_a_suspended_worker_ends_too(tmp_path: Path, started: Callable[..., Running]) -> None:
    running = _discover(started, tmp_path)
    _wait(running.judging, 60, "a worker that has the panel")
    for worker in running.judging():
        worker.suspend()
    running.kill()
    if sys.platform == "linux":
        _wait(running.gone, 10, "its workers to end")


def test_only_folders_of_the_dead_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    mine = Scratch("panel")
    dead = tmp_path / f"midas-panel-{ended.pid}-abcd1234"
    dead.mkdir()
    (dead / "column-0.npy").write_bytes(b"x")
    given_again = tmp_path / f"midas-calibrate-{os.getppid()}-abcd1234"  # a living process has the number now
    given_again.mkdir()
    (given_again / ".alive").touch()
    young = tmp_path / f"midas-demo-{os.getppid()}-abcd1234"
    young.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / f"midas-panel-{ended.pid}-link").symlink_to(outside)
    foreign = [tmp_path / "midas-panel-notes", tmp_path / "midas-panel-12-A", tmp_path / "other"]
    for folder in foreign:
        folder.mkdir()
    assert sweep_scratch() == 2
    assert not dead.exists()
    assert not given_again.exists()
    assert mine.path.is_dir()
    assert young.is_dir()
    assert outside.is_dir()
    assert all(folder.is_dir() for folder in foreign)
    assert is_alive(mine.path / ".alive")
    mine.remove()
    assert not mine.path.exists()
