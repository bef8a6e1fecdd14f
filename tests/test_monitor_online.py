"""OnlineMonitor end to end: pairs, refusals, alerts, restart, reports."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from midas_engine.errors import MonitorError
from midas_engine.events import (
    AlertRaised,
    AlertResolved,
    BarProcessed,
    BarRefused,
    FaultReported,
    FeatureTicked,
    FeedGapped,
    KillProposed,
)
from midas_engine.monitor import OnlineMonitor
from tests.helpers_monitor import MemoryBase, MemoryStore, ar1, bar_time, clock_at, linked

LATER = 100_000  # bars after the start that the clock stands at, unless a test moves it


def _monitor(names: list[str], **more: Any) -> OnlineMonitor:
    return OnlineMonitor(names, clock=more.pop("clock", None) or clock_at(LATER), **more)


def _story(bars: int = 700, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.normal(size=bars), ar1(rng, bars, 0.9)])
    ic = np.where(np.arange(bars) < 350, 0.3, -0.3)
    return values, linked(rng, values[:, 0], ic)


async def _feed(monitor: OnlineMonitor, values: np.ndarray, returns: np.ndarray, first: int, last: int) -> None:
    for t in range(first, last):
        row = {"a": values[t, 0], "b": values[t, 1]}
        fills = {"slippage_bps": 1.0 if t < 500 else 2.6}
        await monitor.process_update(bar_time(t), row, returns[t], fills=fills, regime="HIGH" if t % 90 < 45 else "LOW")


def _told(events: list[Any]) -> list[tuple[Any, ...]]:
    return [(type(e).__name__, e.at, getattr(e, "alert", None) or getattr(e, "reason", "")) for e in events]


async def test_a_planted_flip_is_called_and_a_kill_proposed() -> None:
    values, returns = _story()
    monitor = _monitor(["a", "b"], references={"a": 0.3})
    seen = monitor.bus.subscribe("test", AlertRaised, KillProposed)
    await _feed(monitor, values, returns, 0, 700)
    events = seen.take()
    critical = [e for e in events if isinstance(e, AlertRaised) and e.alert.rule == "detector"]
    proposals = [e for e in events if isinstance(e, KillProposed)]
    assert critical[0].alert.feature == "a"
    assert bar_time(350) < critical[0].at < bar_time(450)
    assert [p.feature for p in proposals] == ["a"]
    assert not [
        e for e in events if isinstance(e, AlertRaised) and e.alert.rule == "detector" and e.alert.feature == "b"
    ]
    assert monitor.metrics("a").status == "critical"
    slip = [e for e in events if isinstance(e, AlertRaised) and e.alert.alert_type == "execution_slippage"]
    assert {e.alert.feature for e in slip} == {"a", "b"}


async def test_alarms_do_not_depend_on_a_return_that_is_not_known_yet() -> None:
    values, returns = _story()
    other = returns.copy()
    other[450:] = -other[450:]
    told = []
    for world in (returns, other):
        monitor = _monitor(["a", "b"], references={"a": 0.3})
        seen = monitor.bus.subscribe("test", AlertRaised, AlertResolved, KillProposed)
        await _feed(monitor, values, world, 0, 451)  # the return of bar 450 is another, and nobody may know
        told.append((_told(seen.take()), monitor.metrics("a")))
    assert repr(told[0]) == repr(told[1])


async def test_both_ways_to_hand_over_a_bar_give_the_same_figures() -> None:
    values, returns = _story(200)
    follow, close = _monitor(["a", "b"]), _monitor(["a", "b"])
    for t in range(200):
        row = {"a": values[t, 0], "b": values[t, 1]}
        await follow.process_update(bar_time(t), row, returns[t])
        await close.process_bar(bar_time(t), row, returns[t - 1] if t else None)
    for name in ("a", "b"):
        assert repr(follow.metrics(name)) == repr(close.metrics(name))


async def test_restarts_at_any_bar_change_nothing() -> None:
    values, returns = _story()
    kinds = (AlertRaised, AlertResolved, KillProposed)
    straight = _monitor(["a", "b"], references={"a": 0.3})
    seen = straight.bus.subscribe("test", *kinds)
    await _feed(straight, values, returns, 0, 700)
    expected = _told(seen.take())
    store, told, stops = MemoryStore(), [], [0, 1, 2, 25, 26, 99, 350, 371, 372, 373, 395, 500, 503, 504, 700]
    for first, last in zip(stops[:-1], stops[1:], strict=True):
        monitor = _monitor(["a", "b"], references={"a": 0.3}, journal=store)
        seen = monitor.bus.subscribe("test", *kinds)
        await monitor.start()
        await _feed(monitor, values, returns, first, last)  # and then it is gone, without a word
        told.extend(_told(seen.take()))
    repeated = list(dict.fromkeys(map(repr, told)))  # the newest bar's events come again after a stop
    assert repeated == list(map(repr, expected))
    assert repr(monitor.all_metrics()) == repr(straight.all_metrics())


async def test_a_repeated_bar_changes_nothing_and_says_so() -> None:
    values, returns = _story(120)
    clean, noisy = _monitor(["a", "b"]), _monitor(["a", "b"])
    await _feed(clean, values, returns, 0, 120)
    refused = noisy.bus.subscribe("test", BarRefused)
    for t in range(120):
        await _feed(noisy, values, returns, t, t + 1)
        await _feed(noisy, values, returns, max(0, t - 5), t + 1)
    assert repr(noisy.all_metrics()) == repr(clean.all_metrics())
    reasons = {e.reason for e in refused.take()}
    assert reasons == {"this bar was taken already", "older than a bar already taken"}


async def test_a_revision_counts_while_its_bar_is_not_scored() -> None:
    values, returns = _story(120)
    clean, revised = _monitor(["a", "b"]), _monitor(["a", "b"])
    await _feed(clean, values, returns, 0, 120)
    for t in range(120):
        await revised.process_update(bar_time(t), {"a": 99.0, "b": -99.0}, returns[t], fills={"slippage_bps": 1.0})
        await _feed(revised, values, returns, t, t + 1)
    assert revised.metrics("a").ic_5d == clean.metrics("a").ic_5d
    assert revised.metrics("a").score == clean.metrics("a").score


async def test_a_late_label_completes_its_bar() -> None:
    values, returns = _story(120)
    clean, late = _monitor(["a", "b"]), _monitor(["a", "b"])
    await _feed(clean, values, returns, 0, 120)
    for t in range(120):
        row = {"a": values[t, 0], "b": values[t, 1]}
        fills = {"slippage_bps": 1.0}
        await late.process_update(bar_time(t), row, None, fills=fills, regime="HIGH" if t % 90 < 45 else "LOW")
        if t:
            before = {"a": values[t - 1, 0], "b": values[t - 1, 1]}
            assert await late.process_update(bar_time(t - 1), before, returns[t - 1]) is None
    await late.process_update(bar_time(119), {"a": values[119, 0], "b": values[119, 1]}, returns[119])
    await late.process_update(bar_time(120), {"a": 0.0, "b": 0.0})
    assert late.metrics("a").bars == 120
    assert late.metrics("a").ic_5d.value == pytest.approx((await _after_one_more(clean)).metrics("a").ic_5d.value)


async def _after_one_more(monitor: OnlineMonitor) -> OnlineMonitor:
    await monitor.process_update(bar_time(120), {"a": 0.0, "b": 0.0})
    return monitor


async def test_a_label_that_never_comes_does_not_hold_the_others_back() -> None:
    values, returns = _story(60)
    monitor = _monitor(["a", "b"])
    for t in range(60):
        await monitor.process_update(bar_time(t), {"a": values[t, 0]}, None if t == 20 else returns[t])
    assert monitor.metrics("a").bars == 59
    assert monitor.fleet.engine.ic.rings[2].count[0] == 58


async def test_a_gap_is_explicit_and_ages_the_windows() -> None:
    values, returns = _story(200)
    monitor = _monitor(["a", "b"])
    gaps = monitor.bus.subscribe("test", FeedGapped)
    await _feed(monitor, values, returns, 0, 100)
    await _feed(monitor, values, returns, 130, 160)
    (gap,) = gaps.take()
    assert (gap.missing_bars, gap.first_missing) == (30, bar_time(100))
    assert monitor.metrics("a").bars == 159
    assert monitor.fleet.engine.ic.rings[0].count[0] == 24
    assert monitor.fleet.engine.ic.rings[1].count[0] == 120 - 30


@pytest.mark.parametrize("bad", ["later", -5, float("nan"), None, 12345, "1970-01-01"])
async def test_times_that_are_none_are_refused(bad: Any) -> None:
    monitor = _monitor(["a"])
    refused = monitor.bus.subscribe("test", BarRefused)
    assert await monitor.process_update(bad, {"a": 1.0}, 0.0) is None
    (event,) = refused.take()
    assert "not a bar time" in event.reason
    assert event.bar_at is None
    with pytest.raises(MonitorError, match="not a bar time"):
        await _monitor(["a"], strict=True).process_update(bad, {"a": 1.0}, 0.0)


async def test_a_bar_from_the_future_is_refused() -> None:
    monitor = _monitor(["a"], clock=clock_at(10))
    refused = monitor.bus.subscribe("test", BarRefused)
    assert await monitor.process_update(bar_time(13), {"a": 1.0}, 0.0) is None
    assert refused.take()[0].reason == "its time lies in the future"
    assert isinstance(await monitor.process_update(bar_time(10), {"a": 1.0}, 0.0), BarProcessed)


async def test_rubbish_values_leave_the_statistics_alone() -> None:
    values, returns = _story(150)
    monitor = _monitor(["a", "b"])
    faults = monitor.bus.subscribe("test", FaultReported)
    await _feed(monitor, values, returns, 0, 140)
    before = monitor.fleet.engine.ic.rings[2].count[0]
    rubbish: list[Any] = [float("nan"), None, "12", 1e308, float("inf"), object()]
    for place, value in enumerate(rubbish):
        await monitor.process_update(bar_time(140 + place), {"a": value}, 0.001)
    await monitor.process_update(bar_time(146), {"a": 1.0}, -1.5)  # nobody loses more than everything
    await monitor.process_update(bar_time(147), {"a": 1.0}, 0.0)
    assert monitor.fleet.engine.ic.rings[2].count[0] == before + 1  # only the pair of bar 139
    assert "impossible return" in faults.take()[0].message


async def test_a_panel_is_scored_across_symbols() -> None:
    rng = np.random.default_rng(8)
    values = rng.normal(size=(300, 20))
    returns = linked(rng, values, 0.15)
    monitor = _monitor(["x"], references={"x": 0.1})
    for t in range(300):
        await monitor.process_bar(bar_time(t), {"x": values[t]}, returns[t - 1] if t else np.full(20, np.nan))
    metrics = monitor.metrics("x")
    assert metrics.ic_5d.value == pytest.approx(0.15, abs=4 * metrics.ic_5d.se)
    assert metrics.ic_5d.se < 0.04
    assert metrics.coverage == 1.0
    refused = monitor.bus.subscribe("test", BarRefused)
    assert await monitor.process_bar(bar_time(300), {"x": values[0][:5]}, returns[299]) is None
    assert "5 values, the monitor watches 20 symbols" in refused.take()[0].reason


async def test_without_a_promise_there_is_no_critical_and_no_kill() -> None:
    values, returns = _story()
    monitor = _monitor(["a", "b"])
    seen = monitor.bus.subscribe("test", AlertRaised, KillProposed)
    await _feed(monitor, values, -returns, 0, 400)
    events = seen.take()
    assert not [e for e in events if isinstance(e, KillProposed) or e.alert.rule == "detector"]
    assert [e.alert.feature for e in events if e.alert.alert_type == "uncalibrated"] == ["a", "b"]
    assert np.isnan(monitor.metrics("a").decay_log_s)


async def test_a_feature_that_stops_coming_is_stale_not_healthy() -> None:
    values, returns = _story(200)
    monitor = _monitor(["a", "b"], references={"a": 0.3, "b": 0.1})
    for t in range(200):
        row = {"a": values[t, 0]} if t >= 150 else {"a": values[t, 0], "b": values[t, 1]}
        await monitor.process_update(bar_time(t), row, returns[t])
    assert monitor.metrics("b").status == "stale"
    assert monitor.metrics("b").stale_bars == 50
    assert monitor.metrics("a").status != "stale"


async def test_a_frozen_feature_is_stale() -> None:
    values, returns = _story(120)
    monitor = _monitor(["a"])
    for t in range(120):
        await monitor.process_update(bar_time(t), {"a": values[min(t, 60), 0]}, returns[t])
    assert monitor.metrics("a").status == "stale"
    assert [a.rule for a in monitor.alerts() if a.alert_type == "stale_data"] == ["frozen"]


async def test_ticks_and_bars_are_published() -> None:
    values, returns = _story(30)
    monitor = _monitor(["a", "b"])
    seen = monitor.bus.subscribe("test", BarProcessed, FeatureTicked)
    done = await monitor.process_update(bar_time(0), {"a": 1.0, "b": 2.0}, 0.0, regime="HIGH")
    assert done is not None
    assert (done.features, done.symbols, done.regime, done.bar_at) == (2, 1, "HIGH", bar_time(0))
    assert [e.metrics.feature for e in seen.take() if isinstance(e, FeatureTicked)] == ["a", "b"]


async def test_operator_commands_and_what_they_refuse() -> None:
    values, returns = _story(120)
    store = MemoryStore()
    monitor = _monitor(["a", "b"], journal=store)
    await _feed(monitor, values, returns, 0, 60)
    alert = monitor.alerts()[0]
    assert (await monitor.acknowledge(alert.id, "kim")).acknowledged_by == "kim"
    assert (await monitor.snooze(alert.id, 4)).snoozed_until is not None
    with pytest.raises(MonitorError, match="not open"):
        await monitor.acknowledge("a-nothing")
    with pytest.raises(MonitorError, match="snoozed"):
        await monitor.snooze(alert.id, -1)
    await monitor.pause("a")
    assert monitor.metrics("a").status == "paused"
    await _feed(monitor, values, returns, 60, 100)
    assert monitor.metrics("a").turnover > 0
    again = _monitor(["a", "b"], journal=store)
    await again.start()
    assert again.metrics("a").status == "paused"
    await again.resume("a")
    assert again.metrics("a").status != "paused"
    with pytest.raises(MonitorError, match="not monitored"):
        await monitor.pause("zebra")


async def test_features_come_and_go_and_the_rest_keep_their_history() -> None:
    values, returns = _story(300)
    straight, moving = _monitor(["a", "b"], references={"a": 0.3}), _monitor(["a", "b"], references={"a": 0.3})
    await _feed(straight, values, returns, 0, 300)
    await _feed(moving, values, returns, 0, 150)
    await moving.watch(["c", "a"], {"c": 0.1})
    assert [m.feature for m in moving.all_metrics()] == ["c", "a"]
    await _feed(moving, values, returns, 150, 300)
    ours, theirs = moving.metrics("a"), straight.metrics("a")
    assert ours.ic_30d == theirs.ic_30d
    assert ours.decay_log_s == theirs.decay_log_s
    with pytest.raises(MonitorError, match="not monitored"):
        moving.metrics("b")


async def test_history_is_bounded_and_in_order() -> None:
    values, returns = _story(100)
    monitor = _monitor(["a", "b"])
    await _feed(monitor, values, returns, 0, 100)
    history = monitor.history("a")
    assert set(history) == {"at", "ic_5d", "ic_30d", "slippage_ratio", "pnl_bps", "net_bps", "share", "score", "log_s"}
    assert len(history["at"]) == 99
    assert (np.diff(history["at"]) == np.timedelta64(1, "h")).all()


async def test_a_journal_that_fails_is_shouted_about_and_survived() -> None:
    values, returns = _story(60)
    store = MemoryStore()
    monitor = _monitor(["a", "b"], journal=store)
    faults = monitor.bus.subscribe("test", FaultReported)
    await _feed(monitor, values, returns, 0, 20)
    store.broken = True
    await _feed(monitor, values, returns, 20, 40)
    assert monitor.metrics("a").bars == 39
    messages = [e.message for e in faults.take()]
    assert len([m for m in messages if "going on in memory" in m]) == 1


async def test_the_daily_report_has_every_section() -> None:
    values, returns = _story()
    base = MemoryBase()
    monitor = _monitor(["a", "b"], references={"a": 0.3}, kb=base)
    await _feed(monitor, values, returns, 0, 600)
    report = monitor.generate_daily_report("2025-01-20")
    for section in ("Portfolio", "Features", "Alerts", "Regime", "Execution", "Diagnoses", "Killed"):
        assert f"## {section}" in report.markdown
    assert base.texts["reports/daily/2025-01-20.md"] == report.markdown
    assert report.figures["bars"] == 24
    assert set(report.figures["regimes"]) <= {"HIGH", "LOW"}
    assert report.markdown.split("## Alerts")[0].count("| a |") == 1  # the last state, not a row a bar
    quiet = monitor.generate_daily_report("2031-01-01")
    assert quiet.figures["bars"] == 0
    with pytest.raises(MonitorError, match="not a day"):
        monitor.generate_daily_report("yesterday")


async def test_untrusted_names_cannot_break_the_report() -> None:
    name = "x|y\n# Title ```"
    monitor = _monitor([name])
    for t in range(5):
        await monitor.process_update(bar_time(t), {name: float(t)}, 0.001)
    markdown = monitor.generate_daily_report("2025-01-01").markdown
    assert "\n# Title" not in markdown
    assert "x\\|y # Title '''" in markdown


async def test_two_callers_at_once_take_turns() -> None:
    values, returns = _story(80)
    monitor = _monitor(["a", "b"], journal=MemoryStore())
    bars = [monitor.process_update(bar_time(t), {"a": values[t, 0], "b": values[t, 1]}, returns[t]) for t in range(80)]
    done = await asyncio.gather(*bars)
    assert sum(d is not None for d in done) == 80
    assert monitor.metrics("a").bars == 79
