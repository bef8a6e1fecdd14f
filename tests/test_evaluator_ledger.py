"""The trial ledger and the sealed part: append-only, chained, charged once."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers_evaluator import context, market, stamps
from midas_engine.clock import ManualClock
from midas_engine.errors import EvaluationError, JournalDamagedError
from midas_engine.evaluator import AlphaEvaluator, MultiAgentEvaluator, evaluate_values, judge, split_parts
from midas_engine.evaluator.context.history_split import embargo_of, embargoed
from midas_engine.evaluator.trials.holdout import SealedHoldout, sealed_vetoes
from midas_engine.evaluator.trials.ledger import TrialKey, TrialLedger
from midas_engine.journal import Journal
from midas_engine.settings import EvaluationSettings
from midas_engine.stats.graduation import look_line
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


def test_research_ends_a_purge_before_the_sealed_part() -> None:
    parts = split_parts(8760, 48, EvaluationSettings())
    assert parts.sealed.start - parts.research.stop == 48
    assert parts.sealed.stop == 8760
    assert parts.bars(parts.sealed) == round(0.35 * 8760)
    half = split_parts(100, 1, EvaluationSettings(sealed_share=0.5))
    assert (half.research, half.sealed) == (slice(0, 49), slice(50, 100))
    with pytest.raises(EvaluationError, match="leave nothing for"):
        split_parts(60, 48, EvaluationSettings())
    with pytest.raises(EvaluationError, match="no part"):
        half.named("holdout")


def test_the_cut_lies_where_the_evidence_is() -> None:
    scored = np.zeros(1000, bool)
    scored[200:900] = True  # nothing can be scored before and after
    parts = split_parts(1000, 1, EvaluationSettings(), scored=scored)
    assert scored[parts.sealed].sum() == 245
    assert scored[parts.research].sum() == 454


def test_the_embargo_is_what_the_feature_remembers() -> None:
    sealed = slice(650, 1000)
    assert embargo_of("auto", 24, 3600, sealed) == 24
    assert embargo_of("auto", 720, 3600, sealed) == 35  # a tenth of the part at most
    assert [embargo_of("1d", 24, seconds, sealed) for seconds in (86_400, 3600)] == [1, 24]
    assert embargo_of("7b", 24, 300, sealed) == 7
    values = np.ones((1000, 2))
    kept = embargoed(values, sealed, 5)
    assert np.isnan(kept[650:655]).all()
    assert np.isfinite(np.delete(kept, slice(650, 655), axis=0)).all()
    assert np.isfinite(values).all()


def test_the_sealed_part_can_start_after_a_models_cut_off() -> None:
    times = stamps(2000)
    date = datetime(2025, 3, 20, tzinfo=UTC)
    parts = split_parts(2000, 1, EvaluationSettings(), timestamps=times, sealed_from=date)
    assert times[parts.sealed.start] == np.datetime64("2025-03-20")
    with pytest.raises(EvaluationError, match="data ends before"):
        split_parts(2000, 1, EvaluationSettings(), timestamps=times, sealed_from=datetime(2030, 1, 1, tzinfo=UTC))


def test_a_look_is_made_once_and_charged(ledger: TrialLedger) -> None:
    holdout = SealedHoldout(ledger)
    good, returns, _ = market(1, 3000, 1, 0.15)
    data = context(returns, (1,), part="sealed")
    first = holdout.look(TrialKey("good", "snap"), good, data, session="s", name="good")
    assert first.passed
    assert (first.number, first.repeated) == (1, False)
    assert first.level == LordPlusPlus(0.1).level()
    assert first.line == look_line(first.level) < first.level
    assert first.until == "2025-05-05T23:00:00+00:00"
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
        TrialKey("nan", "snap"), np.full(1000, np.nan), context(returns, (1,), part="sealed")
    )
    assert not look.passed
    assert look.p == 1.0
    with pytest.raises(EvaluationError, match="needs its context"):
        SealedHoldout(ledger).look(TrialKey("x", "snap"), np.zeros(1000), context(returns, (1,)))


def test_what_stands_against_a_candidate_makes_its_look_no_discovery(ledger: TrialLedger) -> None:
    good, returns, _ = market(3, 3000, 1, 0.15)
    data = context(returns, (1,), part="sealed")
    verdict = judge(evaluate_values(good, data))
    assert sealed_vetoes(verdict) == ()
    assert "sign" in sealed_vetoes(judge(evaluate_values(-good, data)))
    assert "implausible" in sealed_vetoes(judge(evaluate_values(returns, data)))
    costly = dataclasses.replace(
        verdict, verdicts=tuple(dataclasses.replace(v, passed=v.agent != "trading_cost") for v in verdict.verdicts)
    )
    assert sealed_vetoes(costly) == ("trading_cost",)
    holdout = SealedHoldout(ledger)
    look = holdout.charge(TrialKey("costly", "snap"), verdict.evaluation, vetoes=sealed_vetoes(costly))
    assert look.p < look.line
    assert (look.passed, look.sound, look.vetoes) == (False, False, ("trading_cost",))
    assert (holdout.state().tests, holdout.state().discoveries) == (1, [])
    assert holdout.earlier(TrialKey("costly", "snap")).vetoes == look.vetoes  # type: ignore[union-attr]


def test_a_look_short_of_the_line_is_sound_by_its_p_alone(ledger: TrialLedger) -> None:
    good, returns, _ = market(3, 3000, 1, 0.15)
    result = evaluate_values(good, context(returns, (1,), part="sealed"))
    holdout = SealedHoldout(ledger)
    short = holdout.charge(TrialKey("short", "snap"), dataclasses.replace(result, score_p=0.1))
    nothing = holdout.charge(TrialKey("nothing", "snap"), dataclasses.replace(result, score_p=0.6))
    assert (short.passed, short.sound, nothing.sound) == (False, True, False)


def test_looks_of_the_three_part_time_stay_charged(ledger: TrialLedger) -> None:
    """Rows as they were written then: no line, no vetoes; every one is a test of the lifetime still."""
    for k, passed in enumerate((False, True, False)):
        body = {"name": f"old_{k}", "canonical": "x", "snapshot": "s", "passed": passed, "p": 0.004, "level": 0.0072,
                "score_t": 2.7, "rank_ic": 0.03, "bars": 1266}  # fmt: skip
        ledger.add_look(TrialKey(f"old_{k}", "s").digest, "then", body)
    holdout = SealedHoldout(ledger)
    assert (holdout.state().tests, holdout.state().discoveries) == (3, [2])
    old = holdout.earlier(TrialKey("old_1", "s"))
    assert old is not None
    assert (old.passed, old.level, old.line, old.until, old.vetoes) == (True, 0.0072, 0.0072, "", ())
    good, returns, _ = market(1, 3000, 1, 0.15)
    now = holdout.look(TrialKey("good", "snap"), good, context(returns, (1,), part="sealed"))
    assert (now.number, now.level) == (4, LordPlusPlus(tests=3, discoveries=[2]).level())


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
