"""Fix and redeploy: what is tried, against whom, on which bars, and how a version reaches the live book."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock
from midas_engine.dsl import FeatureEngine
from midas_engine.errors import EvaluationError, TransitionError
from midas_engine.evaluator.trials.ledger import TrialLedger
from midas_engine.kb import KnowledgeBase
from midas_engine.market import Panel, SyntheticMarket
from midas_engine.models import DiagnoseResult, FeatureRecord, FeatureState
from midas_engine.monitor import OnlineMonitor
from midas_engine.monitor.diagnosis.classify import Finding
from midas_engine.monitor.diagnosis.fixes import FixTrial, PanelMender
from midas_engine.monitor.diagnosis.variants import legs, variants
from midas_engine.monitor.shadow_record import record_between
from midas_engine.promoter import FeaturePromoter
from midas_engine.settings import Settings
from tests.helpers_diagnosis import look, make_snapshot
from tests.helpers_monitor import bar_time, clock_at

if TYPE_CHECKING:
    from pathlib import Path

REVERSAL = "cs_zscore(returns(close, 1) * ts_zscore(log(volume), 48))"
CARRY = "cs_zscore(funding_rate)"
COMPOSITE = f"-0.5 * {CARRY} - {REVERSAL}"
BROKEN = 1500


@pytest.fixture(scope="module")
def panel() -> Panel:
    market = SyntheticMarket(7, bars=2100, symbols=24, ics=(0.1, 0.1, 0.05), decay_at=BROKEN / 2100)
    return market.panel()


def _at(panel: Panel, row: int) -> datetime:
    return datetime.fromtimestamp(int(panel.timestamps[row].astype("datetime64[s]").astype(np.int64)), UTC)


def _case(panel: Panel, row: int, cause: str = "true_decay", **more: Any) -> tuple[Any, Finding, DiagnoseResult]:
    snapshot = dataclasses.replace(
        make_snapshot(look(np.ones(100))), feature="mixed", expression=COMPOSITE, at=_at(panel, row)
    )
    finding = Finding(cause, {cause: 1.0}, (), break_ago=more.pop("ago", row - BROKEN))
    result = DiagnoseResult("mixed", "a-1", snapshot.at, cause, 1.0, (), **more)
    return snapshot, finding, result


def _mender(panel: Panel, **more: Any) -> PanelMender:
    return PanelMender(lambda: panel, Settings(), ManualClock(_at(panel, 0)), **more)


def test_legs_keep_the_sign_of_what_remains() -> None:
    assert legs("a - b") == ["(a)", "(-(b))"]
    assert legs("cs_rank(a)") == []


@pytest.mark.parametrize(
    ("cause", "contained"),
    [
        ("true_decay", f"(-0.5 * {CARRY})"),
        ("cost", f"ts_mean({COMPOSITE}, 24)"),
        ("crowding", f"cs_neutralize({COMPOSITE}, close)"),
        ("regime_shift", f"if_else(ts_rank(ts_std(returns(close, 1), 24), 168) < 0.67, {COMPOSITE}, 0)"),
    ],
)
def test_every_cause_has_forms_of_its_own(cause: str, contained: str) -> None:
    found = variants(cause, COMPOSITE, regime="HIGH_VOL", partner="close", against=False)
    assert contained in found
    assert len(found) == len(set(found)) <= 8


@pytest.mark.parametrize("cause", ["data_fault", "noise"])
def test_there_is_nothing_to_try_for_a_fault_or_for_chance(cause: str) -> None:
    assert variants(cause, COMPOSITE) == []
    assert variants("true_decay", "not an expression (") == []


def test_a_mirror_is_tried_only_when_the_score_turned() -> None:
    assert f"-({CARRY})" not in variants("true_decay", CARRY)
    assert f"-({CARRY})" in variants("true_decay", CARRY, against=True)


def test_a_trial_is_held_on_the_bars_after_the_break_only(panel: Panel) -> None:
    changed = {n: v.copy() for n, v in panel.fields.items()}
    changed["close"][:1000] *= np.linspace(1, 3, 1000)[:, None]
    other = Panel(panel.timestamps, panel.symbols, changed, panel.bar_seconds)
    figures = []
    for market in (panel, other):
        trial = FixTrial(market, Settings(), _at(panel, BROKEN), {})
        before, (after,) = trial.run(CARRY, [f"-{CARRY}"], "x")
        assert before.evaluation.bars_scored == pytest.approx(2100 - BROKEN, abs=2)
        figures.append((after.verdict.evaluation.score.value, after.gain))
    assert figures[0][0] == pytest.approx(figures[1][0])


def test_too_few_bars_after_the_break_judge_nothing(panel: Panel) -> None:
    with pytest.raises(EvaluationError, match="only 50 bars lie after the break"):
        FixTrial(panel, Settings(), _at(panel, panel.T - 50), {})


async def test_the_living_leg_becomes_a_version_with_lineage_and_a_promise(panel: Panel, tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    promoter = FeaturePromoter(kb)
    promoter.save_candidate(FeatureRecord("mixed", COMPOSITE, FeatureState.CANDIDATE))
    promoter.promote("mixed", "a case that is known", force=True)
    case = _case(panel, panel.T - 1, kill_proposed=True)
    result = await _mender(panel, promoter=promoter, ledger=kb.journal_path).mend(*case)
    assert (result.fix_name, result.fix_expression) == ("mixed@2", f"(-0.5 * {CARRY})")
    assert "every gate held" in result.fix_verdict
    assert not result.kill_proposed  # what can be mended need not be stopped
    fix = promoter.feature_status("mixed@2")
    assert (fix.state, fix.lineage) == (FeatureState.CANDIDATE, ("mixed",))
    assert fix.metrics["fix_of"] == "mixed"
    assert fix.metrics["score_t"] > fix.metrics["incumbent_score_t"]
    assert fix.expected_score is not None
    assert 0 < fix.expected_score < 0.1
    with TrialLedger(kb.journal_path, read_only=True) as ledger:
        assert ledger.trials(f"fix-{case[0].at:%Y%m%d-%H%M}-mixed") >= 4  # every form was paid for
    with pytest.raises(TransitionError, match="has not run in shadow"):
        promoter.redeploy("mixed@2")
    promoter.shadow("mixed@2")
    promoter.redeploy("mixed@2", "its forward record is better")
    assert promoter.list_deployed() == ["mixed@2"]
    assert promoter.rollback("mixed@2").name == "mixed"
    promoter.close()


async def test_nothing_after_the_diagnosed_bar_is_looked_at(panel: Panel) -> None:
    row = BROKEN + 300
    cut = panel.slice(None, row + 1)
    whole, short = [await _mender(market).mend(*_case(panel, row)) for market in (panel, cut)]
    assert whole.fix_verdict == short.fix_verdict != ""


@pytest.mark.parametrize("cause", ["data_fault", "noise"])
async def test_a_fault_and_chance_are_left_alone(panel: Panel, cause: str) -> None:
    case = _case(panel, panel.T - 1, cause)
    assert await _mender(panel).mend(*case) is case[2]


async def test_a_researchers_fix_competes_with_the_local_forms(panel: Panel) -> None:
    better = f"-{CARRY}"  # the same feature as the living leg, in other words
    result = await _mender(panel).mend(*_case(panel, panel.T - 1, fix_expression=better, fix_reason="carry lives"))
    assert result.fix_reason in ("carry lives", "the best of the forms tried on the data after the break")
    worse = await _mender(panel).mend(*_case(panel, panel.T - 1, fix_expression=REVERSAL, fix_reason="because"))
    assert worse.fix_expression == f"(-0.5 * {CARRY})"


async def test_no_form_that_is_not_better_is_kept(panel: Panel) -> None:
    snapshot, finding, result = _case(panel, panel.T - 1, fix_expression=REVERSAL)
    healthy = dataclasses.replace(snapshot, expression=f"-{CARRY}")
    found = await _mender(panel).mend(healthy, finding, result)
    assert (found.fix_expression, found.fix_name) == ("", "")
    assert "None of" in found.fix_verdict


async def test_a_shadow_has_a_record_of_its_own_and_no_part_in_the_portfolio() -> None:
    rng = np.random.default_rng(4)
    values, returns = rng.normal(size=(200, 2)), 0.01 * rng.normal(size=200)
    alone = OnlineMonitor(["a"], clock=clock_at(999), bus=EventBus())
    beside = OnlineMonitor(["a"], clock=clock_at(999), bus=EventBus())
    await beside.watch(["a", "b"], shadow=["b"])
    for t in range(200):
        await alone.process_update(bar_time(t), {"a": values[t, 0]}, returns[t])
        await beside.process_update(bar_time(t), {"a": values[t, 0], "b": values[t, 1]}, returns[t])
    day = (bar_time(0) + timedelta(days=5)).date()
    assert beside.fleet.days.of(day).net_bps == pytest.approx(alone.fleet.days.of(day).net_bps)
    assert beside.metrics("a").pnl_1d_bps == pytest.approx(alone.metrics("a").pnl_1d_bps)
    assert beside.metrics("b").pnl_1d_bps == 0.0
    assert np.nansum(np.abs(beside.history("b")["pnl_bps"].astype(float))) > 0
    await beside.watch(["b"], shadow=[])
    assert beside.fleet.engine.counted.tolist() == [1.0]


def test_forms_parse_on_the_panel(panel: Panel) -> None:
    engine = FeatureEngine(panel)
    for cause, regime in itertools.product(("cost", "crowding", "regime_shift", "true_decay"), ("HIGH_VOL", "LOW_VOL")):
        for form in variants(cause, COMPOSITE, regime=regime, partner=CARRY, against=True):
            assert engine.values(form).shape == (panel.T, panel.S)


async def test_a_shadows_forward_record_outlives_the_process_without_repeats(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb", clock=clock_at(999))
    promoter = FeaturePromoter(kb)
    rng = np.random.default_rng(4)
    values, returns = rng.normal(size=(300, 2)), 0.01 * rng.normal(size=300)
    scores: dict[Any, float] = {}
    for first, last in ((0, 200), (199, 300)):  # the second process begins with a bar that the first has taken
        monitor = OnlineMonitor(["a", "b"], clock=clock_at(999), promoter=promoter, journal=promoter.journal)
        await monitor.start()
        await monitor.watch(["a", "b"], shadow=["b"])
        for t in range(first, last):
            row = {"a": values[t, 0], "b": values[t, 1]}
            if await monitor.process_update(bar_time(t), row, returns[t]) is not None and t:
                scores[bar_time(t - 1)] = float(monitor.fleet.engine.scorer.u[1])
        await monitor.close()
    wanted = {at: u for at, u in scores.items() if np.isfinite(u)}
    times, told, gross = record_between(promoter.journal, "b", bar_time(100), bar_time(250))
    assert times == [at for at in sorted(wanted) if bar_time(100) <= at < bar_time(250)]
    assert told.tolist() == pytest.approx([wanted[at] for at in times])
    assert np.isfinite(gross).all()
    assert promoter.journal.shadow_record("a") == []
    promoter.close()
