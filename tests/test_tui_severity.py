"""What is loud in the terminal: the detector's evidence, an incident once, the state of now; never the ratio."""

from __future__ import annotations

import dataclasses
import math
from datetime import timedelta

import pytest

from helpers_tui import NOW, ScriptedRuntime, alert, metrics, screen_text, scripted, until
from midas_engine import events as ev
from midas_engine.models import Alert, AlertStatus, Severity
from midas_engine.monitor.alerts.engine import AlertEngine
from midas_tui.screens.live_detail import evidence_role
from midas_tui.store import Store
from midas_tui.widgets.line_table import LineTable
from tests.helpers_monitor import START
from tests.test_monitor_alerts import Bars

SIX = [f"f{i}" for i in range(6)]


def _store(names: list[str]) -> tuple[Store, list[Alert]]:
    store, bars = Store(), Bars(AlertEngine(), names)
    for event in bars.run(4, slippage_ratio=2.9):
        store.apply(event)
    return store, bars.engine.alerts()


def test_six_features_of_one_shock_are_one_row_one_count_and_one_toast() -> None:
    store, alerts = _store(SIX)
    (row,) = store.open_incidents
    assert (row.feature, row.severity) == ("6 features", Severity.CRITICAL)
    assert "slippage 2.9x" in row.message
    assert store.counts == (1, 0)
    assert [a.id for a in store.take_criticals()] == [row.id]
    assert sorted(store.members(row.id)) == sorted(a.id for a in alerts)
    assert store.alert(row.id) == row
    assert len(store.open_alerts) == 6


def test_an_answered_incident_is_quiet_and_a_single_alert_is_its_own() -> None:
    store, alerts = _store(SIX)
    for one_of in alerts:
        done = dataclasses.replace(one_of, status=AlertStatus.ACKNOWLEDGED)
        store.apply(ev.AlertChanged(at=START + timedelta(hours=9), alert=done, action="acknowledge"))
    assert store.counts == (0, 0)
    one, (alert,) = _store(["f0"])
    assert one.open_incidents == [alert]
    assert one.members(alert.id) == [alert.id]
    assert one.alert("") is None
    assert one.members("nothing") == []


@pytest.mark.parametrize(
    ("log_s", "role"), [(9.1, "crit"), (12.0, "crit"), (6.1, "warn"), (5.0, ""), (-3.0, ""), (math.nan, "muted")]
)
def test_the_evidence_of_the_test_is_never_hidden(log_s: float, role: str) -> None:
    assert evidence_role(log_s, 9.08) == role


async def test_a_feature_that_was_called_dead_keeps_a_full_bar_though_its_test_began_anew() -> None:
    runtime = ScriptedRuntime()
    runtime.found = [metrics("died", decay_log_s=5.4), metrics("lives", decay_log_s=5.4)]
    runtime.running = [alert("lives", "ic_decay")]
    async with scripted(runtime, size=(160, 45)) as (app, pilot, _):

        def row(name: str) -> str:
            return next(line for line in screen_text(app).split("\n")[3:8] if name in line)

        assert "59%" in row("died")
        called = alert("died", "detector", alert_type="ic_decay")
        runtime.bus.publish(ev.AlertRaised(at=NOW, alert=called))
        await until(pilot, lambda: "called" in row("died"), "the bar is full")
        assert "░" not in row("died")
        assert "59%" in row("lives")
        app.screen.query_one("#features", LineTable).move_to("died")
        await until(pilot, lambda: "its test began anew" in " ".join(screen_text(app).split()))
        over = dataclasses.replace(called, status=AlertStatus.RESOLVED)
        runtime.bus.publish(ev.AlertResolved(at=NOW, alert=over))
        await until(pilot, lambda: "59%" in row("died"), "it was taken back")
