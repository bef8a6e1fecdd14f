"""The trial ledger and the sealed holdout: append-only, chained, charged once."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers_evaluator import context, market, stamps
from midas_engine.clock import ManualClock
from midas_engine.errors import EvaluationError, JournalDamagedError
from midas_engine.evaluator import AlphaEvaluator, MultiAgentEvaluator, evaluate_values, split_parts
from midas_engine.evaluator.trials.holdout import SealedHoldout, confirmation_gates
from midas_engine.evaluator.trials.ledger import TrialKey, TrialLedger
from midas_engine.journal import Journal
from midas_engine.settings import EvaluationSettings
from midas_engine.stats.online_fdr import LordPlusPlus

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    with TrialLedger(tmp_path / "journal.sqlite", clock=ManualClock(datetime(2026, 1, 1, tzinfo=UTC))) as opened:
        yield opened


def test_a_repeat_is_free_and_gives_the_stored_summary(ledger: TrialLedger) -> None:
    key = TrialKey("(add a b)", "snap")
    first = ledger.record(
        key, "s1", score_t=3.0, p=0.001, accepted=True, summary={"composite": 0.5, "bad": float("nan")}
    )
    again = ledger.record(key, "s2", score_t=-9.0, summary={"composite": 0.1})
    assert not first.repeated
    assert again.repeated
    assert again.summary == {"composite": 0.5, "bad": None}
    assert (again.score_t, again.session) == (3.0, "s1")
    assert ledger.counted() == ledger.counted("s1") == 1
    assert ledger.counted("s2") == 0


def test_what_differs_is_another_trial(ledger: TrialLedger) -> None:
    base = TrialKey("x", "snap")
    others = [
        TrialKey("x", "snap", sign=-1),
        TrialKey("x", "other"),
        TrialKey("x", "snap", 4),
        TrialKey("x", "snap", gate="g", hold=3),
    ]
    for key in (base, *others):
        ledger.record(key, "s")
    ledger.record(TrialKey("not an expression(", "snap"), "s", outcome="invalid")
    assert ledger.counted("s") == 6
    assert [t.outcome for t in ledger.history("s")][-1] == "invalid"


def test_the_line_is_drawn_for_the_plan_or_the_count(ledger: TrialLedger) -> None:
    assert ledger.trials("s") == 0
    ledger.plan("s", 3)
    assert ledger.trials("s") == 3
    for i in range(5):
        ledger.record(TrialKey(str(i), "snap"), "s")
    assert ledger.trials("s") == 5
    assert MultiAgentEvaluator(AlphaEvaluator(), ledger=ledger, session="s").ledger.trials("s") == 5


def test_rows_survive_reopening_and_two_writers(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    one, two = TrialLedger(path), TrialLedger(path)

    def write(which: TrialLedger, name: str) -> None:
        for i in range(20):
            which.record(TrialKey(f"{name}{i % 15}", "snap"), name)

    threads = [threading.Thread(target=write, args=pair) for pair in ((one, "a"), (two, "b"), (one, "c"))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    one.close()
    two.close()
    with TrialLedger(path) as again:
        assert again.counted() == 45
        assert again.verify() == []


def test_the_file_refuses_changes_and_shows_them(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with TrialLedger(path) as ledger:
        for i in range(4):
            ledger.record(TrialKey(str(i), "snap"), "s", p=0.5)
    raw = sqlite3.connect(path)
    for statement in ("DELETE FROM evaluator_trials", "UPDATE evaluator_trials SET session = 'x'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw.execute(statement)
    raw.execute("DROP TRIGGER evaluator_trials_fixed")
    raw.execute("DROP TRIGGER evaluator_trials_keep")
    raw.execute("UPDATE evaluator_trials SET body = replace(body, '0.5', '0.9') WHERE seq = 2")
    raw.execute("DELETE FROM evaluator_trials WHERE seq = 3")
    raw.commit()
    raw.close()
    with TrialLedger(path) as ledger:
        problems = " ".join(ledger.verify())
    assert "row 2 was changed" in problems
    assert "rows 3 to 3 are missing" in problems


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(JournalDamagedError, match=r"journal\.sqlite"):
        TrialLedger(path, read_only=True)
    with TrialLedger(path) as ledger:
        assert "was damaged" in ledger.notices[0]
        assert ledger.counted() == 0
    assert next(iter(tmp_path.glob("*.damaged-*"))).read_bytes() == b"not a database at all" * 100


def test_parts_follow_each_other_with_gaps() -> None:
    parts = split_parts(8760, 48, EvaluationSettings())
    assert parts.confirmation.start - parts.research.stop == 96
    assert parts.holdout.start - parts.confirmation.stop == 96
    assert parts.holdout.stop == 8760
    assert parts.bars(parts.holdout) == 1314
    whole = split_parts(100, 1, EvaluationSettings(confirmation_share=0.0, holdout_share=0.0))
    assert whole.research == slice(0, 100)
    assert whole.bars(whole.holdout) == whole.bars(whole.confirmation) == 0
    with pytest.raises(EvaluationError, match="leave nothing for"):
        split_parts(100, 48, EvaluationSettings())
    with pytest.raises(EvaluationError, match="no part"):
        whole.named("test")


def test_the_holdout_can_start_after_a_models_cut_off() -> None:
    times = stamps(2000)
    date = datetime(2025, 3, 20, tzinfo=UTC)
    parts = split_parts(2000, 1, EvaluationSettings(), timestamps=times, holdout_from=date)
    assert times[parts.holdout.start] == np.datetime64("2025-03-20")
    with pytest.raises(EvaluationError, match="data ends before"):
        split_parts(2000, 1, EvaluationSettings(), timestamps=times, holdout_from=datetime(2030, 1, 1, tzinfo=UTC))


def test_a_look_is_made_once_and_charged(ledger: TrialLedger) -> None:
    holdout = SealedHoldout(ledger)
    good, returns, _ = market(1, 3000, 1, 0.15)
    data = context(returns, (1,), part="holdout")
    first = holdout.look(TrialKey("good", "snap"), good, data, session="s", name="good")
    assert first.passed
    assert (first.number, first.repeated) == (1, False)
    assert first.level == LordPlusPlus(0.1).level()
    noise = np.random.default_rng(0).normal(size=good.shape)
    second = holdout.look(TrialKey("noise", "snap"), noise, data, session="s")
    assert not second.passed
    assert second.number == 2
    again = holdout.look(TrialKey("good", "snap"), -good, data, session="s2")
    assert again.repeated
    assert (again.passed, again.p, again.number) == (first.passed, first.p, 1)
    assert len(ledger.looks()) == 2
    assert holdout.state().discoveries == [1]
    assert ledger.verify() == []


def test_a_look_that_cannot_be_scored_is_charged_and_failed(ledger: TrialLedger) -> None:
    _, returns, _ = market(2, 1000)
    look = SealedHoldout(ledger).look(
        TrialKey("nan", "snap"), np.full(1000, np.nan), context(returns, (1,), part="holdout")
    )
    assert not look.passed
    assert look.p == 1.0
    with pytest.raises(EvaluationError, match="needs its context"):
        SealedHoldout(ledger).look(TrialKey("x", "snap"), np.zeros(1000), context(returns, (1,)))


def test_confirmation_asks_for_the_same_sign_at_five_per_cent() -> None:
    good, returns, _ = market(3, 3000, 1, 0.1)
    data = context(returns, (1,), part="confirmation")
    assert all(g.passed for g in confirmation_gates(evaluate_values(good, data)))
    assert not any(g.passed for g in confirmation_gates(evaluate_values(-good, data))[:2])
    assert not all(g.passed for g in confirmation_gates(evaluate_values(returns, data)))


def test_a_damaged_journal_does_not_reset_the_ledger(tmp_path: Path) -> None:
    origin = tmp_path / "journal.sqlite"
    journal = Journal(origin)
    with TrialLedger(origin) as ledger:
        ledger.plan("s", 60)
        for i in range(40):
            ledger.record(TrialKey(f"(rank {i})", "snap"), "s", score_t=1.0, p=0.1)
        ledger.add_look("look", "s", {"p": 0.01})
    for i in range(400):
        journal.append_action("promote", f"feature_{i}", body={"n": i})
    journal.close()
    data = origin.read_bytes()
    torn = tmp_path / "torn.sqlite"
    torn.write_bytes(data[: len(data) - 4096 * 6])  # its last pages are gone, and with them late rows of the journal
    salvaged = Journal(torn)
    assert "damaged" in salvaged.notices[0]
    salvaged.close()
    with TrialLedger(torn) as ledger:
        assert ledger.counted("s") == 40
        assert ledger.trials("s") == 60
        assert len(ledger.looks()) == 1
        assert ledger.verify() == []
        assert ledger.record(TrialKey("(rank 3)", "snap"), "later").repeated
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), sqlite3.connect(torn) as raw:
        raw.execute("DELETE FROM evaluator_trials")
