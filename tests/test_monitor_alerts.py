"""The life of an alert: opened late, held, seen, silenced, resolved late; fleets of hundreds; thresholds that merge."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from midas_engine.errors import MonitorError, SettingsError
from midas_engine.events import AlertChanged, AlertRaised, AlertResolved, AlertUpdated
from midas_engine.models import AlertStatus, Severity
from midas_engine.monitor.alerts.engine import FLEET, AlertEngine
from midas_engine.monitor.alerts.rules import all_rules, grades
from midas_engine.monitor.alerts.thresholds import AlertThresholds
from midas_engine.monitor.figures.engine import MonitorEngine
from tests.helpers_monitor import bar_time

NAMES = ["a", "b", "c"]
CALM = dict(MonitorEngine(NAMES).columns())


def _columns(count: int = 3, **changed: Any) -> dict[str, np.ndarray]:
    """Columns of healthy, promised features, but for `changed`."""
    columns = {key: np.full(count, np.nan) for key in CALM}
    healthy = {
        "reference": 0.05, "coverage": 1.0, "missing_bars": 0.0, "frozen_bars": 0.0, "stuck": 0.0, "stuck_usual": 0.0,
        "slippage_ratio": 1.0, "pnl_1d_bps": 1.0, "regime_bars": 100.0, "correlation": 0.1, "correlation_usual": 0.1,
        "ic_ratio": 1.0, "ic_5d": 0.05, "ic_30d": 0.05, "ic_5d_se": 0.02, "ic_30d_se": 0.01, "ic_regime": 0.05,
        "ic_regime_se": 0.02,
    }  # fmt: skip
    for key, value in healthy.items():
        columns[key] = np.full(count, value)
    for key, value in changed.items():
        columns[key] = np.broadcast_to(np.asarray(value, float), (count,)).copy()
    if "slippage_low" not in changed:
        columns["slippage_low"] = columns["slippage_ratio"].copy()
    return columns


class Bars:
    """Feeds an engine bar by bar."""

    def __init__(self, engine: AlertEngine, names: list[str] | None = None) -> None:
        self.engine, self.names, self.bar = engine, names or NAMES, 0

    def run(self, count: int, *, decayed: tuple[str, ...] = (), recovered: tuple[str, ...] = (), **changed: Any) -> Any:
        events = []
        for _ in range(count):
            at, self.bar = bar_time(self.bar), self.bar + 1
            columns = _columns(len(self.names), **changed)
            events += self.engine.update(at, self.names, columns, decayed=decayed, recovered=recovered, level=9.08)
        return events


def _kinds(events: Any) -> list[str]:
    return [type(e).__name__.removeprefix("Alert") for e in events]


DEAR = np.array([1.8, 1.0, 1.0])


def test_an_episode_opens_after_three_bars_and_counts() -> None:
    bars = Bars(AlertEngine())
    assert bars.run(2, slippage_ratio=DEAR) == []
    assert _kinds(bars.run(3, slippage_ratio=DEAR)) == ["Raised", "Updated", "Updated"]
    (alert,) = bars.engine.alerts()
    assert (alert.feature, alert.alert_type, alert.severity, alert.count) == ("a", "execution_slippage", "warning", 3)
    assert (alert.value, alert.threshold, alert.unit) == (1.8, 1.5, "ratio")
    assert (alert.raised_at, alert.last_seen_at) == (bar_time(2), bar_time(4))


def test_a_condition_that_flickers_never_opens() -> None:
    bars = Bars(AlertEngine())
    events = []
    for _ in range(20):
        events += bars.run(2, slippage_ratio=DEAR) + bars.run(1)
    assert events == []


def test_it_is_resolved_after_a_clear_day_and_a_relapse_joins_it() -> None:
    bars = Bars(AlertEngine())
    bars.run(3, slippage_ratio=DEAR)
    assert bars.run(23) == []
    assert _kinds(bars.run(3, slippage_ratio=DEAR)) == ["Updated"]  # after three bars again
    events = bars.run(24)
    assert _kinds(events) == ["Resolved"]
    assert events[0].alert.status is AlertStatus.RESOLVED
    assert not events[0].alert.active
    assert bars.engine.alerts() == []
    assert len(bars.engine.alerts(include_resolved=True)) == 1


def test_a_rise_to_critical_is_news_and_opens_what_was_acknowledged() -> None:
    bars = Bars(AlertEngine())
    first = bars.run(3, slippage_ratio=DEAR)[0].alert
    bars.engine.acknowledge(first.id, bar_time(3), "kim")
    events = bars.run(1, slippage_ratio=np.array([2.5, 1, 1]))
    assert _kinds(events) == ["Raised"]
    assert (events[0].alert.id, events[0].alert.severity, events[0].alert.status) == (
        first.id,
        Severity.CRITICAL,
        AlertStatus.OPEN,
    )
    assert events[0].alert.threshold == 2.0
    bars.run(3, slippage_ratio=DEAR)
    (now,) = bars.engine.alerts()  # what it is now, and what it was
    assert (now.severity, now.worst, now.threshold) == (Severity.WARNING, Severity.CRITICAL, 1.5)
    assert now.message == "slippage is 1.80x what was expected, above 1.50x; it was critical"
    assert _kinds(bars.run(1, slippage_ratio=np.array([2.5, 1, 1]))) == ["Updated"]  # news once an episode
    assert bars.engine.alerts()[0].severity is Severity.CRITICAL
    (eased,) = bars.run(1)
    assert (eased.alert.severity, eased.alert.value) == (Severity.WARNING, 1.0)
    assert eased.alert.message.startswith("clear since 01-01 08:00; it was critical: slippage is 2.50x")


def test_what_an_operator_says_is_kept_while_it_is_held() -> None:
    bars = Bars(AlertEngine())
    alert = bars.run(3, slippage_ratio=DEAR)[0].alert
    (event,) = bars.engine.acknowledge(alert.id, bar_time(3), "kim")
    assert isinstance(event, AlertChanged)
    assert (event.action, event.alert.acknowledged_by) == ("acknowledge", "kim")
    bars.run(1, slippage_ratio=DEAR)
    assert bars.engine.alerts()[0].status is AlertStatus.ACKNOWLEDGED
    bars.engine.reopen(alert.id, bar_time(4))
    assert bars.engine.alerts()[0].status is AlertStatus.OPEN
    assert _kinds(bars.engine.attach_diagnosis(alert.id, "cost (99%)", bar_time(4))) == ["Updated"]
    assert bars.engine.attach_diagnosis("a-nothing", "x", bar_time(4)) == []
    bars.run(24)
    assert bars.engine.alerts(include_resolved=True)[0].diagnosis == "cost (99%)"
    with pytest.raises(MonitorError, match="not open"):
        bars.engine.snooze(alert.id, 4, bar_time(40))


def test_a_snooze_ends_by_itself() -> None:
    bars = Bars(AlertEngine())
    alert = bars.run(3, slippage_ratio=DEAR)[0].alert
    bars.engine.snooze(alert.id, 4, bar_time(3))
    assert bars.engine.alerts()[0].snoozed_until == bar_time(3) + timedelta(hours=4)
    bars.run(4, slippage_ratio=DEAR)
    assert bars.engine.alerts()[0].status is AlertStatus.SNOOZED
    bars.run(1, slippage_ratio=DEAR)
    assert bars.engine.alerts()[0].status is AlertStatus.OPEN


@pytest.mark.parametrize("hours", [0, -1, 9000, float("nan")])
def test_a_snooze_has_bounds(hours: float) -> None:
    bars = Bars(AlertEngine())
    alert = bars.run(3, slippage_ratio=DEAR)[0].alert
    with pytest.raises(MonitorError, match="snoozed"):
        bars.engine.snooze(alert.id, hours, bar_time(3))


def test_a_detectors_alarm_opens_at_once_is_held_and_ends_when_the_score_is_back() -> None:
    bars = Bars(AlertEngine())
    (event,) = bars.run(1, decayed=("b",))
    assert (event.alert.rule, event.alert.severity, event.alert.alert_type) == ("detector", "critical", "ic_decay")
    assert bars.run(100) == []
    assert _kinds(bars.run(1, decayed=("b",))) == ["Updated"]  # the same episode
    assert bars.run(23, recovered=("b",)) == []
    assert _kinds(bars.run(1, recovered=("b",))) == ["Resolved"]


RAISED = {
    "ic_ratio": ({"ic_ratio": 0.6}, "ic_decay", "warning"),
    "ic_ratio, by chance": ({"ic_ratio": 0.4, "ic_5d": 0.03}, "ic_decay", "warning"),
    "ic_ratio, beyond it": ({"ic_ratio": 0.4, "ic_5d": 0.0}, "ic_decay", "warning"),
    "slippage, of few fills": ({"slippage_ratio": 2.5, "slippage_low": 1.2}, "execution_slippage", "warning"),
    "slippage, of too few": ({"slippage_ratio": 9.0, "slippage_low": np.nan}, "execution_slippage", "warning"),
    "slippage": ({"slippage_ratio": 2.5}, "execution_slippage", "critical"),
    "drawdown": ({"pnl_1d_bps": -51.0}, "drawdown", "warning"),
    "correlation": ({"correlation": 0.8}, "correlation_spike", "warning"),
    "regime": ({"ic_regime": -0.05}, "regime_shift", "warning"),
    "missing": ({"missing_bars": 3.0}, "stale_data", "warning"),
    "frozen": ({"frozen_bars": 24.0}, "stale_data", "warning"),
    "stuck": ({"stuck": 0.4}, "stale_data", "warning"),
    "sparse": ({"coverage": 0.3}, "stale_data", "warning"),
    "implausible": ({"ic_30d": -0.4}, "implausible", "warning"),
    "uncalibrated": ({"reference": np.nan}, "uncalibrated", "info"),
}


@pytest.mark.parametrize("case", RAISED)
def test_every_rule_raises_its_type(case: str) -> None:
    changed, kind, severity = RAISED[case]
    events = Bars(AlertEngine()).run(24, **changed)
    raised = [e.alert for e in events if isinstance(e, AlertRaised)]
    assert {(a.rule, a.alert_type, a.severity) for a in raised} == {(case.split(",")[0], kind, severity)}
    assert all(a.message and "{" not in a.message for a in raised)


def test_every_rule_is_in_the_table_above() -> None:
    assert {rule.name for rule in all_rules()} == {case.split(",")[0] for case in RAISED}


QUIET = [
    {"ic_ratio": np.nan}, {"slippage_ratio": np.nan}, {"correlation": 0.9, "correlation_usual": 0.88},
    {"ic_regime": -0.05, "regime_bars": 20.0}, {"stuck": 0.9, "stuck_usual": 0.85}, {"frozen_bars": 8.0},
    {"pnl_1d_bps": np.nan},
]  # fmt: skip


@pytest.mark.parametrize("changed", QUIET)
def test_what_is_undetermined_or_usual_is_quiet(changed: dict[str, float]) -> None:
    assert Bars(AlertEngine()).run(5, **changed) == []


def test_paused_and_killed_features_keep_quiet() -> None:
    engine = AlertEngine()
    for bar in range(5):
        events = engine.update(
            bar_time(bar), NAMES, _columns(slippage_ratio=9.0), active=np.array([True, False, False])
        )
    assert {e.alert.feature for e in events} == {"a"}


def test_what_was_killed_has_no_alert_that_runs_for_ever() -> None:
    bars = Bars(AlertEngine())
    bars.run(3, slippage_ratio=DEAR, decayed=("a", "b"))
    assert {a.feature for a in bars.engine.alerts()} >= {"a", "b"}
    events = bars.engine.stopped(frozenset({"a", "elsewhere"}), bar_time(3))
    told = {(e.alert.feature, e.alert.closed, e.alert.status.value) for e in events if isinstance(e, AlertResolved)}
    assert told == {("a", "killed", "resolved")}
    left = {a.feature for a in bars.engine.alerts()}
    assert "b" in left
    assert "a" not in left


def test_hundreds_of_features_fold_into_one_fleet_alert_and_criticals_never_do() -> None:
    names = [f"f{i}" for i in range(500)]
    bars = Bars(AlertEngine({"max_open": 50}), names)
    events = bars.run(6, missing_bars=9.0)
    raised = [e.alert for e in events if isinstance(e, AlertRaised)]
    assert len([a for a in raised if a.feature != FLEET]) == 50
    assert [a.message.split(":")[0] for a in raised if a.feature == FLEET] == ["more than 50 episodes run at once"]
    critical = bars.run(1, missing_bars=9.0, decayed=tuple(names[:400]))
    assert sum(e.alert.severity is Severity.CRITICAL for e in critical if isinstance(e, AlertRaised)) == 400
    bars.run(48, recovered=tuple(names))  # a clear day of the features, then one of the fleet
    assert bars.engine.alerts() == []


def test_a_restart_in_mid_episode_changes_nothing() -> None:
    def story(engine: AlertEngine, restart_at: int | None) -> list[str]:
        bars, told = Bars(engine), []
        for bar in range(80):
            if bar == restart_at:
                fresh = AlertEngine()
                fresh.restore(bars.engine.state())
                bars.engine = fresh
            dear = DEAR if 2 < bar < 12 or 20 < bar < 24 else 1.0
            told += map(repr, bars.run(1, slippage_ratio=dear, decayed=("c",) if bar == 9 else ()))
        return told

    straight = story(AlertEngine(), None)
    assert straight
    for bar in (3, 4, 5, 11, 23, 40):
        assert story(AlertEngine(), bar) == straight


def test_a_feature_that_leaves_takes_its_episodes_with_it() -> None:
    bars = Bars(AlertEngine())
    bars.run(3, slippage_ratio=DEAR)
    (event,) = bars.engine.forget("a", bar_time(9))
    assert isinstance(event, AlertResolved)
    bars.engine.select([1, 2])
    bars.names = ["b", "c"]
    assert bars.run(3) == []


def test_overrides_merge_and_a_wrong_set_leaves_the_last_good_one() -> None:
    engine = AlertEngine({"slippage_warning": 1.2})
    assert engine.thresholds == AlertThresholds(slippage_warning=1.2)
    for wrong in ({"slippage_warning": "high"}, {"nonsense": 1}, {"slippage_critical": 1.0}, {"enter_bars": 2.5}):
        with pytest.raises(SettingsError):
            engine.replace_thresholds(wrong)
        assert engine.thresholds == AlertThresholds(slippage_warning=1.2)
    engine.replace_thresholds({"drawdown_bps": -80})
    assert engine.thresholds == AlertThresholds(drawdown_bps=-80.0)


def test_grades_are_vectorised_over_features() -> None:
    table = grades(_columns(slippage_ratio=np.array([1.0, 1.7, 2.3])), AlertThresholds())
    row = [rule.name for rule in all_rules()].index("slippage")
    assert table[row].tolist() == [0, 1, 2]
    assert table.shape == (len(all_rules()), 3)


def test_updates_replace_one_another_and_news_does_not() -> None:
    bars = Bars(AlertEngine())
    events = bars.run(5, slippage_ratio=DEAR)
    assert events[0].replace_key is None
    assert isinstance(events[1], AlertUpdated)
    assert events[1].replace_key == events[0].alert.id
