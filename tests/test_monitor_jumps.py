"""Prices that jump by a factor and come back, or stay: left out both ways, told with symbol and size, then gone on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from midas_engine.events import FaultReported
from midas_engine.monitor import OnlineMonitor
from midas_engine.monitor.bars.screen import PairScreen
from tests.helpers_monitor import START, MemoryStore, bar_time, clock_at

COINS = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"]
BARS, SPIKED = 400, 2
RNG = np.random.default_rng(9)
CLOSE = 100 * np.exp(np.cumsum(0.006 * RNG.standard_normal((BARS + 1, 4)), axis=0))
SIGNAL = RNG.standard_normal((BARS, 4))


def _returns(close: np.ndarray) -> np.ndarray:
    return close[1:] / close[:-1] - 1


def _scaled(factor: float, first: int, last: int | None) -> np.ndarray:
    close = CLOSE.copy()
    close[first:last, SPIKED] *= factor
    return close


def _ramped(factor: float, first: int, steps: int) -> np.ndarray:
    """Up at once, back over several bars."""
    close = CLOSE.copy()
    for step in range(steps):
        close[first + step, SPIKED] *= factor ** (1 - step / steps)
    return close


async def _run(returns: np.ndarray, **more: Any) -> tuple[OnlineMonitor, list[FaultReported]]:
    monitor = OnlineMonitor(["a"], symbols=COINS, clock=clock_at(100_000), references={"a": 0.05}, **more)
    heard = monitor.bus.subscribe("test", FaultReported)
    for t in range(BARS):
        await monitor.process_update(bar_time(t), {"a": SIGNAL[t]}, returns[t])
    return monitor, heard.take()


@pytest.mark.parametrize("factor", [1000.0, 0.001, 7.0, 1 / 7, 1e6])
@pytest.mark.parametrize("bars", [1, 2, 5, 20])
async def test_a_spike_leaves_no_trace_but_two_missing_returns(factor: float, bars: int) -> None:
    spiked = _returns(_scaled(factor, 200, 200 + bars))
    holes = _returns(CLOSE).copy()
    holes[[199, 199 + bars], SPIKED] = np.nan
    one, faults = await _run(spiked)
    other, _ = await _run(holes)
    np.testing.assert_allclose(one.history("a")["pnl_bps"], other.history("a")["pnl_bps"], atol=1e-6)
    assert one.metrics("a").ic_30d.value == pytest.approx(other.metrics("a").ic_30d.value, abs=1e-12)
    assert [f.message.split(":")[0] for f in faults] == ["SOLUSDT", "SOLUSDT"]
    assert "impossible return of " in faults[0].message
    assert "it undoes one" in faults[1].message


async def test_the_fault_names_symbol_and_size() -> None:
    _, (up, down) = await _run(_returns(_scaled(1000.0, 200, 201)))
    assert up.message.startswith("SOLUSDT: an impossible return of +99,6")
    assert up.message.endswith("% after the bar of 2025-01-09 07:00 was left out")
    assert "of -99.9 %" in down.message


@pytest.mark.parametrize("steps", [2, 3, 6, 12])
async def test_a_way_back_in_several_bars_is_left_out_whole(steps: int) -> None:
    monitor, faults = await _run(_returns(_ramped(1000.0, 200, steps)))
    plain, _ = await _run(_returns(CLOSE))
    both = monitor.history("a")["pnl_bps"], plain.history("a")["pnl_bps"]
    assert np.nanmax(np.abs(both[0])) <= np.nanmax(np.abs(both[1])) * 1.2
    assert faults


async def test_many_spikes_over_months_cost_the_paper_book_nothing() -> None:
    close = CLOSE.copy()
    for first in range(20, 390, 30):
        close[first, SPIKED] *= 1000.0
    monitor, faults = await _run(_returns(close))
    plain, _ = await _run(_returns(CLOSE))
    total = [float(np.nansum(m.history("a")["pnl_bps"])) for m in (monitor, plain)]
    assert abs(total[0] - total[1]) < 200
    assert len(faults) == 26  # each, with its way back: a day lies between them


@pytest.mark.parametrize("factor", [1000.0, 0.001])
async def test_a_redenomination_is_left_out_once_and_told(factor: float) -> None:
    moved = _returns(_scaled(factor, 200, None))
    holed = _returns(CLOSE).copy()
    holed[199, SPIKED] = np.nan
    one, faults = await _run(moved)
    other, _ = await _run(holed)
    np.testing.assert_allclose(one.history("a")["pnl_bps"], other.history("a")["pnl_bps"], atol=1e-6)
    assert len(faults) == 2
    assert "stayed at" in faults[1].message
    assert faults[1].severity == "info"


async def test_ordinary_crashes_and_rallies_are_taken() -> None:
    returns = _returns(CLOSE).copy()
    for t, move in ((50, -0.6), (51, 1.2), (120, 4.9), (121, -0.8), (200, -0.82), (201, 3.0)):
        returns[t, 1] = move
    _, faults = await _run(returns)
    assert faults == []


async def test_a_repeated_bar_is_judged_once_and_a_restart_changes_nothing() -> None:
    returns = _returns(_scaled(1000.0, 200, 203))
    straight, faults = await _run(returns)
    store = MemoryStore()
    heard: list[Any] = []
    for first, last in ((0, 199), (199, 200), (200, 202), (202, 260), (260, BARS)):
        monitor = OnlineMonitor(["a"], symbols=COINS, clock=clock_at(100_000), references={"a": 0.05}, journal=store)
        seen = monitor.bus.subscribe("test", FaultReported)
        await monitor.start()
        for t in range(first, last):
            for again in (t, max(t - 1, 0), t):
                await monitor.process_update(bar_time(again), {"a": SIGNAL[again]}, returns[again])
        heard += [(e.at, e.message) for e in seen.take()]
    assert repr(monitor.all_metrics()) == repr(straight.all_metrics())
    assert list(dict.fromkeys(heard)) == [(e.at, e.message) for e in faults]


def test_a_bar_of_nothing_but_jumps_is_one_sentence() -> None:
    screen = PairScreen(8, 3600, 24)
    for t in range(30):
        screen.returns(START + timedelta(hours=t), np.full(8, 0.001 * (-1) ** t))
    clean, told = screen.returns(START, np.array([9.0, 9, 9, 9, 9, 0.01, -1.0, np.nan]))
    assert np.flatnonzero(np.isfinite(clean)).tolist() == [5]
    (one,) = told
    assert one.message.startswith("6 impossible returns")
    assert "symbol 1 +900.0 %" in one.message
