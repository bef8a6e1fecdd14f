"""`midas ledger`: the spend, what it bought, and whether anyone touched it; and `midas explain` of what was refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from midas_engine.cli.open_base import open_base
from midas_engine.evaluator import SealedHoldout, TrialKey, TrialLedger
from midas_engine.evaluator.trials.statement import Statement
from midas_engine.settings import load_settings
from midas_engine.stats.online_fdr import LordPlusPlus
from tests.helpers_cli import call_midas


@pytest.fixture
def kb(tmp_path: Path) -> str:
    path = tmp_path / "kb"
    open_base(load_settings(environ={}, flags={"kb": str(path)}), create=True)
    return str(path)


def _fill(kb: str) -> None:
    summary = {"name": "reversal_1", "line_t": 2.9, "trials": 30, "failed": ["trading_cost"], "missed": []}
    with TrialLedger(Path(kb) / "journal.sqlite") as ledger:
        ledger.plan("one", 30)
        ledger.record(TrialKey("cs_rank(-1*returns)", "s"), "one", score_t=2.5, p=0.006, summary=summary)
        ledger.record(TrialKey("b", "s"), "one", score_t=4.0, p=1e-5, accepted=True, summary={"line_t": 2.9})
        ledger.record(TrialKey("c(", "s"), "one", outcome="invalid", summary={"reason": "no"})
        ledger.record(TrialKey("d", "s"), "two", score_t=-1.0, p=0.8, summary={"line_t": 1.6})
        body = {"name": "b", "passed": True, "p": 0.001, "level": 0.02, "score_t": 3.1, "rank_ic": 0.03, "bars": 9}
        ledger.add_look("key-b", "one", body)


def test_an_untouched_base_has_spent_nothing(kb: str, tmp_path: Path, capsys: Any) -> None:
    ran = call_midas(capsys, "ledger", "--kb", kb)
    assert (ran.code, ran.out) == (0, "Nothing was tried yet.\n")
    assert call_midas(capsys, "ledger", "--kb", str(tmp_path / "nowhere")).code != 0
    assert not (tmp_path / "nowhere").exists()


def test_spend_and_what_it_bought(kb: str, capsys: Any) -> None:
    _fill(kb)
    document = call_midas(capsys, "ledger", "--kb", kb, "--json").document
    assert (document["trials"], document["accepted"], document["looks_held"]) == (4, 1, 1)
    one, two = document["sessions"]
    assert (one["trials"], one["planned"], one["unscored"], one["accepted"], one["looks"]) == (3, 30, 1, 1, 1)
    assert (one["best_t"], one["line_t"], two["trials"]) == (4.0, 2.9, 1)
    assert (one["under_bh"], two["under_bh"]) == (2, 0)
    assert document["next_level"] == pytest.approx(LordPlusPlus(tests=1, discoveries=[1]).level())
    ran = call_midas(capsys, "ledger", "--kb", kb)
    for words in ("trials, ever", "1 held", "LORD++", "+4.00", "Every row is as it was written."):
        assert words in ran.out


def test_a_changed_row_shows(kb: str, capsys: Any) -> None:
    _fill(kb)
    with sqlite3.connect(Path(kb) / "journal.sqlite") as raw:
        raw.execute("DROP TRIGGER evaluator_trials_fixed")
        raw.execute("UPDATE evaluator_trials SET session = 'nobody' WHERE seq = 1")
    raw.close()
    out = call_midas(capsys, "ledger", "--kb", kb).out
    assert "tampered" in out
    assert "row 1 was changed" in out


def test_reading_never_writes(kb: str) -> None:
    path = Path(kb) / "journal.sqlite"
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE other (x)")
    raw.close()
    before = path.read_bytes()
    with TrialLedger(path, read_only=True) as ledger:
        assert Statement.of(ledger).trials == 0
        assert SealedHoldout(ledger).state().tests == 0
    assert path.read_bytes() == before


def test_what_a_session_refused_is_explained_by_its_name(kb: str, capsys: Any) -> None:
    _fill(kb)
    ran = call_midas(capsys, "explain", "reversal_1", "--kb", kb)
    assert ran.code == 0, ran.err
    for words in ("From the trial ledger", "refused by trading_cost", "cs_rank(-1*returns)", "How far it was"):
        assert words in ran.out
    document = call_midas(capsys, "explain", "reversal_1", "--kb", kb, "--json").document
    assert document["trial"]["session"] == "one"
    assert document["trials"] == 30
