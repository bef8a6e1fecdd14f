"""The journal on a bad day: torn, flipped, locked, newer, shared, killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from midas_engine.clock import ManualClock
from midas_engine.errors import JournalError
from midas_engine.journal import Journal

AT = datetime(2026, 1, 2, 3, tzinfo=UTC)


def _filled(path: Path, rows: int = 60) -> Journal:
    journal = Journal(path, clock=ManualClock(AT))
    for n in range(rows):
        journal.append_action("promote", f"feature_{n}", id=f"id{n}", body={"n": n})
    journal.put_states({"engine": b"x" * 500, "detector": b"y" * 500})
    for n in range(rows):
        journal.record_shadow("bar", AT + timedelta(hours=n), {"n": n})
    return journal


def _intact(journal: Journal) -> None:
    """Whatever was saved is right: no row is wrong, each is one that was written, in order."""
    actions = journal.actions()
    numbers = [a.body["n"] for a in actions]
    assert numbers == sorted(set(numbers))
    assert all(a.feature == f"feature_{a.body['n']}" and a.action == "promote" and a.at == AT for a in actions)
    for key, value in (("engine", b"x" * 500), ("detector", b"y" * 500)):
        assert journal.get_state(key) in (None, value)
    journal.append_action("demote", "after_all", body={"n": 10_000})
    assert journal.actions()[-1].feature == "after_all"


def test_a_torn_log_loses_its_tail_and_nothing_else(tmp_path: Path) -> None:
    origin = tmp_path / "origin.sqlite"
    journal = _filled(origin, 25)
    log = Path(f"{origin}-wal").read_bytes()
    main = origin.read_bytes()
    journal.close()
    seen: set[int] = set()
    for size in sorted({*range(0, len(log), 7919), len(log)}):
        path = tmp_path / f"torn-{size}.sqlite"
        path.write_bytes(main)
        Path(f"{path}-wal").write_bytes(log[:size])
        torn = Journal(path)
        kept = len(torn.actions())
        seen.add(kept)
        _intact(torn)
        assert [a.body["n"] for a in torn.actions()[:-1]] == list(range(kept))
        assert torn.verify() == []
        torn.close()
    assert max(seen) == 25
    assert len(seen) > 5


def test_a_truncated_file_is_salvaged_and_the_wreck_is_kept(tmp_path: Path) -> None:
    origin = tmp_path / "origin.sqlite"
    journal = _filled(origin)
    journal.close()
    data = origin.read_bytes()
    assert not Path(f"{origin}-wal").exists()
    saved = []
    for size in range(1, len(data), 4096 - 13):
        path = tmp_path / f"cut-{size}.sqlite"
        path.write_bytes(data[:size])
        cut = Journal(path, clock=ManualClock(AT))
        assert cut.notices, size
        assert "damaged" in cut.notices[0]
        saved.append(len(cut.actions()))
        _intact(cut)
        cut.close()
        wrecks = [p for p in tmp_path.glob(f"cut-{size}.sqlite.damaged-*") if not p.name.endswith(("-wal", "-shm"))]
        assert len(wrecks) == 1
        assert wrecks[0].read_bytes() == data[:size]
    assert max(saved) > 20


def test_flipped_bits_never_change_what_is_read(tmp_path: Path) -> None:
    origin = tmp_path / "origin.sqlite"
    _filled(origin).close()
    data = origin.read_bytes()
    generator = random.Random(7)
    noticed = 0
    for _ in range(150):
        position = generator.randrange(len(data) * 8)
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << (position % 8)
        path = tmp_path / "flipped.sqlite"
        for stray in tmp_path.glob("flipped.sqlite*"):
            stray.unlink()
        path.write_bytes(bytes(flipped))
        try:
            journal = Journal(path, clock=ManualClock(AT))
        except JournalError:  # a flipped schema version is taken for a newer program's
            noticed += 1
            continue
        try:
            faults = journal.verify()
            _intact(journal)
            lost = len(journal.actions()) - 1 < 60 or journal.get_state("engine") is None
            assert not lost or faults or journal.notices, f"bit {position}: something is gone and nobody says so"
            noticed += bool(faults or journal.notices)
        finally:
            journal.close()
    assert noticed > 8  # most bits of so small a file lie in empty pages


def test_a_damaged_row_is_set_aside_and_the_others_stay(tmp_path: Path) -> None:
    journal = _filled(tmp_path / "journal.sqlite", 5)
    raw = sqlite3.connect(journal.path)
    raw.execute("UPDATE actions SET key = 'feature_9' WHERE seq = 3")
    raw.execute("UPDATE shadow SET body = '{' WHERE seq = 2")
    raw.execute("UPDATE states SET value = x'00' WHERE key = 'engine'")
    raw.commit()
    raw.close()
    assert [a.body["n"] for a in journal.actions()] == [0, 1, 3, 4]
    assert journal.get_state("engine") is None
    assert journal.get_state("detector") == b"y" * 500
    assert any("engine" in notice for notice in journal.notices)
    faults = journal.verify()
    assert "actions row 3: the checksum does not fit" in faults
    assert "shadow row 2: the checksum does not fit" in faults
    journal.append_action("demote", "after", id="next")
    assert journal.actions()[-1].feature == "after"


@pytest.mark.parametrize("statement", ["DELETE FROM actions WHERE seq = 3", "DELETE FROM actions WHERE seq = 1"])
def test_a_removed_action_breaks_the_chain(tmp_path: Path, statement: str) -> None:
    journal = _filled(tmp_path / "journal.sqlite", 5)
    raw = sqlite3.connect(journal.path)
    raw.execute(statement)
    raw.commit()
    raw.close()
    assert any("removed or changed" in fault for fault in journal.verify())
    assert len(journal.actions()) == 4


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    journal = _filled(tmp_path / "journal.sqlite", 1)
    journal.close()
    raw = sqlite3.connect(journal.path)
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    for read_only in (False, True):
        with pytest.raises(JournalError, match="newer Midas"):
            Journal(journal.path, read_only=read_only)
    assert not list(tmp_path.glob("*.damaged-*"))


def test_another_programs_file_is_set_aside_and_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_text("my shopping list, which is quite long and certainly not a database at all\n" * 50)
    journal = Journal(path, clock=ManualClock(AT))
    assert journal.actions() == []
    assert next(iter(tmp_path.glob("*.damaged-*"))).read_text().startswith("my shopping")


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "none" / "journal.sqlite")


def test_a_busy_journal_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midas_engine.journal.database.BUSY_SECONDS", 0.05)
    journal = _filled(tmp_path / "journal.sqlite", 1)
    other = sqlite3.connect(journal.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="locked") as caught:
        journal.append_action("promote", "carry")
    assert "try again" in caught.value.hint
    assert len(journal.actions()) == 1
    other.execute("ROLLBACK")
    other.close()
    journal.append_action("promote", "carry")


WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from midas_engine.journal import Journal
journal = Journal(sys.argv[1])
for n in range(int(sys.argv[3])):
    journal.append_action("promote", "feature", id=f"{sys.argv[2]}-{n}", body={"n": n})
    journal.put_states({"a": str(n).encode(), "b": str(n).encode()})
    print(n, flush=True)
"""


def test_processes_share_the_journal_without_loss(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "journal.sqlite"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name, "40"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=root,
        )
        for name in "abcd"
    ]
    for process in processes:
        _, errors = process.communicate(timeout=110)
        assert process.returncode == 0, errors
    journal = Journal(path)
    actions = journal.actions()
    assert len({a.id for a in actions}) == len(actions) == 160
    for name in "abcd":
        assert [a.body["n"] for a in actions if a.id.startswith(name)] == list(range(40))
    assert journal.verify() == []


def test_a_killed_writer_leaves_whole_transactions(tmp_path: Path, root: Path) -> None:
    for attempt in range(6):
        path = tmp_path / f"journal-{attempt}.sqlite"
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), "a", "5000"], stdout=subprocess.PIPE, text=True, cwd=root
        )
        assert process.stdout is not None
        for _ in range(3 + attempt * 7):
            last = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        journal = Journal(path)
        assert journal.get_state("a") == journal.get_state("b")
        numbers = [a.body["n"] for a in journal.actions()]
        assert numbers == list(range(len(numbers)))
        assert numbers[-1] >= last
        assert journal.verify() == []
        journal.close()


def test_a_copy_of_the_files_is_a_backup(tmp_path: Path) -> None:
    journal = _filled(tmp_path / "journal.sqlite", 10)
    (tmp_path / "copy").mkdir()
    for path in tmp_path.glob("journal.sqlite*"):
        if path.is_file():
            shutil.copy(path, tmp_path / "copy")
    copy = Journal(tmp_path / "copy" / "journal.sqlite")
    assert len(copy.actions()) == len(journal.actions())
