"""Severity that means something: no critical from a ratio, few in health, one line for a common cause."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from benchmarks.statistics.sim_healthy_criticals import month
from midas_engine.cli.monitor_lines import Watchman
from midas_engine.events import AlertRaised, AlertResolved, AlertUpdated, BarProcessed
from midas_engine.models import Alert, AlertStatus, Severity
from midas_engine.monitor.alerts.engine import AlertEngine
from midas_engine.monitor.alerts.episodes import alert_from_dict, alert_to_dict
from midas_engine.monitor.alerts.incidents import incidents
from midas_engine.monitor.alerts.rules import DETECTOR, FLEET_RULES, all_rules
from midas_engine.monitor.alerts.thresholds import merge_thresholds
from midas_engine.monitor.figures.fills import Slippage
from tests.helpers_monitor import bar_time
from tests.test_monitor_alerts import Bars

if TYPE_CHECKING:
    from collections.abc import Sequence

SIX = [f"f{i}" for i in range(6)]


def _shock(bars: int = 4, names: list[str] = SIX, engine: AlertEngine | None = None) -> tuple[Bars, list[Any]]:
    fleet = Bars(engine or AlertEngine(), names)
    return fleet, fleet.run(bars, slippage_ratio=2.9)


def test_only_the_detector_slippage_and_missing_data_can_be_critical() -> None:
    loud = {rule.name for rule in (*all_rules(), *FLEET_RULES, DETECTOR) if rule.severity(2) is Severity.CRITICAL}
    own = {"ic_ratio", "implausible", "drawdown", "correlation", "regime", "frozen", "stuck", "sparse"}
    assert "ic_ratio" not in loud
    assert {"detector", "slippage", "labels", "silence"} <= loud
    graded = Bars(AlertEngine())
    events = graded.run(30, ic_ratio=-5.0, ic_5d=-0.5, pnl_1d_bps=-9e5, correlation=1.0, ic_regime=-1.0,
                        ic_30d=0.9, stuck=1.0, coverage=0.0)  # fmt: skip
    raised = [e.alert for e in events if isinstance(e, AlertRaised)]
    assert {a.rule for a in raised} & own >= own - {"frozen"}
    assert {a.severity for a in raised} == {Severity.WARNING}


@pytest.mark.parametrize("spelling", ["ic_ratio_critical", "ic_decay_critical", "ic_decay_ratio_critical"])
def test_the_critical_ratio_is_still_accepted_and_changes_the_gate_only(spelling: str) -> None:
    assert merge_thresholds({spelling: 0.6}).ic_ratio_critical == 0.6
    bars = Bars(AlertEngine({spelling: 0.6}))
    bars.run(3, ic_ratio=0.55, ic_5d=0.0)
    assert {(a.severity, a.threshold) for a in bars.engine.alerts()} == {(Severity.WARNING, 0.6)}


def test_six_features_hit_by_one_shock_are_one_line() -> None:
    bars, _ = _shock()
    alerts = bars.engine.alerts()
    assert len(alerts) == 6
    (one,) = incidents(alerts, watched=6)
    assert one.feature == "6 features"
    assert one.message == "slippage 2.9x, market-wide: f0, f1, f2, f3, f4, f5"
    assert (one.severity, one.value, one.rule, one.id) == ("critical", 2.9, "slippage", alerts[0].incident)
    assert incidents(alerts, watched=40)[0].message.startswith("slippage 2.9x: f0")


def test_what_begins_bar_after_bar_is_one_incident_and_what_begins_later_is_another() -> None:
    bars = Bars(AlertEngine(), SIX)
    for place in range(3):
        bars.run(1, slippage_ratio=np.where(np.arange(6) <= place, 2.9, 1.0))
    bars.run(3, slippage_ratio=np.where(np.arange(6) <= 2, 2.9, 1.0))
    bars.run(12, slippage_ratio=np.where(np.arange(6) <= 2, 2.9, 1.0))
    bars.run(3, slippage_ratio=2.9)
    shown = incidents(bars.engine.alerts(), watched=6)
    assert sorted(a.message.split(": ")[1] for a in shown) == ["f0, f1, f2", "f3, f4, f5"]


def test_two_features_or_two_rules_are_no_incident() -> None:
    bars = Bars(AlertEngine(), SIX)
    bars.run(3, slippage_ratio=np.array([2.9, 2.9, 1, 1, 1, 1]), pnl_1d_bps=np.array([1, 1, -90, -90, 1, 1]))
    shown = incidents(bars.engine.alerts(), watched=6)
    assert sorted(a.feature for a in shown) == ["f0", "f1", "f2", "f3"]


def test_an_incident_is_as_loud_and_as_seen_as_its_members() -> None:
    bars, _ = _shock()
    for alert in bars.engine.alerts()[:5]:
        bars.engine.acknowledge(alert.id, bar_time(9))
    (one,) = incidents(bars.engine.alerts())
    assert one.status is AlertStatus.OPEN
    bars.engine.acknowledge(next(a.id for a in bars.engine.alerts() if a.status is AlertStatus.OPEN), bar_time(9))
    assert incidents(bars.engine.alerts())[0].status is AlertStatus.ACKNOWLEDGED


def test_incidents_survive_a_restart_and_old_alerts_are_read() -> None:
    bars = Bars(AlertEngine(), SIX)
    bars.run(3, slippage_ratio=np.where(np.arange(6) < 2, 2.9, 1.0))
    again = AlertEngine()
    again.restore(bars.engine.state())
    bars.engine = again
    bars.run(3, slippage_ratio=2.9)
    assert len(incidents(bars.engine.alerts())) == 1
    old = alert_to_dict(bars.engine.alerts()[0])
    del old["worst"], old["incident"]
    assert alert_from_dict(old).worst is Severity.CRITICAL
    state = bars.engine.state()
    del state["incidents"]
    again.restore(state)


def _lines(events: Sequence[Any], capsys: pytest.CaptureFixture[str]) -> list[str]:
    watchman = Watchman()
    for event in events:
        watchman.tell(event)
    watchman.flush()
    return capsys.readouterr().out.splitlines()


def _bar(bar: int) -> BarProcessed:
    return BarProcessed(at=bar_time(bar), bar_at=bar_time(bar), regime="", features=6)


def test_midas_monitor_prints_one_line_for_a_common_cause(capsys: pytest.CaptureFixture[str]) -> None:
    bars, events = _shock()
    lines = _lines([_bar(0), *events, _bar(4)], capsys)
    (told,) = [line for line in lines if "slippage" in line]
    assert "critical" in told
    assert "6 features" in told
    assert "slippage 2.9x, market-wide" in told
    over = bars.run(30)
    lines = _lines([_bar(0), *over, _bar(40)], capsys)
    assert len([line for line in lines if "resolved" in line]) == 1
    two, events = _shock(names=SIX[:2])
    assert len([line for line in _lines([_bar(0), *events], capsys) if "slippage" in line]) == 2


@pytest.mark.parametrize("fills", [3, 4, 5, 8, 12, 24])
def test_the_lower_end_of_slippage_is_students(fills: int) -> None:
    costs = np.random.default_rng(fills).exponential(1.0, fills) + 1.0
    slippage = Slippage(1, 24)
    for cost in costs:
        slippage.update(np.array([cost]), np.array([1.0]))
    exact = costs.mean() - stats.t.ppf(0.975, fills - 1) * costs.std(ddof=1) / np.sqrt(fills)
    assert slippage.low()[0] == pytest.approx(exact, abs=0.1 * costs.std(ddof=1))


@pytest.mark.parametrize("bars", [1, 2])
def test_a_day_of_few_bars_has_no_error_and_takes_the_ratio(bars: int) -> None:
    slippage = Slippage(1, bars)
    slippage.update(np.array([2.5]), np.array([1.0]))
    assert slippage.low()[0] == 2.5


def test_twenty_healthy_features_are_seldom_critical() -> None:
    # 20 features, IC 0.03 and promised whole, months 2 and 3 of two worlds. The tests promise at most one false alarm
    # in 8,760 bars of a feature, 1.7 a month of twenty: a Poisson of mean 6.7 is above 15 once in a thousand.
    found = [month(seed, months=3, promised=1.0) for seed in (1, 2)]
    assert sum(f.total() for f in found) <= 15
    assert sum(f["slippage"] for f in found) <= 1
    assert not {rule for f in found for rule in f} - {"detector", "slippage"}


def test_alerts_without_an_incident_stay_as_they_are() -> None:
    bars, _ = _shock()
    alerts = [dataclasses.replace(a, incident="") for a in bars.engine.alerts()]
    assert incidents(alerts) == alerts
    assert all(isinstance(a, Alert) for a in alerts)
    events = bars.run(26)
    assert sum(isinstance(e, AlertResolved) for e in events) == 6
    assert sum(isinstance(e, AlertUpdated) for e in events) == 6  # each eased once
