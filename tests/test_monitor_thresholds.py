"""Alert thresholds: merged with the defaults, or refused whole."""

from __future__ import annotations

import math

import pytest

from midas_engine.errors import SettingsError
from midas_engine.monitor.alerts import AlertEngine
from midas_engine.monitor.thresholds import AlertThresholds, merge_thresholds


def test_the_defaults_are_the_originals() -> None:
    t = AlertThresholds()
    assert (t.ic_ratio_warning, t.ic_ratio_critical) == (0.70, 0.50)
    assert (t.slippage_warning, t.slippage_critical) == (1.5, 2.0)
    assert t.drawdown_bps == -50.0
    assert (t.enter_bars, t.leave_bars) == (3, 24)


def test_a_partial_override_keeps_the_rest() -> None:
    t = merge_thresholds({"slippage_warning": 1.2, "ic_decay_warning": 0.8})
    assert (t.slippage_warning, t.slippage_critical, t.ic_ratio_warning) == (1.2, 2.0, 0.8)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"slipage_warning": 1.2}, "slippage_warning"),
        ({"drawdown": -10}, "drawdown_bps"),
        ({"slippage_warning": "1.2"}, "not a finite number"),
        ({"slippage_warning": math.nan}, "not a finite number"),
        ({"slippage_warning": math.inf}, "not a finite number"),
        ({"slippage_warning": True}, "not a finite number"),
        ({"slippage_warning": None}, "not a finite number"),
        ({"slippage_warning": -1.0}, "out of range"),
        ({"drawdown_bps": 50}, "out of range"),
        ({"enter_bars": 2.5}, "whole number"),
        ({"enter_bars": 0}, "out of range"),
        ({"ic_ratio_critical": 0.9}, "lies above"),
        ({"slippage_critical": 1.1}, "lies below"),
    ],
)
def test_a_wrong_set_is_refused_and_named(overrides: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        merge_thresholds(overrides)
    assert told in str(caught.value)


def test_the_last_good_set_stays() -> None:
    engine = AlertEngine({"drawdown_bps": -20})
    with pytest.raises(SettingsError):
        engine.replace_thresholds({"drawdown_bps": -30, "nonsense": 1})
    assert engine.thresholds.drawdown_bps == -20
