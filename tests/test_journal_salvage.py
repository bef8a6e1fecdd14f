"""The journal when its file is damaged or replaced while others have it open."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.torture.torture_journal import PAGE, Damage, damages, fill, homes, log_damages, outcome
from midas_engine.clock import ManualClock
from midas_engine.errors import JournalDamagedError, JournalError
from midas_engine.evaluator.trials.ledger import TrialKey, TrialLedger
from midas_engine.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = datetime(2026, 1, 2, 3, tzinfo=UTC)

HOLDER = """
import sys
from midas_engine.journal import Journal
journal = Journal(sys.argv[1])
print("open", flush=True)
for line in sys.stdin:
    try:
        journal.append_action("kill", line.strip(), id=line.strip())
        print("written", flush=True)
    except Exception as error:
        print(type(error).__name__, str(error).replace("\\n", " "), flush=True)
"""


class Holder:
    """Another process that has the journal open, as a monitor has."""

    def __init__(self, path: Path, root: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )
        assert self._line() == "open"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill_feature(self, name: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        return self._line()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def holder(tmp_path: Path, root: Path) -> Iterator[Holder]:
    held = Holder(tmp_path / "journal.sqlite", root)
    yield held
    held.end()


def _garble(path: Path) -> None:
    """Break the schema in place, as a bad disk does."""
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3000)


@pytest.mark.parametrize("suspended", [False, True], ids=["running", "suspended"])
def test_no_salvage_under_a_living_writer(
    tmp_path: Path, holder: Holder, suspended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midas_engine.journal.salvage.WAIT_SECONDS", 0.1)
    path = tmp_path / "journal.sqlite"
    assert holder.kill_feature("carry") == "written"
    if suspended:
        os.kill(holder.process.pid, signal.SIGSTOP)
    shutil.copy(f"{path}-wal", tmp_path / "log")
    for _ in range(3):
        _garble(path)
        with Path(f"{path}-wal").open("r+b") as file:
            file.truncate(0)  # what is damaged must not be hidden by the log
        with pytest.raises(JournalError, match=f"process {holder.process.pid}") as caught:
            Journal(path)
        assert "stop the monitor" in caught.value.hint
        with pytest.raises(JournalError, match="has it open"):
            TrialLedger(path)
    assert not list(tmp_path.glob("*.damaged-*"))
    holder.end()
    shutil.copy(tmp_path / "log", f"{path}-wal")
    with Journal(path, clock=ManualClock(AT)) as journal:
        assert [a.feature for a in journal.actions()] == ["carry"]


def test_two_writers_salvage_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    fill(path, 20)
    _garble(path)
    with Journal(path, clock=ManualClock(AT)) as one, Journal(path) as two:
        assert "was damaged" in one.notices[0]
        assert "0 are missing" in one.notices[0]
        assert two.notices == []
        assert len(two.actions()) == 20
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1


def _restore(path: Path, backup: Path) -> None:
    """As a person restores: the old files away, the copy in their place."""
    for stray in path.parent.glob(path.name + "*"):
        if not stray.name.endswith(".lock"):
            stray.unlink()
    shutil.copy(backup, path)


def _renamed_over(path: Path, backup: Path) -> None:
    spare = path.with_name("spare")
    shutil.copy(backup, spare)
    os.rename(spare, path)


def _moved_away_by_an_older_midas(path: Path, backup: Path) -> None:
    for tail in ("", "-wal", "-shm"):
        os.rename(f"{path}{tail}", f"{path}.damaged-old{tail}")
    shutil.copy(backup, path)


def _folder_replaced(path: Path, backup: Path) -> None:
    os.rename(path.parent, path.parent.with_name("elsewhere"))
    path.parent.mkdir()
    shutil.copy(backup, path)


WAYS = [_restore, _renamed_over, _moved_away_by_an_older_midas, _folder_replaced]


@pytest.mark.parametrize("replace", WAYS)
def test_no_durable_write_vanishes_when_the_file_is_replaced(tmp_path: Path, root: Path, replace: object) -> None:
    folder = tmp_path / "kb"
    folder.mkdir()
    path = folder / "journal.sqlite"
    with Journal(path) as journal:
        journal.append_action("promote", "carry", id="first")
    backup = tmp_path / "backup.sqlite"
    shutil.copy(path, backup)
    holder = Holder(path, root)
    try:
        assert holder.kill_feature("before") == "written"
        replace(path, backup)  # type: ignore[operator]
        assert holder.kill_feature("after") == "written"
        assert holder.kill_feature("again") == "written"
        with Journal(path) as other:  # while the writer lives, and so without its closing
            assert [a.id for a in other.actions()][-2:] == ["after", "again"]
            assert other.verify() == []
    finally:
        holder.end()
    with Journal(path) as other:
        assert [a.id for a in other.actions()][-2:] == ["after", "again"]
        assert other.actions()[0].id == "first"


@pytest.mark.parametrize("replace", WAYS)
def test_no_trial_vanishes_when_the_file_is_replaced(tmp_path: Path, replace: object) -> None:
    folder = tmp_path / "kb"
    folder.mkdir()
    path = folder / "journal.sqlite"
    with Journal(path) as journal:  # a backup from before there was a ledger
        journal.append_action("promote", "carry")
    backup = tmp_path / "backup.sqlite"
    shutil.copy(path, backup)
    with TrialLedger(path) as ledger:
        ledger.record(TrialKey("(rank 0)", "snap"), "s")
        replace(path, backup)  # type: ignore[operator]
        ledger.record(TrialKey("(rank 1)", "snap"), "s")
        ledger.add_look("look", "s", {"passed": True})
    with TrialLedger(path) as ledger:
        # A log that was left in its place brings the row of before the replacement along.
        assert [t.canonical for t in ledger.history() if t.canonical != "(rank 0)"] == ["(rank 1)"]
        assert len(ledger.looks()) == 1
        assert ledger.verify() == []


def test_a_backup_copied_into_the_open_file_keeps_what_is_acknowledged(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        journal.append_action("promote", "carry", id="first")
    shutil.copy(path, tmp_path / "backup")
    holder = Holder(path, root)
    assert holder.kill_feature("before") == "written"
    shutil.copy(tmp_path / "backup", path)
    assert holder.kill_feature("after") == "written"
    holder.end()
    with Journal(path) as other:
        assert [a.id for a in other.actions()] == ["first", "before", "after"]


@pytest.mark.parametrize("put", ["nothing", "a folder", "a pipe", "rubbish"])
def test_a_write_without_a_file_is_an_error_aloud(tmp_path: Path, holder: Holder, put: str) -> None:
    path = tmp_path / "journal.sqlite"
    assert holder.kill_feature("before") == "written"
    path.unlink()
    if put == "a folder":
        path.mkdir()
    elif put == "a pipe":
        os.mkfifo(path)
    elif put == "rubbish":
        path.write_bytes(b"rubbish" * 1000)
    for name in ("one", "two"):
        assert "Error" in holder.kill_feature(name)
    if put == "a folder":
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    for tail in ("-wal", "-shm"):
        Path(f"{path}{tail}").unlink(missing_ok=True)
    Journal(path).close()
    assert holder.kill_feature("three") == "written"
    with Journal(path) as journal:
        assert [a.id for a in journal.actions()] == ["three"]


@pytest.mark.parametrize("size", [0, 1, 511])
def test_an_empty_file_is_damage_and_no_new_journal(tmp_path: Path, size: int) -> None:
    path = tmp_path / "journal.sqlite"
    fill(path, 5)
    with path.open("r+b") as file:
        file.truncate(size)
    with pytest.raises(JournalDamagedError):
        Journal(path, read_only=True)
    with Journal(path, clock=ManualClock(AT)) as journal:
        assert "was damaged" in journal.notices[0]
        assert "0 rows were saved, how many are missing is not known" in journal.notices[0]


def test_a_salvage_that_was_cut_off_is_finished(tmp_path: Path, root: Path) -> None:
    """Killed at every rename and removal in turn: the rows are there afterwards, whoever opens it."""
    origin = tmp_path / "origin.sqlite"
    data, _ = fill(origin, 10)
    broken = bytearray(data)
    broken[100:3000] = b"\xff" * 2900
    code = (
        "import os, sys\nfrom midas_engine.journal import Journal\nleft = [int(sys.argv[2])]\n"
        "def count(event, args):\n"
        "    if event in ('os.rename', 'os.remove', 'os.link') and '.midas-' not in str(args[0]):\n"
        "        left[0] -= 1\n"
        "        if left[0] == 0: os.kill(os.getpid(), 9)\n"
        "sys.addaudithook(count)\nJournal(sys.argv[1]).close()\n"
    )
    for step in range(1, 40):
        folder = tmp_path / f"step{step}"
        folder.mkdir()
        path = folder / "journal.sqlite"
        path.write_bytes(bytes(broken))
        ended = subprocess.run([sys.executable, "-c", code, str(path), str(step)], cwd=root, check=False).returncode
        with Journal(path) as journal:
            assert len(journal.actions()) == 10, step
            assert journal.verify() == journal.notices
        assert any(p.read_bytes() == bytes(broken) for p in folder.glob("*.damaged-*")), step
        if ended == 0:
            break
    assert ended == 0
    assert step > 5


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, frozenset[int]]]:
    data, _ = fill(tmp_path_factory.mktemp("sound") / "journal.sqlite", 120)
    return data, homes(data, 120)


@pytest.mark.parametrize("seed", range(2))
def test_no_damage_is_silent_or_final(
    tmp_path: Path, sound: tuple[bytes, dict[str, frozenset[int]]], seed: int
) -> None:
    """A part of `benchmarks/torture/torture_journal.py`, which damages every page in turn."""
    data, home = sound
    drawn = random.Random(seed).sample(list(damages(data, 60, seed, step=7)), 30)
    faults = {d.name: fault for d in drawn if (fault := outcome(d, tmp_path, 120, home)[1])}
    assert faults == {}


@pytest.mark.parametrize("pair", [("states", "quarantine"), ("states", "meta"), ("meta", "quarantine")], ids="-".join)
def test_tables_without_row_numbers_that_changed_places_are_told_and_cost_nothing(
    tmp_path: Path, sound: tuple[bytes, dict[str, frozenset[int]]], pair: tuple[str, str]
) -> None:
    data, home = sound
    whole = tmp_path / "whole.sqlite"
    whole.write_bytes(data)
    with contextlib.closing(sqlite3.connect(whole)) as raw:
        raw.execute("INSERT INTO quarantine VALUES ('actions', 99, '2026-01-02', 'the checksum does not fit')")
        raw.commit()
        roots = dict(raw.execute("SELECT name, rootpage FROM sqlite_schema"))
    raw_bytes = whole.read_bytes()
    pages = [raw_bytes[n * PAGE : (n + 1) * PAGE] for n in range(len(raw_bytes) // PAGE)]
    first, second = (roots[name] - 1 for name in pair)
    pages[first], pages[second] = pages[second], pages[first]
    damage = Damage("swapped pages", " and ".join(pair), b"".join(pages), pages=frozenset({first, second}))
    assert outcome(damage, tmp_path, 120, home) == ("told, none lost", "")


def test_a_damaged_log_is_no_shorter_log(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    data, log = fill(tmp_path / "a" / "journal.sqlite", 12, leave_log=True)
    faults = {d.name: f for d in log_damages(data, log, 12, 1) if (f := outcome(d, tmp_path, 12, {})[1])}
    assert faults == {}


def test_rows_survive_the_loss_of_every_page_that_leads_to_them(
    tmp_path: Path, sound: tuple[bytes, dict[str, frozenset[int]]]
) -> None:
    data, home = sound
    keep = frozenset().union(*home.values())
    pages = [data[n * PAGE : (n + 1) * PAGE] if n in keep else bytes(PAGE) for n in range(len(data) // PAGE)]
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"".join(pages))
    with Journal(path, clock=ManualClock(AT)) as journal, TrialLedger(path) as ledger:
        assert [a.body["n"] for a in journal.actions()] == list(range(120))
        assert len(journal.tables.rows("shadow")) == 120
        assert ledger.counted() == 60
        assert ledger.verify() == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("actions", "CREATE TABLE actions (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, at TEXT, kez TEXT)"),
        ("states", "CREATE TABLE states (key TEXT PRIMARY KEY, at TEXT, value BLOB, checksum TEXT) WITHOUT ROWID"),
        ("actions_key", "CREATE INDEX actions_key ON actions (kind, seq)"),
        ("evaluator_trials_keep", "CREATE TRIGGER evaluator_trials_keep AFTER DELETE ON bars BEGIN SELECT 1; END"),
    ],
    ids=["a column", "a table", "an index", "a trigger"],
)  # fmt: skip
def test_an_altered_schema_costs_no_row(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "journal.sqlite"
    fill(path, 20)
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA writable_schema = ON")
        raw.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (text, name))
    raw.close()
    with Journal(path, clock=ManualClock(AT)) as journal, TrialLedger(path) as ledger:
        assert name in journal.notices[0]
        assert "0 are missing" in journal.notices[0]
        assert len(journal.actions()) == 20
        assert journal.get_state("kills") == b"z" * 40
        assert ledger.counted() == 10


def test_an_altered_trial_stays_charged_and_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    fill(path, 6)
    with sqlite3.connect(path) as raw:
        raw.execute("DROP TRIGGER evaluator_trials_fixed")
        raw.execute("UPDATE evaluator_trials SET body = '{' WHERE seq = 2")
    raw.close()
    with TrialLedger(path) as ledger:
        assert ledger.counted("s") == 3
        assert [t.canonical for t in ledger.history()] == ["(rank 0)", "(rank 2)"]
        with pytest.raises(JournalError, match="altered"):
            ledger.record(TrialKey("(rank 1)", "snap"), "s")
        assert "evaluator_trials: row 2 was changed" in ledger.verify()
