"""A base made by version 0.1 opens, means what it meant, and can be worked on, after every later change."""

from __future__ import annotations

import contextlib
import sqlite3
import tarfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from midas_engine.evaluator.trials.ledger import TrialLedger
from midas_engine.factory import create_midas
from midas_engine.journal import Journal
from midas_engine.journal.schema import RETIRED, SCHEMA
from midas_engine.models import FeatureState
from tests.helpers_cli import ROOT, run_midas

if TYPE_CHECKING:
    from pathlib import Path

FIXTURE = ROOT / "tests" / "data" / "base_0_1.tar.xz"


@pytest.fixture
def old_base(tmp_path: Path) -> Path:
    """The fixture, unpacked: a candidate, two deployed features, a killed one, a session of 32 trials and a look."""
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "base"


def test_every_document_reads_well(old_base: Path) -> None:
    done = run_midas("kb", "check", "--kb", str(old_base))
    assert done.code == 0, done.out + done.err


def test_the_features_are_where_they_were(old_base: Path) -> None:
    status = run_midas("status", "--json", "--kb", str(old_base)).document
    names = {group: sorted(f["name"] for f in status[group]) for group in ("candidates", "deployed", "archived")}
    assert names == {
        "candidates": ["left_alone"],
        "deployed": ["carry_24", "high_proximity_48_s72_w"],
        "archived": ["low_vol_72"],
    }


def test_the_trials_stay_charged_and_unaltered(old_base: Path) -> None:
    with TrialLedger(old_base / "journal.sqlite", read_only=True) as ledger:
        trials = ledger.history()
        assert len(trials) == 32
        assert len(ledger.looks()) == 1
    done = run_midas("ledger", "--kb", str(old_base))
    assert done.code == 0
    assert "Every row is as it was written." in done.out


def test_what_was_killed_stays_dead(old_base: Path) -> None:
    with create_midas(kb_path=old_base, provider="local") as midas:
        record = midas.kb.feature("low_vol_72")
        assert (record.state, record.killed) == (FeatureState.ARCHIVED, True)
    done = run_midas("promote", "low_vol_72", "--force", "--kb", str(old_base))
    assert done.code != 0
    undone = run_midas("undo", "--kb", str(old_base))
    assert run_midas("status", "--json", "--kb", str(old_base)).document["archived"][0]["killed"], undone.err


async def test_a_monitor_goes_on_from_its_state(old_base: Path) -> None:
    with create_midas(kb_path=old_base, provider="local") as midas:
        monitor = midas.build_online(diagnose=False)
        async with monitor:
            assert "low_vol_72" in monitor.kills.records
            assert monitor.fleet.engine.bars > 0


def test_it_can_be_worked_on(old_base: Path) -> None:
    done = run_midas("demote", "carry_24", "--reason", "worked on by a later version", "--kb", str(old_base))
    assert done.code == 0, done.err
    done = run_midas("learnings", "--kb", str(old_base))
    assert done.code == 0
    assert "momentum" in done.out


def test_a_journal_of_an_older_format_is_copied_before_it_is_changed(old_base: Path) -> None:
    journal = old_base / "journal.sqlite"
    with contextlib.closing(sqlite3.connect(journal)) as raw:
        raw.executescript("DROP TABLE evaluator_looks; PRAGMA user_version = 0;")
    done = run_midas("demote", "carry_24", "--reason", "the first write of the new version", "--kb", str(old_base))
    assert done.code == 0, done.err
    copy = old_base / "journal.sqlite.schema-0"
    with contextlib.closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)) as kept:
        assert kept.execute("PRAGMA user_version").fetchone() == (0,)
        tables = {row[0] for row in kept.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert "evaluator_looks" not in tables
        assert kept.execute("SELECT count(*) FROM evaluator_trials").fetchone() == (32,)
    with TrialLedger(journal, read_only=True) as ledger:
        assert len(ledger.history()) == 32
        assert ledger.looks() == []
    assert run_midas("kb", "check", "--kb", str(old_base)).code == 0


def _schema(path: Path) -> tuple[int, set[str]]:
    """A journal's version and tables."""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as raw:
        tables = {row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return raw.execute("PRAGMA user_version").fetchone()[0], tables


def test_the_first_write_drops_the_tables_nobody_wrote_and_keeps_a_copy(old_base: Path) -> None:
    journal, copy = old_base / "journal.sqlite", old_base / "journal.sqlite.schema-1"
    before = _schema(journal)
    assert before[0] == 1
    assert set(RETIRED) <= before[1]
    with Journal(journal, read_only=True) as reading:
        events = reading.events()
        assert (len(reading.actions()), len(events)) == (7, 137)
    assert _schema(journal) == before  # looking changes nothing
    assert not copy.exists()
    with ThreadPoolExecutor(4) as pool:  # as terminal, monitor and two commands begin at once
        opened = list(pool.map(lambda _: Journal(journal), range(4)))
    assert {one.renewed for one in opened} - {""} == {
        "the journal was brought to schema 2; as it was, it lies in journal.sqlite.schema-1"
    }
    assert [one.events() == events and one.verify() == [] for one in opened] == [True] * 4
    for one in opened:
        one.close()
    assert _schema(journal) == (SCHEMA, before[1] - set(RETIRED))
    assert _schema(copy) == before
    assert list(old_base.glob(".midas-*.tmp*")) == []
    with Journal(journal) as again:
        assert (again.notices, again.renewed) == ([], "")


def test_a_lost_table_of_the_older_format_is_damage_and_no_older_format(old_base: Path) -> None:
    journal = old_base / "journal.sqlite"
    with contextlib.closing(sqlite3.connect(journal)) as raw:
        raw.executescript("PRAGMA writable_schema = ON; DELETE FROM sqlite_master WHERE name = 'events';")
    with Journal(journal) as mended:
        assert any("salvag" in notice or "damaged" in notice for notice in mended.notices), mended.notices
        assert len(mended.events()) == 137


def test_a_base_of_a_newer_version_is_read_and_not_written(old_base: Path) -> None:
    (old_base / "schema.json").write_text('{"schema": 99, "format": "midas knowledge base"}\n')
    assert run_midas("status", "--kb", str(old_base)).code == 0
    done = run_midas("demote", "carry_24", "--reason", "x", "--kb", str(old_base))
    assert done.code != 0
    assert "newer Midas" in done.err
