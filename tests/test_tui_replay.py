"""The replay keys on a real recording."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from helpers_tui import press, readable, running, screen_text, settle, toasts, type_text, until, write_market
from midas_tui.modals.choose import LineModal

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.runtime.replay import ReplayControl

MARKET_DAYS = 24


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory, filled: Path) -> Path:
    """A base with live features for all tests here; a replay changes nothing in it."""
    return shutil.copytree(filled, tmp_path_factory.mktemp("base") / "kb")


def control(app: Any) -> ReplayControl:
    return app.runtime.replay


async def test_a_recording_without_a_pipeline_shows_classics_and_a_clock(tmp_path: Path) -> None:
    async with running(tmp_path / "kb", write_market(tmp_path, days=45), replay=True) as (app, _):
        text = screen_text(app)
        assert "REPLAY" in text
        assert "features 3/3" in text
        assert f"1/{control(app).total} bars" in text


async def test_steps_speed_jumps_and_restart(kb: Path, market: Path) -> None:
    async with running(kb, market, replay=True) as (app, pilot):
        replay = control(app)
        await press(pilot, "full_stop", "full_stop")
        await until(pilot, lambda: replay.position == 3)
        await press(pilot, "comma")
        await until(pilot, lambda: replay.position == 2)
        speed = replay.speed
        await press(pilot, "plus")
        assert replay.speed == speed * 2
        await press(pilot, "minus", "minus")
        assert replay.speed == speed / 2
        await until(pilot, lambda: f"x{replay.speed:g}" in screen_text(app))
        await press(pilot, "0")
        await until(pilot, lambda: replay.position == 0)


async def test_brackets_jump_between_alerts(kb: Path, market: Path) -> None:
    async with running(kb, market, replay=True) as (app, pilot):
        replay = control(app)
        await until(pilot, lambda: len(replay.alert_bars) >= 2, "the scan found alerts")
        first, second = replay.alert_bars[:2]
        await press(pilot, "right_square_bracket")
        await until(pilot, lambda: replay.position == first)
        assert any(a.raised_at == replay.bar_at for a in app.store.alerts.values())
        await press(pilot, "right_square_bracket")
        await until(pilot, lambda: replay.position == second)
        await press(pilot, "left_square_bracket")
        await until(pilot, lambda: replay.position == first)
        await press(pilot, "left_square_bracket")
        await until(pilot, lambda: any("no earlier alert" in t for t in toasts(app)))


async def test_at_goes_to_a_bar_or_a_time_and_refuses_nonsense(kb: Path, market: Path) -> None:
    async with running(kb, market, replay=True) as (app, pilot):
        replay = control(app)
        await press(pilot, "at")
        assert isinstance(app.screen, LineModal)
        await readable(pilot)
        await type_text(pilot, "100")
        await press(pilot, "enter")
        await until(pilot, lambda: replay.position == 100)
        await press(pilot, "at")
        await readable(pilot)
        await type_text(pilot, "2026-03-01 08:00")
        await press(pilot, "enter")
        await until(pilot, lambda: f"{replay.bar_at:%Y-%m-%d %H:%M}" == "2026-03-01 08:00")
        await press(pilot, "at")
        await readable(pilot)
        await type_text(pilot, "soon")
        await press(pilot, "enter")
        await until(pilot, lambda: any("neither a bar number nor a time" in t for t in toasts(app)))


async def test_space_plays_and_pauses_and_the_end_says_how_to_go_on(kb: Path, market: Path) -> None:
    async with running(kb, market, replay=True) as (app, pilot):
        replay = control(app)
        replay.set_speed(256)
        await replay.seek(replay.total - 20)
        await press(pilot, "space")
        await until(pilot, lambda: replay.position == replay.total, "it played to the end")
        await press(pilot, "space")
        await until(pilot, lambda: any("0 starts it again" in t for t in toasts(app)))


async def test_a_jump_shows_the_alerts_of_where_it_lands_and_none_of_the_future(kb: Path, market: Path) -> None:
    async with running(kb, market, replay=True) as (app, pilot):
        replay = control(app)
        await replay.seek(replay.total)
        app.shell.bridge.pump()
        later = dict(app.store.alerts)
        # A jump hides the bars between; what they raised and resolved is known all the same.
        assert {a.id for a in app.runtime.queries.alerts(include_resolved=True)} == set(later)  # type: ignore[union-attr]
        await replay.seek(1)
        app.shell.bridge.pump()
        await settle(pilot)
        assert len(app.store.alerts) < len(later)
        assert all(a.last_seen_at <= replay.bar_at for a in app.store.alerts.values())


async def test_replay_keys_outside_a_replay_say_what_to_start(kb: Path, market: Path) -> None:
    async with running(kb, market) as (app, pilot):
        for key in ("full_stop", "at"):
            await press(pilot, key)
            assert sum("not a replay" in t for t in toasts(app)) == 1, key  # said again, not twice
            app.clear_notifications()
