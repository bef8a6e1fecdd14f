"""The played case from its first step to the truth, by the keys its card names; and what a newcomer is asked."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from helpers_kb import record
from helpers_tui import NOW, SteppedClock, alert, press, readable, screen_text, scripted, settle, until
from midas_engine import events as ev
from midas_engine.demo.played import PlayedRuntime
from midas_engine.demo.world import build_world
from midas_engine.models import Severity
from midas_engine.settings import load_settings
from midas_tui.app import DEMO_WANTED, MidasApp
from midas_tui.cli import parser
from midas_tui.modals.ask import AskModal
from midas_tui.modals.choose import ChooseModal, TextModal
from midas_tui.tour import STEPS
from midas_tui.widgets.line_table import LineTable
from midas_tui.widgets.tour_card import TourCard

if TYPE_CHECKING:
    from pathlib import Path

    from textual.pilot import Pilot

# Measuring, catching up and living take seconds each on a busy machine.
LONG = 90.0
CARRY = "-cs_zscore(funding_rate)"


async def _answer(pilot: Pilot[Any], name: str = "") -> None:
    """Give what the question asks for."""
    app: Any = pilot.app
    await until(pilot, lambda: isinstance(app.screen, AskModal), "the question", patience=LONG)
    await readable(pilot, AskModal)
    for field, text in (("#reason", "for the case"), ("#typed", name)):
        if app.screen.query(field):
            app.screen.query_one(field).value = text
    confirm = app.screen.query_one("#confirm")
    await until(pilot, lambda: not confirm.disabled, "everything asked for is there")
    confirm.press()
    await settle(pilot)


async def test_the_case_is_played_to_the_truth_by_the_keys_of_its_card(tmp_path: Path) -> None:
    settings = load_settings(file=None, environ={}, flags={"kb": str(tmp_path / "own")})
    app = MidasApp(lambda: PlayedRuntime(settings, tmp_path, bars=2000, symbols=10), settings, clock=SteppedClock())
    async with app.run_test(size=(160, 45)) as pilot:
        await asyncio.wait_for(app.ready.wait(), 90)
        runtime: Any = app.runtime
        runtime.bars_a_step = 60
        tour: Any = app.shell.guide.tour
        assert not (tmp_path / "own").exists(), "the person's own base is not touched"
        await until(pilot, lambda: "find something" in screen_text(app), "the card")
        assert "DEMO" in screen_text(app).split("\n")[0]

        # What a session would leave, without the minute that it takes: tests of sessions have that.
        await asyncio.to_thread(runtime.base.promoter.save_candidate, record("carry", expression=CARRY))
        at = runtime.now()
        for event in (
            ev.SessionStarted(at=at, session_id="s", goal="funding carry", researcher="local"),
            ev.CandidateAccepted(at=at, session_id="s", name="carry", expression=CARRY),
            ev.SessionEnded(at=at, session_id="s", result="success", tried=1, accepted=("carry",)),
        ):
            runtime.bus.publish(event)
        await until(pilot, lambda: tour.step.title == "promote", "it was found")
        await press(pilot, "2")
        app.screen.query_one("#candidates", LineTable).focus()
        await press(pilot, "p")
        await _answer(pilot)
        await until(pilot, lambda: tour.step.title in ("live", "alarm"), "time passes", patience=LONG)
        await press(pilot, "1")
        await until(pilot, lambda: tour.step.title == "alarm", "something was called", patience=LONG)
        assert f"{tour.victim} is called dead" in str(app.screen.query_one(TourCard).render())
        app.screen.query_one("#features", LineTable).move_to(tour.victim)
        await press(pilot, "D")
        await until(pilot, lambda: tour.step.title == "kill", "it was explained", patience=LONG)
        await press(pilot, "2")
        deployed = app.screen.query_one("#deployed", LineTable)
        deployed.focus()
        deployed.move_to(tour.victim)
        await press(pilot, "K")
        await _answer(pilot, tour.victim)
        await until(
            pilot,
            lambda: tour.step.title == "go on" or isinstance(app.screen, TextModal),
            "it was stopped",
            patience=LONG,
        )
        await until(pilot, lambda: isinstance(app.screen, TextModal), "the truth is told", patience=LONG)
        told = "\n".join(runtime.truth("carry"))
        assert "Planted: funding_carry (lives)" in told
        assert "carry is 100% the planted funding_carry" in told
        assert "noticed after" in told
        assert "bps net of costs" in told, "and what it cost"
        # What was done by hand stands on the axis where the market stood, not beyond its end.
        axis = runtime.queries.timeline("", app.store.pipeline)
        assert {"promotion", "kill", "alert"} <= {mark.kind for mark in axis.marks}
        assert all(axis.at[0] <= mark.at <= runtime.now() for mark in axis.marks)
        assert tour.step is STEPS[-1]


async def test_the_card_is_nowhere_else() -> None:
    async with scripted(size=(160, 45)) as (app, _pilot, _):
        assert not app.screen.query_one(TourCard).display


async def test_a_newcomer_is_asked_and_may_choose_the_case() -> None:
    from helpers_tui import ScriptedRuntime

    app = MidasApp(ScriptedRuntime, load_settings(file=None, environ={}), clock=SteppedClock(), welcome=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await asyncio.wait_for(app.ready.wait(), 30)
        await readable(pilot, ChooseModal)
        text = screen_text(app)
        assert "play a case" in text
        assert "get real bars" in text
        await press(pilot, "enter")
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == DEMO_WANTED
    assert parser().parse_args(["--demo"]).demo


async def test_another_candidate_may_be_promoted_than_the_one_the_card_names() -> None:
    from helpers_tui import ScriptedRuntime
    from midas_tui.store import Store
    from midas_tui.tour import Tour

    runtime: Any = ScriptedRuntime()
    store = Store()
    store.pipeline = before = runtime.summary
    named, other = (r.name for r in before.candidates[:2])
    for event in (
        ev.SessionStarted(at=NOW, session_id="s", goal="funding carry", researcher="local"),
        ev.CandidateAccepted(at=NOW, session_id="s", name=named, expression=CARRY),
        ev.SessionEnded(at=NOW, session_id="s", result="success", tried=1, accepted=(named,)),
    ):
        store.apply(event)
    tour = Tour(store, lambda *_: None, runtime, runtime)
    assert tour.session_found()
    assert tour.found == named
    assert not tour.promoted(), "what was live before does not count"
    moved = next(r for r in before.candidates if r.name == other)
    store.pipeline = dataclasses.replace(before, deployed=(*before.deployed, moved))
    assert tour.promoted()
    assert tour.found == other, "the truth is told of what the person chose"


async def test_time_stops_once_for_each_feature_that_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = PlayedRuntime(load_settings(file=None, environ={}, flags={}), tmp_path, bars=2000, symbols=10)
    runtime.watch.world = build_world(1, 2.0, bars=200, symbols=4)
    called = {name: ev.AlertRaised(at=NOW, alert=alert(name, "detector", severity=Severity.CRITICAL)) for name in "ab"}
    calls = iter([[], [called["a"]], [called["a"]], [called["b"]]])  # a kill that has not reached the watch yet

    def passed(count: int) -> list[ev.AlertRaised]:
        runtime.watch.position += 1
        return next(calls)

    monkeypatch.setattr(runtime.watch, "pass_bars", passed)
    monkeypatch.setattr(runtime.watch, "stand", lambda: None)
    await runtime._play()
    assert set(runtime.called) == {"a"}
    await runtime._play()
    assert set(runtime.called) == {"a", "b"}


@pytest.mark.parametrize("size", [(60, 16), (80, 24)], ids=str)
async def test_on_a_small_screen_the_card_has_lines_of_its_own(size: tuple[int, int]) -> None:
    from helpers_tui import ScriptedRuntime
    from midas_tui.tour import Tour

    runtime: Any = ScriptedRuntime()
    runtime.called, runtime.playing, runtime.over = {"vwap_zscore_mean_rev": 3}, False, False
    async with scripted(runtime, size=size) as (app, pilot, _):
        tour = app.shell.guide.tour = Tour(app.store, lambda *_: None, runtime, runtime)
        tour.found = "a_feature_with_a_name_of_forty_characters"
        for tour.place, mode in itertools.product(range(len(STEPS)), "123456"):
            await press(pilot, mode)
            app.shell.navigator.redraw()
            await settle(pilot)
            page = app.screen
            card = page.query_one(TourCard)
            assert 2 <= card.region.height <= 4
            assert f"{tour.place + 1} of {len(STEPS)}" in screen_text(app)
            shown = [pane for pane in page.query(".pane") if pane.display and pane.region.area]
            assert shown
            assert not any(pane.region.overlaps(card.region) for pane in shown), mode
            assert page.query_one("#footer").region.bottom == size[1]
