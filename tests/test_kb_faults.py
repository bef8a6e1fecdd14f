"""What the disk can do to the base: death at every call, refusals at every call, short writes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from helpers_kb import learning, record
from helpers_kb_faults import ERRORS, at_call, fail, short
from midas_engine.errors import KnowledgeBaseError, MidasError
from midas_engine.kb import files
from midas_engine.kb.atomic import atomic_write
from midas_engine.kb.store import KnowledgeBase
from midas_engine.promoter.promoter import FeaturePromoter

if TYPE_CHECKING:
    from pathlib import Path

# The benchmark `torture_kb.py` takes every call of every action; here each action meets a part of them.
STRIDES = {
    "promote": 2,
    "kill": 3,
    "learning": 1,
    "save": 7,
    "reject": 7,
    "shadow": 7,
    "demote": 7,
    "pause": 7,
    "undo": 6,
    "redeploy": 8,
    "rollback": 9,
}


@pytest.mark.parametrize("scenario", list(STRIDES))
def test_a_process_that_dies_at_any_call_leaves_the_old_state_or_the_new_one(
    scenario: str, tmp_path: Path, root: Path
) -> None:
    driver = root / "tests" / "crash_driver_kb.py"
    done = subprocess.run(
        [sys.executable, str(driver), scenario, str(tmp_path), str(STRIDES[scenario])],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=root,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["before"] > 0
    assert report["after"] > 0


@pytest.mark.parametrize("code", sorted(ERRORS.values()))
@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename", "close"])
def test_a_refused_replacement_keeps_the_old_content(tmp_path: Path, call: str, code: int) -> None:
    target = tmp_path / "document.md"
    atomic_write(target, b"old")
    with at_call(1, fail(code), (call,)) as counter, pytest.raises(KnowledgeBaseError) as caught:
        atomic_write(target, b"new" * 3000)
    assert counter.hit == call
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["document.md"]
    assert caught.value.hint
    atomic_write(target, b"new")
    assert target.read_bytes() == b"new"


def test_a_failed_fsync_is_never_repeated_on_the_same_file(tmp_path: Path) -> None:
    synced: list[int] = []

    def refuse(name: str, args: tuple[object, ...], original: object) -> None:
        synced.append(int(str(args[0])))
        raise OSError(errno.EIO, "gone")

    target = tmp_path / "document.md"
    atomic_write(target, b"old")
    with at_call(1, refuse, ("fsync",)) as counter, pytest.raises(KnowledgeBaseError, match="not written"):
        atomic_write(target, b"new")
    assert counter.seen == 1
    assert target.read_bytes() == b"old"


def test_a_folder_that_cannot_be_synced_is_said_aloud(tmp_path: Path) -> None:
    target = tmp_path / "document.md"
    with at_call(2, fail(errno.EIO), ("fsync",)), pytest.raises(KnowledgeBaseError, match="may not survive"):
        atomic_write(target, b"new")
    assert target.read_bytes() == b"new"


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.write
    sizes: list[int] = []

    def write(handle: int, data: bytes) -> int:
        sizes.append(len(data))
        return original(handle, bytes(data)[:7])

    monkeypatch.setattr(os, "write", write)
    atomic_write(tmp_path / "document.md", bytes(range(100)))
    assert (tmp_path / "document.md").read_bytes() == bytes(range(100))
    assert len(sizes) == 15


def test_a_disk_that_accepts_no_bytes_is_an_error_and_not_an_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atomic_write(tmp_path / "document.md", b"old")
    monkeypatch.setattr(os, "write", lambda handle, data: 0)
    with pytest.raises(KnowledgeBaseError, match="no bytes"):
        atomic_write(tmp_path / "document.md", b"new")
    assert (tmp_path / "document.md").read_bytes() == b"old"


def test_a_file_that_comes_out_shorter_is_never_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atomic_write(tmp_path / "document.md", b"old")
    original = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: original(handle, bytes(data)[:1]) and len(data))
    with pytest.raises(KnowledgeBaseError, match="shorter"):
        atomic_write(tmp_path / "document.md", b"new")
    assert (tmp_path / "document.md").read_bytes() == b"old"


def test_a_file_is_synced_before_its_rename_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, rename = os.fsync, os.rename

    def traced_fsync(handle: int) -> None:
        order.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
        fsync(handle)

    def traced_rename(source: str, target: str) -> None:
        order.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(os, "rename", traced_rename)
    atomic_write(tmp_path / "document.md", b"new")
    assert order == ["file", "rename", "folder"]


@pytest.mark.parametrize("fault", sorted(ERRORS))
def test_a_promotion_that_the_disk_refuses_happens_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    # What was written a moment ago is read again; on a fast machine that is every feature of the test so far.
    monkeypatch.setattr(files, "_RACY_NS", 0)
    kb = KnowledgeBase(tmp_path / "kb")
    promoter = FeaturePromoter(kb)
    promoter.save_candidate(record("warm_up"))
    refused = 0
    for number in range(1, 200):
        name = f"feature_{number}"
        promoter.save_candidate(record(name))
        with at_call(number, fail(ERRORS[fault])) as counter:
            try:
                promoter.promote(name)
            except MidasError:
                refused += 1
        states = [r.state.value for r in kb.features() if r.name == name]
        assert states in (["candidate"], ["deployed"]), f"{fault} at call {number} ({counter.hit}): {states}"
        assert not kb.damaged_features()
        if states == ["candidate"]:
            promoter.promote(name)
        else:
            with pytest.raises(MidasError, match="is not possible"):
                promoter.promote(name)
        assert kb.feature(name).state.value == "deployed"
        if not counter.hit:
            break
    else:
        pytest.fail("the promotion never ran to its end")
    assert refused > 10
    promoted = [a.feature for a in promoter.journal.actions() if a.action == "promote"]
    assert len(promoted) == len(set(promoted)) == number
    assert not promoter.journal.verify()
    assert not list(kb.path.rglob("*.tmp"))


def test_a_full_disk_leaves_no_decision_behind(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    promoter = FeaturePromoter(kb)
    promoter.save_candidate(record("carry"))
    originals = os.write

    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    os.write = full
    try:
        with pytest.raises(KnowledgeBaseError, match="[Nn]o space"):
            promoter.promote("carry")
        with pytest.raises(KnowledgeBaseError, match="[Nn]o space"):
            kb.save_learning(learning())
    finally:
        os.write = originals
    assert promoter.list_candidates() == ["carry"]
    assert kb.learnings() == []
    promoter.promote("carry")
    kb.save_learning(learning())
    assert promoter.list_deployed() == ["carry"]
    assert len(kb.learnings()) == 1


def test_short_writes_anywhere_do_not_hurt_a_promotion(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    promoter = FeaturePromoter(kb)
    promoter.save_candidate(record("carry"))
    for number in range(1, 12):
        with at_call(number, short, ("write",)):
            promoter.pause("carry") if promoter.list_deployed() and number % 2 else None
            promoter.promote("carry") if promoter.list_candidates() else promoter.undo()
    assert kb.feature("carry").expression == record().expression
    assert not kb.damaged_features()
