"""Money and time: one axis under the table, and a cursor that takes every pane to a moment."""

from __future__ import annotations

import dataclasses
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from helpers_tui import (
    NOW,
    ScriptedRuntime,
    alert,
    fill_base,
    press,
    running,
    screen_text,
    scripted,
    settle,
    until,
    write_market,
)
from helpers_tui_base import FEATURES
from midas_engine.models import AlertStatus, FeatureState, Severity
from midas_engine.monitor.figures.chart_history import FIGURES, ChartHistory
from midas_engine.monitor.figures.engine import EngineConfig, MonitorEngine
from midas_engine.runtime.book_money import BookMoney, feature_money
from midas_engine.runtime.timeline import Mark, alerts_at, marks_of, moment, timeline
from midas_tui.widgets.time_axis import TimeAxis

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.sentence import Money

START = np.datetime64("2026-01-01T00:00", "ns")


def _engine(bars: int = 60) -> MonitorEngine:
    rng = np.random.default_rng(5)
    engine = MonitorEngine(["good", "bad"], symbols=8, config=EngineConfig(bar_seconds=3600))
    for bar in range(bars):
        returns = rng.normal(0.0, 0.01, 8)
        regime = "LOW_VOL" if bar < bars // 2 else "HIGH_VOL"
        engine.update(START + np.timedelta64(bar, "h"), np.stack([returns, -returns]), returns, regime=regime)
    return engine


def test_the_axis_sums_what_was_earned_after_costs_and_falls_below_its_highest() -> None:
    engine = _engine()
    good, bad, book = (timeline(engine, name, ()) for name in ("good", "bad", ""))
    assert len(good.at) == 60
    assert good.at[0].isoformat() == "2026-01-01T00:00:00+00:00"
    assert good.net_bps[-1] > 0.0 > bad.net_bps[-1]
    fallen = [v for v in bad.drawdown_bps if math.isfinite(v)]
    assert fallen[-1] == min(fallen) < 0.0 >= np.nanmax(good.drawdown_bps)
    assert book.net_bps[-1] == pytest.approx((good.net_bps[-1] + bad.net_bps[-1]) / 2.0, rel=1e-4)
    assert set(book.regimes) == {"LOW_VOL", "HIGH_VOL"}
    gross = float(np.nansum(engine.history("good")["pnl_bps"].astype(float)))
    assert good.net_bps[-1] < gross, "costs are taken off"


def test_a_feature_in_shadow_is_none_of_the_book_and_has_an_axis_of_its_own() -> None:
    engine = _engine()
    engine.set_shadow("bad", True)
    engine.update(START + np.timedelta64(60, "h"), np.tile(np.arange(8.0), (2, 1)), np.arange(8.0) / 100)
    before, after = timeline(engine, "", ()).net_bps[-2:]
    own = timeline(engine, "good", ()).net_bps
    assert after - before == pytest.approx(own[-1] - own[-2], abs=1e-4)


def test_marks_stand_on_the_axis_of_whom_they_speak_and_what_is_older_is_left_out() -> None:
    engine = _engine()
    at = timeline(engine, "", ()).at[5]
    record = dataclasses.replace(
        ScriptedRuntime().summary.deployed[0],
        name="good",
        state=FeatureState.DEPLOYED,
        history=({"at": at.isoformat(), "action": "promote", "reason": "t 3.6"}, {"at": "?", "action": "kill"}),
    )
    said = alert("bad", raised_at=at + timedelta(hours=3), diagnosis="it flipped", last_seen_at=at + timedelta(hours=5))
    marks = marks_of([said], [record], {"bad": (at + timedelta(hours=4), "flipped")})
    marks.append(Mark(at - timedelta(days=90), "kill", "good", "long ago"))
    marks.append(Mark(at + timedelta(days=90), "promotion", "good", "by today's clock, on recorded bars"))
    assert [(m.kind, m.feature) for m in timeline(engine, "", marks).marks] == [
        ("promotion", "good"), ("alert", "bad"), ("kill", "bad"), ("diagnosis", "bad"),
    ]  # fmt: skip
    assert [m.kind for m in timeline(engine, "good", marks).marks] == ["promotion"]


def test_a_moment_has_the_figures_of_then_and_none_of_today() -> None:
    engine = _engine()
    at = timeline(engine, "", ()).at[30]
    kill = Mark(at - timedelta(hours=2), "kill", "bad", "")
    now = {m.feature: m for m in (dataclasses.replace(ScriptedRuntime().found[0], feature=n) for n in ("good", "bad"))}
    found = moment(engine, at, now, [kill], [])
    assert found["bad"].status == "killed"
    assert found["good"].at == at
    assert found["good"].regime == "HIGH_VOL"
    assert found["good"].ic_5d.value == pytest.approx(float(engine.history("good")["ic_5d"][30]), nan_ok=True)
    assert math.isnan(found["good"].kill_log_e), "not kept: not known"
    assert moment(engine, at - timedelta(days=30), now, [], []) == {}


def test_alerts_of_then_run_though_they_ended_since_and_later_ones_are_not_there() -> None:
    ended = alert("a", status=AlertStatus.RESOLVED, resolved_at=NOW, severity=Severity.WARNING)
    later = alert("b", raised_at=NOW)
    (found,) = alerts_at([ended, later], NOW - timedelta(hours=1))
    assert (found.id, found.status, found.resolved_at) == (ended.id, AlertStatus.OPEN, None)


def test_a_state_saved_before_net_returns_were_kept_is_read_and_they_are_unknown() -> None:
    old, new = ChartHistory(2, 10), ChartHistory(2, 10)
    old.update(START, [np.ones(2)] * len(FIGURES), "LOW_VOL")
    arrays = {k: v for k, v in old.arrays().items() if k != "regime"} | {"x": old.x[:, :6]}
    new.load(arrays)
    found = new.ordered()
    assert found["pnl_bps"].tolist() == [[1.0, 1.0]]
    assert np.isnan(found["net_bps"]).all()
    assert found["regime"].tolist() == [0]


async def test_the_cursor_takes_every_pane_to_its_moment_and_escape_back() -> None:
    async with scripted(ScriptedRuntime(), size=(160, 45)) as (app, pilot, runtime):
        axis = app.screen.query_one(TimeAxis)
        assert "regime" in screen_text(app)
        axis.focus()
        await press(pilot, "k")
        assert app.store.past is not None
        assert app.store.past.at == runtime.queries.timeline().marks[-1].at
        await until(pilot, lambda: "kill old_carry: the sign flipped" in screen_text(app))
        text = screen_text(app)
        assert "THE PAST" in text
        assert "On 2026-01-" in text.split("\n")[1]
        assert "need you" not in text.split("\n")[1]
        assert app.shell.link.refusal().startswith("refused: this is the past")
        await press(pilot, "2", "1", "escape")
        assert app.store.past is None
        assert axis.cursor is None
        assert "THE PAST" not in screen_text(app)


async def test_a_redraw_between_the_key_and_its_message_keeps_the_cursor() -> None:
    async with scripted(ScriptedRuntime(), size=(160, 45)) as (app, pilot, _):
        screen: Any = app.screen
        axis = screen.query_one(TimeAxis)
        axis.action_event(-1)  # its message waits
        screen.flush({"all"})
        await until(pilot, lambda: app.store.past is not None)
        assert axis.moment == app.store.past.at
        axis.action_step(-1)
        axis.action_now()  # the message of the step is out of date when it comes
        await until(pilot, lambda: app.store.past is None)
        await settle(pilot)
        assert app.store.past is axis.moment is None


@pytest.mark.parametrize("size", [(160, 45), (240, 60)])
async def test_every_cell_of_the_axis_is_the_moment_drawn_there(size: tuple[int, int]) -> None:
    async with scripted(ScriptedRuntime(), size=size) as (app, _pilot, _):
        axis: Any = app.screen.query_one(TimeAxis)
        plot = axis._grid()[0]
        places = [axis.bar_at(cell) for cell in range(plot)]
        assert places == sorted(places)
        assert places[-1] == 299
        first = axis._grid()[3] // axis._grid()[1]
        assert all(axis._cell(axis.bar_at(cell)) == cell for cell in range(first + 1, plot))


async def test_a_real_base_shows_its_promotion_on_the_axis(tmp_path: Path) -> None:
    fill_base(tmp_path / "kb")
    market = write_market(tmp_path, days=20)
    async with running(tmp_path / "kb", market, size=(160, 45)) as (app, pilot):
        await until(pilot, lambda: app.screen.query_one(TimeAxis)._time is not None)
        found: Any = app.runtime.queries.timeline("", app.store.pipeline)  # type: ignore[union-attr]
        assert len(found.at) > 300
        assert math.isfinite(found.net_bps[-1])
        app.screen.query_one(TimeAxis).focus()
        await press(pilot, "home")
        assert set(app.store.metrics) == set(FEATURES)
        assert {m.at for m in app.store.metrics.values()} == {found.at[0]}


def _told(engine: MonitorEngine, name: str, money: Money | None) -> None:
    """What is told of the book stands at the end of its axis, over as many days."""
    axis = timeline(engine, name, ())
    known = [at for at, net in zip(axis.at, axis.net_bps, strict=True) if math.isfinite(net)]
    assert money is not None
    assert money.net_bps == pytest.approx(axis.net_bps[-1])
    assert money.days == round((known[-1] - known[0]).total_seconds() / 86_400)


def test_what_the_sentence_says_was_earned_is_where_the_chart_ends_at_every_bar() -> None:
    engine, book = _engine(130), BookMoney()
    read: list[int] = []
    whole = ChartHistory.figure

    def counted(ring: ChartHistory, name: str, places: Any, row: int | None = None) -> Any:
        read.append(len(places))
        return whole(ring, name, places, row)

    rng = np.random.default_rng(6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChartHistory, "figure", counted)
        for bar in range(130, 900):  # past the 720 that are kept
            returns = rng.normal(0.0, 0.01, 8)
            engine.update(START + np.timedelta64(bar, "h"), np.stack([returns, returns[::-1]]), returns)
            if bar % 3 == 0:
                money = book.at(engine)
                if bar % 90 == 0:
                    kept = len(read)
                    _told(engine, "", money)
                    del read[kept:]  # the axis reads all that is kept
        assert max(read[2:]) <= 3, "only bars that are new are read"
    for name in ("good", "bad"):
        _told(engine, name, feature_money(engine, name))
    engine.set_shadow("bad", True)
    engine.resize(["bad", "good", "late"])
    _told(engine, "", book.at(engine))
    state = {k: np.array(v) for k, v in engine.history_ring.arrays().items()}
    for bar in range(900, 910):
        engine.update(START + np.timedelta64(bar, "h"), np.tile(np.arange(8.0), (3, 1)), np.arange(8.0) / 100)
    _told(engine, "", book.at(engine))
    engine.history_ring.load(state)  # a replay goes back
    _told(engine, "", book.at(engine))
    assert BookMoney().at(_engine(96)) is None, "below five days"


async def test_a_page_of_32_lines_shows_money_where_its_table_leaves_room() -> None:
    runtime = ScriptedRuntime()
    async with scripted(runtime, size=(120, 32)) as (app, pilot, _):
        axis = app.screen.query_one(TimeAxis)
        await until(pilot, lambda: axis.display and "bps in" in screen_text(app))
        text = screen_text(app)
        assert "events" in text
        assert text.count("01-19 12:00") >= 4, "and four alerts below it"
        axis.focus()
        runtime.found = [dataclasses.replace(runtime.found[0], feature=f"feature_{i:02d}") for i in range(20)]
        app.store.reset_live([], {m.feature: m for m in runtime.found})
        app.screen.refresh_all()
        await until(pilot, lambda: not axis.display)
        assert app.focused is not None
        assert app.focused.id == "features", "the focus is never where nothing is"


async def test_the_axis_says_what_its_shades_and_letters_are() -> None:
    async with scripted(ScriptedRuntime(), size=(160, 45)) as (app, pilot, _):
        await until(pilot, lambda: "P promotion" in screen_text(app))
        text = screen_text(app)
        for word in ("K kill", "A alert", "LOW_VOL", "HIGH_VOL", "to 01-19 12:00", "at worst"):
            assert word in text, word
        told = dict(app.screen.explained()[0])
        assert "K kill" in told["events, over time"]
        assert "HIGH_VOL" in told["regime, over time"]
