"""The knowledge base in bad order: rubbish, links, strays, newer stores, folders that go away."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from helpers_kb import START, learning, record
from midas_engine.clock import ManualClock
from midas_engine.errors import (
    DocumentDamagedError,
    KnowledgeBaseError,
    ReadOnlyError,
    StoreVersionError,
)
from midas_engine.evaluator.gates.thresholds import DEFAULT_THRESHOLDS
from midas_engine.kb.store import KnowledgeBase
from midas_engine.promoter.promoter import FeaturePromoter

if TYPE_CHECKING:
    from pathlib import Path

CANDIDATES = "knowledge/features/candidates"


@pytest.fixture
def kb(tmp_path: Path) -> KnowledgeBase:
    return KnowledgeBase(tmp_path / "kb", clock=ManualClock(START))


# -- damage ---------------------------------------------------------------------------------------

RUBBISH: dict[str, bytes] = {
    "empty": b"",
    "binary": bytes(range(256)) * 10,
    "latin1": b"---\nname: rubbish\nexpression: caf\xe9\n---\n",
    "utf16": "---\nname: rubbish\n---\n".encode("utf-16"),
    "unclosed": b"---\nname: rubbish\nexpression: close\n",
    "bad yaml": b"---\nname: [rubbish\n---\n",
    "alias bomb": b"---\na: &a [x,x]\nb: *a\n---\n",
    "deep": b"---\na: " + b"[" * 3000 + b"]" * 3000 + b"\n---\n",
    "object": b"---\na: !!python/object/apply:os.system ['true']\n---\n",
    "list": b"---\n- a\n---\n",
    "wrong types": b"---\nname: rubbish\nexpression: [1]\nkilled: maybe\n---\n",
    "nul": b"---\nname: rub\0bish\n---\n",
    "escapes": b"---\nname: rubbish\nexpression: 1\n---\n\x1b]52;c;aGk=\x07",
    "large": b"x" * 3_000_000,
    "conflict": b"<<<<<<< HEAD\n---\nname: rubbish\n=======\n",
}


@pytest.mark.parametrize("case", sorted(RUBBISH))
def test_one_bad_file_never_hides_the_others(case: str, kb: KnowledgeBase) -> None:
    promoter = FeaturePromoter(kb)
    promoter.save_candidate(record("sound"))
    kb.save_learning(learning())
    for folder in (CANDIDATES, "knowledge/learnings/offline", "skills", "reports/daily"):
        (kb.path / folder / "rubbish.md").write_bytes(RUBBISH[case])
    again = KnowledgeBase(kb.path)
    assert [r.name for r in again.features()] == ["sound"]
    assert [r.name for r in again.damaged_features()] == ["rubbish"]
    assert (
        again.learnings()[-1].title == "Funding carry survives"
        or again.learnings()[0].title == "Funding carry survives"
    )
    infos = {d.path: d for d in again.documents()}
    assert infos[f"{CANDIDATES}/rubbish.md"].title
    assert again.search("funding")
    again.skills()
    assert [p for p in again.check() if p.path == f"{CANDIDATES}/rubbish.md" and p.severity == "error"]
    with pytest.raises(DocumentDamagedError):
        again.feature("rubbish")
    with pytest.raises(DocumentDamagedError):
        FeaturePromoter(again).promote("rubbish")
    FeaturePromoter(again).promote("sound")


def test_a_damaged_document_is_listed_with_its_reason(kb: KnowledgeBase) -> None:
    (kb.path / "skills" / "bad.md").write_bytes(b"caf\xe9")
    (kb.path / "skills" / "good.md").write_text("# A good skill\n")
    infos = {d.path: d for d in kb.documents()}
    assert "not UTF-8" in infos["skills/bad.md"].damaged
    assert (infos["skills/good.md"].title, infos["skills/good.md"].damaged) == ("A good skill", "")
    assert {d.kind for d in kb.documents()} >= {"skill", "prompt", "thresholds", "regime"}
    assert "bad" not in kb.skills()


def test_links_and_pipes_are_neither_followed_nor_read(kb: KnowledgeBase, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("---\nname: linked\nexpression: close\n---\nsecret\n")
    (kb.path / CANDIDATES / "linked.md").symlink_to(secret)
    os.mkfifo(kb.path / CANDIDATES / "pipe.md")
    (kb.path / "skills" / "linked.md").symlink_to(secret)
    os.mkfifo(kb.path / "skills" / "pipe.md")
    (kb.path / "knowledge/learnings/offline/dir.md").mkdir()
    (kb.path / "reports" / "out").symlink_to(tmp_path)
    (kb.path / "knowledge/learnings/online/loop").symlink_to(kb.path)
    assert kb.features() == []
    assert [r.damaged for r in kb.damaged_features()] == [
        "it is a link, not a regular file",
        "it is a special, not a regular file",
    ]
    assert set(kb.skills()) == {"factor-patterns", "midas-dsl"}
    assert not any("secret" in hit.excerpt for hit in kb.search("secret"))
    for path in ("skills/linked.md", "skills/pipe.md", "reports/out/secret.md"):
        with pytest.raises(KnowledgeBaseError):
            kb.read_text(path)
    with pytest.raises(KnowledgeBaseError, match="symbolic link"):
        kb.save_text("reports/out/new.md", "text")
    kb.save_text("skills/linked.md", "mine")  # replaces the link; what it pointed at is untouched
    assert secret.read_text().endswith("secret\n")
    assert kb.read_text("skills/linked.md") == "mine"
    assert len([p for p in kb.check() if "not followed" in p.message]) >= 3


def test_stray_temporary_files_are_swept_and_foreign_files_stay(kb: KnowledgeBase) -> None:
    dead = 2**22 + 1  # beyond the kernel's largest process number
    ours = [kb.path / f".midas-{dead}-0123456789ab.tmp", kb.path / CANDIDATES / f".midas-{dead}-0123456789ac.tmp"]
    foreign = [kb.path / CANDIDATES / ".carry.md.swp", kb.path / "notes.txt", kb.path / CANDIDATES / ".midas-x.tmp"]
    live = kb.path / "skills" / f".midas-{os.getppid()}-0123456789ab.tmp"
    for path in (*ours, *foreign, live):
        path.write_text("half")
    again = KnowledgeBase(kb.path)
    assert again.swept == 2
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in (*foreign, live))
    assert again.features() == []


# -- versions, permissions, folders that go away ---------------------------------------------------


def test_a_base_of_a_newer_midas_is_read_and_never_written(kb: KnowledgeBase) -> None:
    kb.write_feature(record())
    (kb.path / "schema.json").write_text('{"schema": 99}')
    before = sorted((p, p.stat().st_mtime_ns) for p in kb.path.rglob("*") if p.is_file())
    newer = KnowledgeBase(kb.path)
    assert newer.read_only
    assert "newer Midas" in newer.read_only_reason
    assert [r.name for r in newer.features()] == ["carry"]
    for write in (
        lambda: newer.save_learning(learning()),
        lambda: newer.write_feature(record("x")),
        lambda: newer.save_text("reports/daily/x.md", "x"),
        lambda: newer.claim("monitor"),
        lambda: FeaturePromoter(newer).promote("carry"),
    ):
        with pytest.raises(StoreVersionError, match="newer Midas"):
            write()
    assert sorted((p, p.stat().st_mtime_ns) for p in kb.path.rglob("*") if p.is_file()) == before
    assert any("newer Midas" in p.message for p in newer.check())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": "1"}', '{"schema": true}', '{"schema": NaN}', "\xff"])
def test_an_unreadable_schema_version_is_taken_for_a_newer_one(kb: KnowledgeBase, text: str) -> None:
    (kb.path / "schema.json").write_text(text, encoding="latin-1")
    again = KnowledgeBase(kb.path)
    assert again.read_only
    with pytest.raises(StoreVersionError):
        again.save_learning(learning())


def test_read_only_refuses_every_write(kb: KnowledgeBase) -> None:
    kb.write_feature(record())
    kb.save_learning(learning())
    reader = KnowledgeBase(kb.path, read_only=True)
    assert [r.name for r in reader.features()] == ["carry"]
    assert len(reader.learnings()) == 1
    with pytest.raises(ReadOnlyError):
        reader.save_learning(learning())
    promoter = FeaturePromoter(reader)
    with pytest.raises(ReadOnlyError):
        promoter.promote("carry")
    assert "read-only" in promoter.preview("promote", "carry").refusal


def test_a_disk_that_is_read_only_degrades_to_reading(kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    kb.write_feature(record())
    opened = os.open

    def refuse(path: object, flags: int, *args: object, **kwargs: object) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, flags, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    degraded = KnowledgeBase(kb.path)
    assert degraded.read_only
    assert "Read-only file system" in degraded.read_only_reason
    assert [r.name for r in degraded.features()] == ["carry"]
    with pytest.raises(ReadOnlyError):
        degraded.save_learning(learning())


def test_a_base_that_is_deleted_while_open_reads_as_empty_and_refuses_writes(kb: KnowledgeBase) -> None:
    kb.write_feature(record())
    shutil.rmtree(kb.path)
    assert kb.features() == []
    assert kb.documents() == []
    assert kb.learnings() == []
    assert kb.skills() == {}
    assert kb.thresholds() == DEFAULT_THRESHOLDS
    assert kb.check()[0].message.startswith("there is no knowledge base")
    with pytest.raises(KnowledgeBaseError):
        kb.save_learning(learning())
    assert not kb.path.exists()


def test_a_base_that_is_swapped_while_open_is_not_written_to(kb: KnowledgeBase, tmp_path: Path) -> None:
    KnowledgeBase(tmp_path / "other")
    kb.path.rename(tmp_path / "away")
    (tmp_path / "other").rename(kb.path)
    with pytest.raises(KnowledgeBaseError, match="replaced by another folder"):
        kb.save_learning(learning())
    assert list((kb.path / "knowledge/learnings/offline").iterdir()) == []


def test_a_file_where_the_base_belongs_is_named(tmp_path: Path) -> None:
    (tmp_path / "kb").write_text("x")
    with pytest.raises(KnowledgeBaseError, match="a file is in the way"):
        KnowledgeBase(tmp_path / "kb")
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "skills").write_text("x")
    with pytest.raises(KnowledgeBaseError, match="skills is in the way"):
        KnowledgeBase(tmp_path / "base")
