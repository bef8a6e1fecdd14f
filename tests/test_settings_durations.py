"""Limits that are time: the same month of past on bars of every length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.dsl import FeatureEngine
from midas_engine.dsl.expression import parse
from midas_engine.durations import bars_of, duration, most_bars
from midas_engine.errors import LimitError, SettingsError
from midas_engine.market.panel import Panel
from midas_engine.settings import DslLimits, known_keys, load_settings

if TYPE_CHECKING:
    from pathlib import Path


def _panel(seconds: int, bars: int) -> Panel:
    times = np.datetime64("2025-01-01", "ns") + np.arange(bars) * np.timedelta64(seconds, "s")
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.001, (bars, 1)), axis=0))
    return Panel(times, ["BTCUSDT"], {"close": close}, seconds)


@pytest.mark.parametrize(("seconds", "month"), [(300, 8640), (900, 2880), (3600, 720), (14_400, 180)])
def test_thirty_days_are_possible_at_every_bar(seconds: int, month: int) -> None:
    engine = FeatureEngine(_panel(seconds, 60))
    assert engine.parse(f"ts_zscore(close, {month})").lookback == month - 1
    with pytest.raises(LimitError, match=rf"the limit of {month} \(dsl.lookback\)"):
        engine.parse(f"ts_zscore(close, {month + 1})")


def test_days_keep_the_windows_they_had() -> None:
    limits = DslLimits().at(86_400)
    assert (limits.window_bars, limits.memory_bars) == (168, 2000)
    parse("ts_mean(close, 168)", limits=limits)


def test_a_month_of_five_minutes_is_computed() -> None:
    values = FeatureEngine(_panel(300, 9000)).values("ts_mean(close, 8640)")
    assert np.isfinite(values[-1]).all()


def test_a_limit_in_bars_is_as_said() -> None:
    limits = DslLimits(lookback="24b").at(86_400)
    assert limits.window_bars == 24
    assert DslLimits(lookback_bars=10, bar_seconds=300).window_bars == 10


def test_settings_take_durations_and_the_bars_of_before(tmp_path: Path) -> None:
    file = tmp_path / "midas.toml"
    file.write_text('[dsl]\nlookback_bars = 96\ntotal_lookback = "20d"\n', encoding="utf-8")
    found = load_settings(file=file, environ={}).dsl
    assert (found.lookback, found.window_bars, found.memory_bars) == ("96b", 96, 2000)
    assert found.at(300).memory_bars == 20 * 288
    assert "dsl.bar_seconds" not in known_keys()
    with pytest.raises(SettingsError, match="dsl.lookback = '0d' is no time at all"):
        load_settings(environ={"MIDAS_DSL_LOOKBACK": "0d"})
    with pytest.raises(SettingsError, match="unknown setting 'dsl.bar_seconds'"):
        load_settings(environ={}, flags={"dsl.bar_seconds": 60})


@pytest.mark.parametrize("text", ["", "d", "-1d", "1e3d", "3y", "30 days", "nan", "१d", "1d2h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is not a duration"):
        duration(text)


def test_a_duration_covers_the_bar_it_begins() -> None:
    assert [bars_of(t, 3600) for t in ("90m", "1h", "2d", "1w", "5b", "0h")] == [2, 1, 48, 168, 5, 0]
    assert most_bars("1w", 86_400, 168) == 168
