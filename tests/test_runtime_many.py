"""Hundreds of features on a long history: of what nobody goes through nothing is kept, nor computed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from helpers_kb import record
from helpers_tui_base import fill_base, write_market
from midas_engine.clock import WallClock
from midas_engine.dsl import FeatureEngine
from midas_engine.events import RuntimeChanged
from midas_engine.market import Panel, load_panel
from midas_engine.models import FeatureState
from midas_engine.monitor.figures.chart_history import FIGURES
from midas_engine.runtime import Runtime
from midas_engine.runtime import recording as recorded
from midas_engine.runtime.recorded_bars import FleetStage
from midas_engine.runtime.timeline import moment, timeline
from midas_engine.runtime.watchlist import book_of_records
from midas_engine.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.models import FeatureRecord

FORMS = (
    "cs_zscore(ts_mean(returns(close, 3), {w}))",
    "cs_zscore(ts_zscore(log(volume), {w}))",
    "-cs_rank(ts_corr(close, volume, {w}))",
    "-cs_zscore(ts_max(high, {w}) / close)",
    "cs_zscore(ema(close, {w}) / close)",
    "cs_demean(returns) * {w}",
)


@pytest.fixture(scope="module")
def panel() -> Panel:
    whole = load_panel("sample").slice(-3000, None)
    return whole.select(whole.symbols[:6])


def _records(count: int) -> list[FeatureRecord]:
    return [
        record(f"f{i:02d}", expression=FORMS[i % len(FORMS)].format(w=6 + 4 * i), state=FeatureState.DEPLOYED)
        for i in range(count)
    ]


def test_values_are_those_of_the_bars_that_are_gone_through_and_equal_to_those_of_the_whole(panel: Panel) -> None:
    first, settings = panel.T - 768, Settings()
    book, problems = book_of_records(panel, _records(24), settings.dsl, first)
    assert (len(book), problems) == (24, {})
    whole = FeatureEngine(panel, limits=settings.dsl, cache_bytes=0)
    for feature in book:
        assert feature.values.shape == (768, panel.S)
        assert np.allclose(feature.values, whole.values(feature.expression)[first:], rtol=1e-7, equal_nan=True)
    kept = {id(f.values.base): f.values.base.nbytes for f in book if f.values.base is not None}
    assert sum(kept.values()) == 24 * 768 * panel.S * 8


def test_of_the_bars_before_only_what_features_look_back_is_computed(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    values = FeatureEngine.values

    def noted(self: FeatureEngine, expression: Any) -> Any:
        found = values(self, expression)
        computed.append(len(found))
        return found

    monkeypatch.setattr(FeatureEngine, "values", noted)
    records = [record("short", expression="cs_zscore(ts_mean(close, 24))")]
    book_of_records(panel, records, Settings().dsl, panel.T - 768)
    assert 768 <= max(computed) <= 768 + 30


def test_who_cannot_be_computed_is_named_and_leaves_no_hole(panel: Panel) -> None:
    records = [record("a", expression="cs_rank(close)"), record("b", expression="cs_rank(open_interest)")]
    records += [record("c", expression="cs_rank(volume)")]
    book, problems = book_of_records(panel, records, Settings().dsl, panel.T - 100)
    assert [f.name for f in book] == ["a", "c"]
    assert "open_interest" in problems["b"]
    assert np.isfinite(book[1].values[-1]).all()


async def test_every_run_over_a_recording_shares_the_values(panel: Panel) -> None:
    settings = Settings()
    prepared = recorded.prepare(panel.slice(-900, None), _records(6), settings, source="x", replay=False)
    stages = [prepared.stage(settings, WallClock()) for _ in range(2)]
    assert all(a is b is f.values for a, b, f in zip(*(s._values for s in stages), prepared.book, strict=True))
    stages[0].drop(["f00"], prepared.times[0])
    assert [len(s._values) for s in stages] == [5, 6]
    assert stages[0].run_bar(0, shown=True) != []


async def test_an_axis_and_a_moment_read_their_own_figures_alone(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings()
    prepared = recorded.prepare(panel.slice(-900, None), _records(6), settings, source="x", replay=False)
    stage = prepared.stage(settings, WallClock())
    for index in range(200):
        stage.run_bar(index, shown=False)
    engine = stage.fleet.engine
    read: list[tuple[str, int | None]] = []
    figure = engine.history_ring.figure

    def noted(name: str, places: Any, row: int | None = None) -> Any:
        read.append((name, row))
        return figure(name, places, row)

    monkeypatch.setattr(engine.history_ring, "figure", noted)
    monkeypatch.delattr(type(engine.history_ring), "ordered")
    whole, own = timeline(engine, "", ()), timeline(engine, "f01", ())
    assert sorted(read, key=str) == [("net_bps", 1), ("net_bps", None), ("share", None)]
    assert whole.at == own.at == tuple(prepared.times[:199])
    column = engine.history("f01")["net_bps"]
    assert np.allclose(np.nansum(column), own.net_bps[-1])
    read.clear()
    now = {name: stage.fleet.metrics(name, stage.fleet.last_bar) for name in stage.fleet.names}
    then = moment(engine, whole.at[150], now, (), ())["f01"]
    assert then.score == engine.history("f01")["score"][150]
    assert then.pnl_net_1d_bps == pytest.approx(
        np.nansum(column[127:151] * engine.history("f01")["share"][127:151]), nan_ok=True
    )
    assert len(read) <= len(FIGURES) + 2  # not one a feature


async def test_computing_says_how_far_it_is_and_never_after_it_is_done(tmp_path: Path) -> None:
    fill_base(tmp_path / "kb")
    settings = load_settings(
        file=None, environ={}, flags={"kb": str(tmp_path / "kb"), "data": str(write_market(tmp_path, days=4))}
    )
    runtime = Runtime(settings)
    heard: list[RuntimeChanged] = []
    runtime.bus.tap(lambda event: heard.append(event) if isinstance(event, RuntimeChanged) else None)
    await runtime.start()
    try:
        computing = [i for i, e in enumerate(heard) if e.detail == "computing features"]
        shares = [heard[i].progress for i in computing[1:]]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
        assert heard[-1].phase == "running"
        assert computing == list(range(computing[0], computing[-1] + 1))
    finally:
        await runtime.stop()


@pytest.mark.parametrize("mode", ["auto", "time"])
def test_kernels_are_loaded_with_one_feature_of_each_kind_in_the_mode_of_all(
    panel: Panel, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    settings = load_settings(file=None, environ={}, flags={"evaluation.mode": mode})
    records = [
        replace(r, state=FeatureState.SHADOW if i % 4 == 3 else FeatureState.DEPLOYED)
        for i, r in enumerate(_records(16))
    ]
    ran: list[tuple[int, bool, int]] = []
    run_bar = FleetStage.run_bar

    def noted(stage: FleetStage, index: int, *, shown: bool) -> Any:
        ran.append((len(stage.fleet.names), stage.fleet.engine.config.cross, len(stage.fleet.shadow)))
        return run_bar(stage, index, shown=shown)

    monkeypatch.setattr(FleetStage, "run_bar", noted)
    prepared = recorded.prepare(panel.slice(-900, None), records, settings, source="x", replay=False)
    assert len(prepared.book) == 16
    whole = prepared.stage(settings, WallClock())
    assert set(ran) == {(2, whole.fleet.engine.config.cross, 1)}
    assert len(ran) == recorded.KERNEL_BARS
