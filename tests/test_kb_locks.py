"""Writers take turns: processes, threads, tasks; a dead holder blocks nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from helpers_kb import learning, record
from midas_engine.errors import LockTimeoutError
from midas_engine.kb import transaction
from midas_engine.kb.atomic import atomic_write
from midas_engine.kb.locks import Claim, StoreLock
from midas_engine.kb.store import KnowledgeBase
from midas_engine.promoter.promoter import FeaturePromoter
from tests.helpers_patience import ServedClock

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.kb.files import Entry

HOLDER = """
import sys
from pathlib import Path
from midas_engine.kb.locks import StoreLock
with StoreLock(Path(sys.argv[1])).hold():
    print("held", flush=True)
    sys.stdin.read()
"""


def _holder(lock: Path, root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_many_processes_lose_nothing_and_double_nothing(tmp_path: Path, root: Path) -> None:
    writers, rounds = 4, 12
    kb = KnowledgeBase(tmp_path / "kb")
    script = str(root / "tests" / "many_writers_kb.py")
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(kb.path), str(n), str(rounds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=root,
        )
        for n in range(writers)
    ]
    reports = []
    for process in processes:
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
        reports.append(json.loads(out))
    assert sum(r["won"] for r in reports) == rounds
    assert sum(r["doubles"] for r in reports) == 0
    promoter = FeaturePromoter(kb)
    assert len(promoter.list_deployed()) == writers * rounds
    assert len(promoter.list_candidates()) == rounds
    assert len(kb.learnings()) == writers * rounds
    assert len(promoter.journal.actions()) == writers * rounds * 2 + rounds
    assert not promoter.journal.verify()
    assert not [p for p in kb.check() if p.severity == "error"]


def test_the_loser_is_told_who_holds_the_lock(tmp_path: Path, root: Path) -> None:
    process = _holder(tmp_path / "midas.lock", root)
    try:
        with pytest.raises(LockTimeoutError) as caught, StoreLock(tmp_path / "midas.lock").hold(timeout=0.05):
            pytest.fail("the lock was taken twice")
        assert f"process {process.pid}" in str(caught.value)
        assert "stop that process" in caught.value.hint
    finally:
        _end(process)


def test_a_killed_holder_lets_go_at_once(tmp_path: Path, root: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    process = _holder(kb.path / "midas.lock", root)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with ServedClock() as served:
        kb.save_learning(learning())
        assert served.seconds < 1.0


def test_rubbish_in_the_holders_remark_does_no_harm(tmp_path: Path) -> None:
    lock = StoreLock(tmp_path / "midas.lock")
    for rubbish in (b"", b"\xff\xfe", b"[" * 5000, b'{"pid": "x"}', b'{"pid": 1, "host": 2, "program": 3, "since": 4}'):
        (tmp_path / "midas.holder.lock").write_bytes(rubbish)
        assert isinstance(lock.holder(), str)


def test_the_lock_is_reentrant_for_its_holder_only(tmp_path: Path) -> None:
    lock = StoreLock(tmp_path / "midas.lock")
    order: list[str] = []

    def other() -> None:
        with lock.hold():
            order.append("other")

    with lock.hold(), lock.hold():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


async def test_a_second_task_is_refused_instead_of_blocking_the_loop(tmp_path: Path) -> None:
    lock = StoreLock(tmp_path / "midas.lock")
    inside = asyncio.Event()
    finish = asyncio.Event()

    async def first() -> None:
        with lock.hold():
            inside.set()
            await finish.wait()

    task = asyncio.create_task(first())
    await inside.wait()
    with pytest.raises(LockTimeoutError, match="another task"), lock.hold(timeout=30):
        pytest.fail("two tasks are inside")
    finish.set()
    await task
    with lock.hold():
        pass


async def test_fifty_tasks_write_one_after_another(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    inside = peak = 0

    def write(number: int) -> None:
        nonlocal inside, peak
        with kb.lock():
            inside += 1
            peak = max(peak, inside)
            kb.save_learning(learning(f"Task {number % 3}"))
            inside -= 1

    await asyncio.gather(*(asyncio.to_thread(write, n) for n in range(50)))
    assert peak == 1
    assert len(kb.learnings()) == 50


def test_a_role_is_taken_once(tmp_path: Path, root: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    with kb.claim("monitor"):
        with pytest.raises(LockTimeoutError, match="already has a monitor"):
            kb.claim("monitor")
        with kb.claim("recorder"):
            pass
    with kb.claim("monitor"):
        pass
    process = _holder(kb.path / "monitor.lock", root)
    try:
        with pytest.raises(LockTimeoutError, match=f"process {process.pid}"):
            Claim(kb.path / "monitor.lock", "monitor")
    finally:
        _end(process)
    with contextlib.closing(FeaturePromoter(kb)) as promoter:
        promoter.save_candidate(record())


def test_a_reader_that_began_before_a_change_was_decided_sees_it_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It has its mark and the first folder when the change is decided, and reads the others when that is carried out.
    promoter = FeaturePromoter(KnowledgeBase(tmp_path))
    promoter.save_candidate(record("alpha"))
    reader = KnowledgeBase(tmp_path)
    tree, began, carried_out = reader._features._tree, threading.Event(), threading.Event()
    listed = tree.entries

    def entries(folder: str) -> list[Entry]:
        found = listed(folder)
        began.set()
        assert carried_out.wait(60)
        return found

    monkeypatch.setattr(tree, "entries", entries)
    seen: list[list[tuple[str, str, str]]] = []
    look = threading.Thread(
        target=lambda: seen.append([(r.name, r.state.value, r.damaged) for r in reader._features.all()])
    )

    def write(path: Path, data: bytes, **more: bool) -> None:
        if path.name == "pending.json":
            look.start()
            assert began.wait(60)
        atomic_write(path, data, **more)

    monkeypatch.setattr(transaction, "atomic_write", write)
    promoter.promote("alpha", "a reason", force=True)
    carried_out.set()
    look.join(60)
    promoter.close()
    assert seen == [[("alpha", "deployed", "")]]
