"""Answering alerts: acknowledge, snooze, diagnose, take back; toasts for what is critical."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from helpers_tui import (
    NOW,
    ScriptedRuntime,
    alert,
    press,
    readable,
    running,
    screen_text,
    scripted,
    settle,
    toasts,
    until,
    write_market,
)
from midas_engine.events import AlertRaised
from midas_engine.models import AlertStatus, Severity
from midas_engine.monitor.alerts.rules import DETECTOR, FLEET_RULES, all_rules
from midas_tui.modals.choose import ChooseModal
from midas_tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_acknowledges_the_loudest_alert_of_the_chosen_feature_and_u_takes_it_back() -> None:
    async with scripted() as (app, pilot, runtime):
        await press(pilot, "a")
        assert runtime.calls == [("acknowledge", "vwap_zscore_mean_rev-ic_decay")]
        assert any("acknowledged IC decay of vwap_zscore_mean_rev; u takes it back" in t for t in toasts(app))
        await press(pilot, "u")
        assert runtime.calls[-1] == ("reopen", "vwap_zscore_mean_rev-ic_decay")
        await press(pilot, "U")
        assert runtime.calls[-1] == ("acknowledge", "vwap_zscore_mean_rev-ic_decay")


async def test_capital_a_acknowledges_all_that_are_open_and_says_so_once() -> None:
    async with scripted() as (app, pilot, runtime):
        await press(pilot, "A")
        assert [call for call in runtime.calls if call[0] == "acknowledge"] == [
            ("acknowledge", "vwap_zscore_mean_rev-ic_decay"),
            ("acknowledge", "ob_imbalance_5m-execution_slippage"),
        ]
        assert sum("acknowledged" in t for t in toasts(app)) == 1


async def test_w_asks_how_long_and_snoozes_once_for_two_presses() -> None:
    async with scripted() as (app, pilot, runtime):
        await pilot.press("w", "w")
        assert sum(isinstance(s, ChooseModal) for s in app.screen_stack) == 1
        await readable(pilot)
        await press(pilot, "j", "enter")
        await until(pilot, lambda: runtime.calls)
        assert runtime.calls == [("snooze", "vwap_zscore_mean_rev-ic_decay", "1.0")]
        await press(pilot, "u")
        assert runtime.calls[-1] == ("reopen", "vwap_zscore_mean_rev-ic_decay")


async def test_d_asks_for_a_diagnosis_of_the_chosen_feature() -> None:
    async with scripted(mode="alerts") as (app, pilot, runtime):
        chosen = app.screen.chosen  # type: ignore[attr-defined]
        await press(pilot, "D")
        assert runtime.calls == [("diagnose", chosen.feature)]


async def test_only_running_alerts_are_shown_when_asked() -> None:
    async with scripted(mode="alerts") as (app, pilot, _):
        table = app.screen.query_one("#history", LineTable)
        assert len(table.keys) == 4
        await press(pilot, "o")
        assert len(table.keys) == 3
        assert "running 3/4" in str(table.border_title)


async def test_a_resolved_alert_cannot_be_acknowledged_and_enter_opens_its_diagnosis() -> None:
    async with scripted(mode="alerts") as (app, pilot, runtime):
        runtime.papers["reports/diagnoses/low_volatility.md"] = "# Diagnosis of low_volatility\n\nA regime shift.\n"
        await press(pilot, "G")
        assert app.screen.why_not("acknowledge", ()) == "no running alert here"  # type: ignore[attr-defined]
        await press(pilot, "enter")
        await until(pilot, lambda: "A regime shift." in screen_text(app))


async def test_the_detail_says_value_gate_episode_and_what_would_be_noticed() -> None:
    async with scripted(mode="alerts", size=(160, 45)) as (app, pilot, _):
        await until(pilot, lambda: "+0.430 against 0.500, as a ratio" in screen_text(app))
        text = screen_text(app)
        assert "4 bars, 01-19 09:00 to 01-19 12:00" in text
        assert "a drop in 42d, a flip in 18d, 1.0 false alarms a year" in text


async def test_only_critical_episodes_make_a_toast() -> None:
    async with scripted() as (app, pilot, runtime):
        before = len(toasts(app))
        quiet = alert("quiet", severity=Severity.WARNING)
        runtime.bus.publish(AlertRaised(at=NOW, alert=quiet))
        app.shell.bridge.pump()
        await settle(pilot)
        assert len(toasts(app)) == before
        for name in ("loud", "louder"):
            runtime.bus.publish(AlertRaised(at=NOW, alert=alert(name)))
        app.shell.bridge.pump()
        await settle(pilot)
        assert toasts(app)[before:] == ["▲ loud: 5-day IC is 0.43 of the 30-day IC, below 0.50 (+1 more)"]


async def test_the_status_line_counts_what_nobody_has_answered() -> None:
    async with scripted() as (app, pilot, runtime):
        assert "▲1 ●1" in screen_text(app).splitlines()[0]
        acked = dataclasses.replace(alert("vwap_zscore_mean_rev"), status=AlertStatus.ACKNOWLEDGED)
        runtime.bus.publish(AlertRaised(at=NOW, alert=acked))
        app.shell.bridge.pump()
        await settle(pilot)
        assert "▲0 ●1" in screen_text(app).splitlines()[0]


@pytest.mark.parametrize("flags", [{}, {"replay": True}])
async def test_on_a_real_runtime_an_answer_reaches_the_engine_and_back(tmp_path: Path, flags: dict[str, bool]) -> None:
    from helpers_tui import fill_base

    fill_base(tmp_path / "kb")
    market = write_market(tmp_path, days=24)
    async with running(tmp_path / "kb", market, mode="alerts", **flags) as (app, pilot):  # type: ignore[arg-type]
        if app.runtime is not None and app.runtime.replay is not None:
            await app.runtime.replay.seek(250)
        await until(pilot, lambda: any(a.status == "open" for a in app.store.alerts.values()))
        open_ = next(a for a in app.store.alerts.values() if a.status == "open")
        app.screen.query_one("#history", LineTable).move_to(open_.id)
        await press(pilot, "a")
        await until(pilot, lambda: app.store.alerts[open_.id].status == "acknowledged")
        await press(pilot, "u")
        await until(pilot, lambda: app.store.alerts[open_.id].status == "open")
        await press(pilot, "w")
        await readable(pilot)
        await press(pilot, "enter")
        await until(pilot, lambda: app.store.alerts[open_.id].status == "snoozed")


async def test_the_cause_of_a_diagnosis_is_said_in_words_and_its_report_by_its_path() -> None:
    async with scripted(size=(160, 45), mode="alerts") as (app, pilot, runtime):
        report = "reports/diagnoses/2026-01-19T1200-low_vol_72-abc123.md"
        raised = alert("low_vol_72", diagnosis=f"regime_shift (79%): {report}")
        runtime.bus.publish(AlertRaised(at=NOW, alert=raised))
        app.shell.bridge.pump()
        app.screen.query_one("#history", LineTable).move_to(raised.id)
        await until(pilot, lambda: f"regime shift (79%): {report}" in screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 32)], ids=lambda s: f"{s[0]}x{s[1]}")
async def test_a_reason_is_never_cut_where_its_rule_has_a_short_one(size: tuple[int, int]) -> None:
    named = {rule.name: rule for rule in (*all_rules(), *FLEET_RULES, DETECTOR)}
    runtime = ScriptedRuntime()
    runtime.found = runtime.found[:1]
    runtime.running = [
        dataclasses.replace(
            alert(f"feature_of_{n:02d}", rule.alert_type),
            rule=name,
            message=rule.text.format(value=0.43, threshold=0.5, feature="x"),
            status=AlertStatus.RESOLVED if n % 2 else AlertStatus.OPEN,
        )
        for n, (name, rule) in enumerate(named.items())
    ]
    async with scripted(runtime, size=size, mode="alerts") as (app, pilot, _):
        table = app.screen.query_one("#history", LineTable)
        await until(pilot, lambda: len(table.keys) == len(named))
        for n, rule in enumerate(named.values()):
            row = next(line for line in all_lines(table) if f"feature_of_{n:02d}" in line)
            whole, short = rule.text.format(value=0.43, threshold=0.5, feature="x"), rule.short.format(value=0.43)
            assert whole in row or short in row, row


def all_lines(table: LineTable) -> list[str]:
    """Every row as it is drawn, also those out of sight."""
    base = table.rich_style
    return [table._row_strip(key, table.size.width, base).text for key in table.keys]


async def test_what_runs_stands_loudest_first_in_the_history_as_in_live() -> None:
    runtime = ScriptedRuntime()
    warned = alert("newer", "slippage", severity=Severity.WARNING, last_seen_at=NOW)
    called = alert("older", "detector", last_seen_at=NOW - timedelta(days=9))
    ended = alert("ended", "detector", status=AlertStatus.RESOLVED, last_seen_at=NOW)
    runtime.running = [ended, warned, called]
    async with scripted(runtime, size=(120, 32), mode="alerts") as (app, _pilot, _):
        assert app.screen.query_one("#history", LineTable).keys == (called.id, warned.id, ended.id)
