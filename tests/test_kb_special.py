"""Pipes, sockets, devices, folders and links where the base opens a file: no verb waits for them, each names them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from midas_engine.errors import JournalError
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.promoter import FeaturePromoter
from midas_engine.regular import NotRegularError, open_regular
from tests.helpers_kb import record

if TYPE_CHECKING:
    from pathlib import Path

VERBS = """
import json, sys
from midas_engine.cli.entry import run
codes = [run(words) for words in json.loads(sys.argv[1])]
print("CODES", *codes)
"""

SEEN_BY_CHECK = [
    "midas.lock", "midas.holder.lock", ".midas/sequence", "journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm",
    "journal.sqlite-journal", "journal.sqlite.lock", "knowledge/thresholds.json", "proposer/prompts/plan.md",
    "knowledge/features/candidates/carry.md", "knowledge/learnings/offline/one.md", "reports/daily/2026-01-01.md",
    "skills/midas-dsl.md", "monitor.lock",
]  # fmt: skip
PLACES = ("midas.holder.lock", ".midas/sequence", "journal.sqlite", "journal.sqlite-journal")
# Where a pipe stands in the way of a verb that writes.
REFUSES_WRITING = SEEN_BY_CHECK[:8]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("special") / "kb"
    kb = KnowledgeBase(folder)
    kb.write_feature(record("carry"))
    kb.write_feature(record("momentum"))
    promoter = FeaturePromoter(kb)
    promoter.reject("momentum", "for the record")
    promoter.close()
    return folder


def _run(cwd: Path, root: Path, *lines: list[str]) -> tuple[list[int], str, float]:
    """The verbs one after the other in one process, and how long that took beyond starting Python."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", VERBS, json.dumps(lines)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(root)},
        timeout=110,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    spent = time.perf_counter() - begun
    said = done.stdout + done.stderr
    assert "CODES" in done.stdout, said
    return [int(code) for code in done.stdout.split("CODES")[1].split()], said, spent


@pytest.mark.parametrize("place", SEEN_BY_CHECK)
def test_a_pipe_hangs_no_verb_and_is_named(tmp_path: Path, base: Path, root: Path, place: str) -> None:
    kb = tmp_path / "kb"
    shutil.copytree(base, kb)
    (kb / place).unlink(missing_ok=True)
    os.mkfifo(kb / place)
    lines = [["kb", "check", "--kb", str(kb)], ["reject", "carry", "--reason", "no", "--kb", str(kb)]]
    codes, said, _ = _run(tmp_path, root, *lines)
    assert codes[0] == 1, said
    assert place in said
    assert 70 not in codes
    if place in REFUSES_WRITING:
        assert codes[1] == 6, said
        assert said.count(place.rpartition("/")[2]) > 1, "the verb that writes names it too"
    assert (kb / place).is_fifo() or codes[1] == 0


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "loop", "link to nothing", "link to a file", "device"])
def test_other_special_files_are_refused_too(tmp_path: Path, base: Path, root: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    lines, names = [], []
    for number, place in enumerate(
        ("midas.holder.lock", ".midas/sequence", "journal.sqlite", "journal.sqlite-journal")
    ):
        kb = tmp_path / f"kb{number}"
        shutil.copytree(base, kb)
        path = kb / place
        path.unlink(missing_ok=True)
        if kind == "socket":
            here = os.getcwd()
            os.chdir(path.parent)  # a socket's path must be short
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path.name)
            os.chdir(here)
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            target = {"loop": path, "link to nothing": kb / "none", "link to a file": outside, "device": "/dev/tty"}[
                kind
            ]
            path.symlink_to(target)
        lines.append(["reject", "carry", "--reason", "no", "--kb", str(kb)])
        names.append(str(path))
    codes, said, _ = _run(tmp_path, root, *lines)
    assert codes == [6] * len(lines), said
    for name in names:
        assert name in said
    assert outside.read_text() == "untouched"
    assert not (tmp_path / "kb0" / "none").exists()


def test_pipes_outside_the_base_hang_no_verb(tmp_path: Path, base: Path, root: Path) -> None:
    for name in ("midas.toml", "panel.parquet", "bars.csv", "kb-pipe"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "panel.parquet")
    codes, said, _ = _run(tmp_path, root, ["status", "--kb", str(base)], ["discover", "carry", "--kb", str(base)])
    assert codes == [0, 2]  # what only looks at a base answers, and says what it could not read
    assert "midas.toml is a named pipe" in said
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    asked = [
        ["status", "--kb", str(base), "--config", str(tmp_path / "midas.toml")],
        ["data", "info", str(tmp_path / "panel.parquet")],
        ["evaluate", "close", "--data", str(tmp_path / "panel.parquet"), "--kb", str(base)],
        ["evaluate", "close", "--data", str(tmp_path / "bars.csv"), "--kb", str(base)],
        ["evaluate", "close", "--data", str(tmp_path / "folder"), "--kb", str(base)],
        ["status", "--kb", str(tmp_path / "kb-pipe")],
    ]
    codes, said, _ = _run(elsewhere, root, *asked)
    assert not {0, 70} & set(codes), said
    for name in ("midas.toml", "panel.parquet", "bars.csv", "folder", "kb-pipe"):
        assert str(tmp_path / name) in said


def test_a_ledger_behind_a_pipe_does_not_read_as_empty(tmp_path: Path, base: Path, root: Path) -> None:
    kb = tmp_path / "kb"
    shutil.copytree(base, kb)
    (kb / "journal.sqlite").unlink()
    os.mkfifo(kb / "journal.sqlite")
    codes, said, _ = _run(tmp_path, root, ["ledger", "--kb", str(kb)], ["explain", "gone", "--kb", str(kb)])
    assert codes[0] == 6
    assert "journal.sqlite" in said
    assert "Nothing was tried yet" not in said


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT):
        with pytest.raises(NotRegularError, match="named pipe"):
            open_regular(pipe, flags)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(NotRegularError, match="symbolic link"):
        open_regular(tmp_path / "link", os.O_WRONLY | os.O_CREAT)
    assert not (tmp_path / "target").exists()
    with pytest.raises(JournalError, match="device"):
        Journal("/dev/full")


def test_more_files_than_are_read_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    from tests.helpers_cli import call_midas

    for module in ("files", "check"):
        monkeypatch.setattr(f"midas_engine.kb.{module}.MAX_ENTRIES", 20)
    kb = KnowledgeBase(tmp_path / "kb")
    folder = kb.path / "knowledge/learnings/offline"
    for number in range(53):
        path = folder / f"2026-01-01-n{number:03d}.md"
        path.write_text(f"---\ntitle: n{number}\n---\n\nbody\n")
        os.utime(path, ns=(10**18 + number, 10**18 + number))
    tree = kb._tree
    kept = [entry.path.rpartition("/")[2] for entry in tree.entries("knowledge/learnings/offline")]
    assert kept == [f"2026-01-01-n{number:03d}.md" for number in range(33, 53)]
    problems = [p for p in kb.check() if "left out" in p.message]
    assert [(p.path, p.severity) for p in problems] == [("knowledge/learnings/offline", "error")]
    assert "33 of its files" in problems[0].message
    assert kb.notices() == ["33 files of knowledge/learnings/offline are left out: the newest 20 are read"]
    for verb in (["learnings"], ["kb", "check"]):
        ran = call_midas(capsys, *verb, "--kb", str(kb.path))  # type: ignore[arg-type]
        assert "33" in ran.err + ran.out, verb
    for path in sorted(folder.iterdir())[:33]:
        path.unlink()
    assert [p for p in kb.check() if "left out" in p.message] == []
    assert kb.notices() == []
