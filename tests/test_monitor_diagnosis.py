"""The differential diagnosis: six causes from snapshots whose truth is known, and the evidence behind them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from midas_engine.models import Figure
from midas_engine.monitor.diagnosis.classify import CAUSES, classify
from midas_engine.monitor.diagnosis.figures import SPECS, figure_line, make_figures
from midas_engine.monitor.diagnosis.segments import HEALTHY, HEALTHY_SD, compare_segments
from midas_engine.monitor.diagnosis.snapshot import take_snapshot
from midas_engine.monitor.figures.portfolio import PORTFOLIO
from midas_engine.monitor.figures.score_history import Lookback
from midas_engine.stats.sequential import DROP_WEIGHTS, DROPS
from tests.helpers_diagnosis import BASE, VARIANCE, feed, look, make_alert, make_fleet, make_snapshot

BARS = 1500


def _broken(to: float, at: int = 1100) -> np.ndarray:
    return np.where(np.arange(BARS) < at, 1.0, to)


def _visits() -> np.ndarray:
    return np.where((np.arange(BARS) // 120) % 3 == 1, "HIGH_VOL", "LOW_VOL")


def test_ids_are_unique_and_lines_name_them() -> None:
    assert len({s.id for s in SPECS}) == len({s.key for s in SPECS}) == len(SPECS)
    made = make_figures({s.key: 1.0 for s in SPECS})
    assert [f.id for f in made] == [s.id for s in SPECS]
    assert figure_line(Figure("F3", "values present", 0.5, "share", "of 20")) == "F3: values present = 50.0 % (of 20)"


@pytest.mark.parametrize("to", [0.0, -1.0])
def test_a_signal_that_dies_or_turns_is_true_decay(to: float) -> None:
    finding = classify(make_snapshot(look(_broken(to), seed=2), make_alert()))
    assert finding.cause == "true_decay"
    assert finding.confidence > 0.9
    assert finding.break_ago == pytest.approx(400, abs=80)
    assert {"F22", "F20", "F24"} <= {f.id for f in finding.figures[:4]}


def test_a_signal_that_goes_on_is_noise_without_a_call() -> None:
    says = [classify(make_snapshot(look(np.ones(BARS), seed=s))).cause for s in range(12)]
    assert says.count("noise") >= 11


@pytest.mark.parametrize("since", [0, 600])
def test_a_failure_in_one_regime_only_is_a_regime_shift(since: int) -> None:
    labels = _visits()
    strength = np.where((labels == "HIGH_VOL") & (np.arange(BARS) >= since), -0.7, 1.0)
    finding = classify(make_snapshot(look(strength, labels), make_alert()))
    assert finding.cause == "regime_shift"
    assert finding.regime == "HIGH_VOL"
    assert finding.figures[0].id == "F27"


def test_the_same_fall_in_every_regime_is_no_regime_shift() -> None:
    finding = classify(make_snapshot(look(_broken(0.0), _visits(), seed=2), make_alert()))
    assert finding.cause == "true_decay"
    assert finding.chances["regime_shift"] < 0.1


@pytest.mark.parametrize(
    ("values", "first"),
    [
        ({"missing_bars": 6.0}, "F1"),
        ({"frozen_bars": 40.0}, "F2"),
        ({"coverage": 0.6}, "F3"),
        ({"stuck": 0.5}, "F6"),
        ({"rescaled": 0.4}, "F8"),
        ({"unscored": 0.4}, "F5"),
    ],
)
def test_a_broken_input_explains_a_broken_score_away(values: dict[str, float], first: str) -> None:
    finding = classify(make_snapshot(look(_broken(0.0)), make_alert(), **values))
    assert finding.cause == "data_fault"
    assert finding.confidence > 0.9
    assert finding.figures[0].id == first


def test_an_input_that_is_thin_by_nature_is_no_fault() -> None:
    thin = {"coverage": 0.71, "coverage_usual": 0.72, "stuck": 0.5, "stuck_usual": 0.5, "frozen_bars": 8.0}
    assert classify(make_snapshot(look(np.ones(BARS)), **thin)).cause == "noise"


def test_dear_fills_are_cost_when_the_alarm_is_about_money() -> None:
    alert = make_alert("slippage", "execution_slippage")
    assert classify(make_snapshot(look(np.ones(BARS)), alert, slippage_ratio=2.4)).cause == "cost"
    dying = classify(make_snapshot(look(_broken(-1.0)), make_alert(), slippage_ratio=2.4))
    assert dying.cause == "true_decay"  # slippage does not move the score


def test_a_new_likeness_to_another_feature_is_crowding() -> None:
    now = {"correlation": 0.85, "correlation_usual": 0.3}
    assert classify(make_snapshot(look(_broken(0.3)), make_alert(), **now)).cause == "crowding"
    always = {"correlation": 0.85, "correlation_usual": 0.84}
    assert classify(make_snapshot(look(_broken(0.0)), make_alert(), **always)).cause == "true_decay"


def test_chances_add_up_and_a_repeat_says_the_same() -> None:
    snapshot = make_snapshot(look(_broken(0.4), _visits()), make_alert(), slippage_ratio=1.4, correlation=0.5)
    first, again = classify(snapshot), classify(snapshot)
    assert set(first.chances) == set(CAUSES)
    assert math.fsum(first.chances.values()) == pytest.approx(1.0)
    assert first == again


def test_without_a_promise_only_the_input_is_judged() -> None:
    snapshot = make_snapshot(look(_broken(-1.0)))
    blind = type(snapshot)(**{f: getattr(snapshot, f) for f in snapshot.__dataclass_fields__} | {"base": math.nan})
    finding = classify(blind)
    assert (finding.cause, finding.break_ago) == ("noise", None)


def test_holes_in_the_record_change_nothing_but_the_count() -> None:
    looked = look(_broken(0.0))
    u, w = looked.u.copy(), looked.w.copy()
    u[::7] = np.nan
    finding = classify(make_snapshot(Lookback(u, w, looked.regimes), make_alert()))
    assert finding.cause == "true_decay"


def test_the_evidence_of_decay_is_the_integral_it_says_it_is() -> None:
    bars = 60
    looked = look(np.where(np.arange(bars) < 30, 1.0, 0.0), seed=5)
    found = compare_segments(looked, BASE, VARIANCE)
    assert found is not None
    prior = stats.norm(HEALTHY * BASE, HEALTHY_SD * BASE)
    sd = math.sqrt(VARIANCE)

    def likelihood(m: float, start: int, drop: float) -> float:
        slope = np.where(np.arange(bars) < start, m, drop * m)
        return math.exp(float(stats.norm.logpdf(looked.u, slope, sd).sum()) - 10.0) * float(prior.pdf(m))

    def evidence(start: int, drop: float) -> float:
        return integrate.quad(likelihood, -0.2, 0.35, args=(start, drop), epsabs=0, epsrel=1e-9, limit=200)[0]

    chance = evidence(bars, 0.0)
    sums = sum(w * evidence(s, d) for s in range(bars) for d, w in zip(DROPS, DROP_WEIGHTS, strict=True))
    assert found.log_decay == pytest.approx(math.log(sums / bars / chance), abs=1e-6)


def test_too_little_is_not_judged() -> None:
    assert compare_segments(look(np.ones(20)), BASE, VARIANCE) is None


def test_a_snapshot_holds_still_while_the_monitor_goes_on() -> None:
    fleet = make_fleet()
    snapshot = take_snapshot(fleet, "a", fleet.last_bar, expression="close")
    before = snapshot.look.u.copy()
    fleet.engine.evidence.x[:] = 0.0
    assert np.array_equal(snapshot.look.u, before, equal_nan=True)
    assert classify(snapshot).cause == "true_decay"
    assert snapshot.values["promised"] == pytest.approx(0.3)


def test_the_portfolio_is_diagnosed_as_one() -> None:
    fleet = make_fleet()
    fleet.engine.calibrate("b", fleet.references["a"])
    for t in range(500, 560):
        feed(fleet, t, np.array([0.5, 0.5]), -0.001)
        fleet.judge(fleet.last_bar)
    snapshot = take_snapshot(fleet, PORTFOLIO, fleet.last_bar)
    assert snapshot.details["promised"] == "mean of 2 features"
    assert classify(snapshot).cause in CAUSES
