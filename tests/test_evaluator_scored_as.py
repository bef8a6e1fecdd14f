"""How features are scored is decided once: the verdict, the promise, the book and the live detectors obey it alike."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.book.members import gather, market_of
from midas_engine.bus import EventBus
from midas_engine.clock import ManualClock
from midas_engine.errors import EvaluationError, MonitorError
from midas_engine.evaluator import EvaluationContext, ScoringOptions
from midas_engine.evaluator.context.scored_as import kept_mode, monitor_mode, panel_is_cross, watched_across
from midas_engine.evaluator.metrics.reference_score import measure_reference, watched_references
from midas_engine.events import FaultReported
from midas_engine.loops import PanelAssessor
from midas_engine.market.feeds import FileSource, PollingFeed
from midas_engine.market.forward import forward_returns
from midas_engine.market.instants import as_utc
from midas_engine.market.panel import Panel
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.monitor import OnlineMonitor
from midas_engine.monitor.figures.engine import EngineConfig, MonitorEngine
from midas_engine.runtime.live import LiveWatch
from midas_engine.runtime.recorded_bars import Recording
from midas_engine.runtime.watchlist import book_of_records
from midas_engine.settings import EvaluationSettings, Settings
from midas_engine.stats.causal_score import causal_scores

if TYPE_CHECKING:
    from pathlib import Path

BARS, SYMBOLS, LIVE = 700, 12, 4
EXPRESSION = "ts_zscore(volume, 24)"


def _panel(*, late: float = 0.0) -> Panel:
    """Twelve symbols; all but four of them begin after the share `late` of the history."""
    rng = np.random.default_rng(3)
    known = rng.normal(size=(BARS, SYMBOLS))
    returns = 0.01 * rng.standard_t(4, (BARS, SYMBOLS))
    returns[1:] += 0.003 * known[:-1]
    fields = {"close": 100.0 * np.exp(np.cumsum(returns, axis=0)), "volume": np.exp(known)}
    for values in fields.values():
        values[: int(late * BARS), LIVE:] = np.nan
    times = np.datetime64("2025-01-01", "ns") + np.arange(BARS) * np.timedelta64(3600, "s")
    return Panel(times, [f"S{k:02}USDT" for k in range(SYMBOLS)], fields, 3600)


def _settings(mode: str = "auto") -> Settings:
    return Settings(evaluation=EvaluationSettings(mode=mode, workers=0))


def _record(**metrics: object) -> FeatureRecord:
    return FeatureRecord(
        "carry", EXPRESSION, FeatureState.DEPLOYED, expected_score=0.1, breadth=8.0, metrics=dict(metrics)
    )


CASES = pytest.mark.parametrize(
    ("late", "mode", "cross"),
    [(0.0, "auto", True), (0.55, "auto", False), (0.0, "time", False), (0.55, "cross-section", True)],
)


@CASES
def test_everything_that_scores_a_history_obeys_one_decision(late: float, mode: str, cross: bool) -> None:
    panel, settings = _panel(late=late), _settings(mode)
    options = ScoringOptions.from_settings(settings)
    assert panel_is_cross(panel, mode) is cross
    assert EvaluationContext.from_panel(panel, horizons=(1,), options=options).cross is cross
    assert PanelAssessor(panel, settings).cross is cross
    market = market_of(panel, settings)
    u = gather([_record()], panel, market, settings, {}).signals.u[0]
    values = FeatureValues(panel).values
    wanted, _ = causal_scores(values, forward_returns(panel, (1,))[1], cross)
    assert np.array_equal(u, wanted, equal_nan=True)
    # A part of the history does not decide otherwise than the whole.
    assert market_of(panel.slice(0, BARS // 2), settings, panel).cross is cross
    found, _ = measure_reference(panel, values, slice(BARS // 2, BARS), mode)
    other, _ = measure_reference(panel, values, slice(BARS // 2, BARS), "time" if cross else "cross-section")
    assert found is not None
    assert other is not None
    assert found.variance != other.variance


class FeatureValues:
    """The feature over a panel."""

    def __init__(self, panel: Panel) -> None:
        from midas_engine.dsl import FeatureEngine

        self.values = FeatureEngine(panel, limits=Settings().dsl).values(EXPRESSION)


@CASES
async def test_a_live_watch_scores_as_research_did(tmp_path: Path, late: float, mode: str, cross: bool) -> None:
    panel, bus, heard = _panel(late=late), EventBus(), []
    bus.tap(lambda e: heard.append(e.message) if isinstance(e, FaultReported) else None)
    panel.save(tmp_path / "bars.parquet")
    clock = ManualClock(as_utc(panel.timestamps[-1] + np.timedelta64(3610, "s")))
    live = LiveWatch(PollingFeed(FileSource(tmp_path / "bars.parquet"), clock), _settings(mode), bus=bus, clock=clock)
    kept = kept_mode({"mode": "cross-section" if cross else "time"})
    try:
        await live.begin([_record(measured_on="here", **kept)])
        assert live.fleet.engine.cross is cross
        assert "carry" in live.fleet.engine.references
        assert not heard
    finally:
        await live.close()


@CASES
def test_a_replay_scores_as_research_did(late: float, mode: str, cross: bool) -> None:
    panel, settings = _panel(late=late), _settings(mode)
    book, problems = book_of_records(panel, [_record()], settings.dsl)
    regimes = np.full(panel.T, "")
    clock = ManualClock(as_utc(panel.timestamps[-1]))
    stage = Recording(panel, 0, BARS // 2, regimes, book, problems).stage(settings, clock)
    assert stage.fleet.engine.cross is cross


async def test_a_promise_of_the_other_mode_is_not_watched_by_it_and_that_is_said(tmp_path: Path) -> None:
    panel, bus, heard = _panel(), EventBus(), []
    bus.tap(lambda e: heard.append(e.message) if isinstance(e, FaultReported) else None)
    panel.save(tmp_path / "bars.parquet")
    clock = ManualClock(as_utc(panel.timestamps[-1] + np.timedelta64(3610, "s")))
    feed = PollingFeed(FileSource(tmp_path / "bars.parquet"), clock)
    live = LiveWatch(feed, _settings("cross-section"), bus=bus, clock=clock)
    try:
        await live.begin([_record(measured_on="here", mode="time")])
        assert live.fleet.engine.references == {}
    finally:
        await live.close()
    assert "carry was found in time and is watched as a cross-section: uncalibrated here" in heard


def test_what_was_found_decides_where_the_setting_is_auto() -> None:
    """A live history is shorter than the searched one: its own width could decide otherwise."""
    whole = _panel()
    assert not watched_across([False, None], SYMBOLS, "auto", whole)
    assert watched_across([True, False], SYMBOLS, "auto", whole)  # they differ: the data decides
    assert monitor_mode([_record(measured_on="x", mode="time")], None, "auto") == "time"
    assert monitor_mode([_record(measured_on="x")], None, "auto") == "auto"
    assert monitor_mode([_record(measured_on="x")], SYMBOLS, "auto") == "cross-section"
    assert watched_references([_record(measured_on="x")], SYMBOLS, "time")[1] == ("carry",)
    assert watched_references([_record()], SYMBOLS, "time")[1] == ()  # measured for the watch, whatever its mode
    with pytest.raises(EvaluationError, match="a cross-section needs 10 symbols, the data has 3"):
        monitor_mode([], 3, "cross-section")


async def test_the_python_monitor_takes_the_mode(tmp_path: Path) -> None:
    async with OnlineMonitor(["a"], symbols=SYMBOLS, mode="time") as monitor:
        assert not monitor.fleet.engine.cross
    with pytest.raises(MonitorError, match="no mode 'panel'"):
        OnlineMonitor(["a"], symbols=SYMBOLS, mode="panel")
    with pytest.raises(MonitorError, match="a cross-section needs 10 symbols, there are 3"):
        OnlineMonitor(["a"], symbols=3, mode="cross-section")


def test_a_state_of_the_other_mode_is_refused() -> None:
    config = EngineConfig(cross=False)
    in_time = MonitorEngine(["a"], symbols=SYMBOLS, config=config)
    meta, arrays = in_time.parts()
    MonitorEngine(["a"], symbols=SYMBOLS, config=config).load(meta, arrays)
    across = MonitorEngine(["a"], symbols=SYMBOLS, config=dataclasses.replace(config, cross=True))
    with pytest.raises(MonitorError, match="scored in time, not as a cross-section"):
        across.load(meta, arrays)
