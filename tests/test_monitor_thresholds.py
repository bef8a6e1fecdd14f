"""Alert thresholds: merged with the defaults, or refused whole."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from midas_engine.errors import SettingsError
from midas_engine.events import FaultReported
from midas_engine.kb import KnowledgeBase
from midas_engine.monitor import OnlineMonitor
from midas_engine.monitor.alerts.engine import AlertEngine
from midas_engine.monitor.alerts.threshold_file import PATH
from midas_engine.monitor.alerts.thresholds import AlertThresholds, merge_thresholds
from tests.helpers_monitor import clock_at

if TYPE_CHECKING:
    from pathlib import Path


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


def _base(tmp_path: Path, text: str | bytes) -> KnowledgeBase:
    kb = KnowledgeBase(tmp_path / "kb")
    data = text if isinstance(text, bytes) else text.encode()
    (kb.path / PATH).write_bytes(data)
    return kb


async def test_a_threshold_file_is_read_and_what_was_given_goes_before_it(tmp_path: Path) -> None:
    kb = _base(tmp_path, '{"slippage_warning": 1.3, "drawdown_bps": -80}')
    monitor = OnlineMonitor(["a"], kb=kb, clock=clock_at(99), alert_thresholds={"drawdown_bps": -70})
    await monitor.start()
    assert monitor.alert_engine.thresholds == AlertThresholds(slippage_warning=1.3, drawdown_bps=-70.0)


BAD_FILES = {
    '{"slippage_warning": "high"}': "line 1: alert threshold slippage_warning = 'high'",
    '{\n"drawdown_bps": -1,\n"slippage_warnig": 1.2}': "line 3: unknown alert threshold 'slippage_warnig'",
    '{"enter_bars": NaN}': "NaN is not a JSON number",
    '{"enter_bars": 2, "enter_bars": 3}': "is there twice",
    "[1, 2]": "must hold an object",
    "{": "Expecting",
    '{"slippage_critical": 1.0}': "slippage_critical = 1 lies below the warning",
    "\ud800": "knowledge/alert-thresholds.json",
    '{"x": ' + "[" * 5000 + "]" * 5000 + "}": "nested too deep",
    " " * 30_000: "30,000 bytes",
}


@pytest.mark.parametrize("text", BAD_FILES)
async def test_a_wrong_threshold_file_is_refused_whole_and_the_last_good_one_stays(tmp_path: Path, text: str) -> None:
    kb = _base(tmp_path, '{"slippage_warning": 1.3}')
    monitor = OnlineMonitor(["a"], kb=kb, clock=clock_at(99))
    faults = monitor.bus.subscribe("test", FaultReported)
    await monitor.start()
    (kb.path / PATH).write_bytes(text.encode("utf-8", "surrogatepass"))
    monitor.load_alert_file()
    assert monitor.alert_engine.thresholds == AlertThresholds(slippage_warning=1.3)
    (fault,) = faults.take()
    assert (fault.where, fault.message.startswith(PATH)) == ("alert thresholds", True)
    assert BAD_FILES[text] in fault.message
    (kb.path / PATH).write_text('{"slippage_warning": 1.4}')
    monitor.load_alert_file()
    assert monitor.alert_engine.thresholds.slippage_warning == 1.4
    (kb.path / PATH).unlink()
    monitor.load_alert_file()
    assert monitor.alert_engine.thresholds == AlertThresholds()
