"""Replay: the same events at any speed, the same state from any side."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from helpers_kb import record
from helpers_monitor import START
from helpers_tui import FEATURES, write_market
from midas_engine.clock import ManualClock
from midas_engine.events import AlertRaised, BarProcessed, ReplayMoved
from midas_engine.market import Panel
from midas_engine.models import FeatureState
from midas_engine.runtime import recording as watch
from midas_engine.runtime.replay import CHECKPOINT_BARS, SPEEDS, ReplayControl, digest
from midas_engine.settings import load_settings

if TYPE_CHECKING:
    from midas_engine.events import Event
    from midas_engine.runtime.recorded_bars import Recording

SETTINGS = load_settings(file=None, environ={})


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    panel = Panel.load(write_market(tmp_path_factory.mktemp("market"), days=24))
    records = [
        record(name, expression=expression, state=FeatureState.DEPLOYED, expected_score=0.02, breadth=5.0)
        for name, expression in FEATURES.items()
    ]
    return watch.prepare(panel, records, SETTINGS, source="market", replay=True)


async def control(recording: Recording, pace: Any = None) -> tuple[ReplayControl, list[Event], Any]:
    events: list[Event] = []
    replay, stage, _ = watch.replay_control(recording, SETTINGS, events.append, pace or ManualClock(START))
    await replay.warm_up()
    events.clear()
    return replay, events, stage


async def play(replay: ReplayControl, pace: ManualClock, speed: float) -> None:
    """Play to the end, the clock moved by hand."""
    replay.set_speed(speed)
    replay.play()
    while replay.playing:
        await asyncio.sleep(0)
        pace.advance(1.0 / speed)


async def test_the_same_events_at_every_speed_and_by_steps(recording: Recording) -> None:
    hashes = {}
    for speed in (1.0, 8.0, SPEEDS[-1]):
        pace = ManualClock(START)
        replay, events, _ = await control(recording, pace)
        await play(replay, pace, speed)
        hashes[speed] = digest(events)
        assert replay.position == replay.total
        assert sum(isinstance(e, BarProcessed) for e in events) == replay.total
    replay, events, _ = await control(recording)
    while replay.position < replay.total:
        await replay.step(7)
    hashes["steps"] = digest(events)  # type: ignore[index]
    assert len(set(hashes.values())) == 1, hashes


async def test_a_digest_sees_a_change_and_not_how_long_a_bar_took(recording: Recording) -> None:
    import dataclasses

    replay, events, _ = await control(recording)
    await replay.step(5)
    slower = [dataclasses.replace(e, seconds=9.0) if isinstance(e, BarProcessed) else e for e in events]
    assert digest(slower) == digest(events)
    assert digest(events[:-2]) != digest(events)
    other = [dataclasses.replace(e, regime="OTHER") if isinstance(e, BarProcessed) else e for e in events]
    assert digest(other) != digest(events)


def figures(stage: Any) -> str:
    """Every figure and episode a screen can show, exactly."""
    fleet = stage.fleet
    arrays = {name: {k: v.tobytes() for k, v in fleet.engine.history(name).items()} for name in fleet.names}
    return repr(([fleet.metrics(n, fleet.last_bar) for n in fleet.names], arrays, stage.alerts.state()))


async def test_from_any_side_a_bar_shows_the_same(recording: Recording) -> None:
    replay, _, stage = await control(recording)
    there = {}
    for position in (3, 50, 199, 200, 250):
        await replay.seek(position)
        there[position] = figures(stage)
    for position in (250, 3, 200, 50, 199):
        await replay.seek(position)
        assert figures(stage) == there[position], position


async def test_seeks_are_clamped_and_times_find_their_bar(recording: Recording) -> None:
    replay, _, _ = await control(recording)
    await replay.seek(10**9)
    assert replay.position == replay.total
    await replay.seek(-5)
    assert replay.position == 0
    await replay.seek(20)
    at = replay.bar_at
    await replay.seek_time(at + timedelta(minutes=30))
    assert replay.bar_at == at
    await replay.seek_time(at - timedelta(days=900))
    assert replay.position == 0


async def test_a_jump_back_costs_at_most_one_checkpoint(recording: Recording) -> None:
    replay, _, stage = await control(recording)
    await replay.seek(replay.total)
    ran: list[int] = []
    run_bar = stage.run_bar
    stage.run_bar = lambda index, shown: ran.append(index) or run_bar(index, shown=shown)
    await replay.seek(replay.total - 130)
    assert len(ran) <= CHECKPOINT_BARS


async def test_places_to_go_back_to_stay_within_their_bound_and_lead_to_the_same_bar(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay, _, stage = await control(recording)
    await replay.seek(replay.total - 1)
    bound = sum(map(len, replay._states.values())) // 3
    shown = {}
    for position in (replay.total // 3, 20):
        await replay.seek(position)
        shown[position] = figures(stage)
    monkeypatch.setattr("midas_engine.runtime.replay.CHECKPOINT_BYTES", bound)
    replay, _, stage = await control(recording)
    await replay.seek(replay.total - 1)
    assert sum(map(len, replay._states.values())) <= bound
    assert len(replay._marks) >= 2
    assert replay._marks == sorted(replay._states)
    for position, before in shown.items():
        await replay.seek(position)
        assert figures(stage) == before


async def test_alerts_of_the_scan_are_those_of_the_run(recording: Recording) -> None:
    found: list[int] = []

    class Quick(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(0)

    await watch.scan_alerts(recording, SETTINGS, Quick(START), lambda bars: found.__setitem__(slice(None), bars))
    replay, events, _ = await control(recording)
    raised = []
    while replay.position < replay.total:
        events.clear()
        await replay.step(1)
        if any(isinstance(e, AlertRaised) for e in events):
            raised.append(replay.position)
    replay.mark_alerts(found)
    assert list(replay.alert_bars) == raised
    assert raised


async def test_jumps_are_counted_where_bars_were_not_shown(recording: Recording) -> None:
    replay, events, _ = await control(recording)
    await replay.step(5)
    assert replay.jumps == 0
    await replay.seek(200)
    assert replay.jumps == 1
    await replay.step(-1)
    assert replay.jumps == 2
    assert isinstance(events[-1], ReplayMoved)


async def test_playing_twice_and_pausing_twice_is_once(recording: Recording) -> None:
    pace = ManualClock(START)
    replay, _, _ = await control(recording, pace)
    replay.play()
    replay.play()
    await asyncio.sleep(0)
    pace.advance(1.0)
    for _ in range(5):
        await asyncio.sleep(0)
    await replay.pause()
    await replay.pause()
    assert replay.position <= 2
    assert not replay.playing


async def test_speeds_have_ends(recording: Recording) -> None:
    replay, _, _ = await control(recording)
    for _ in range(20):
        replay.faster()
    assert replay.speed == SPEEDS[-1]
    for _ in range(20):
        replay.slower()
    assert replay.speed == SPEEDS[0]


@pytest.mark.parametrize(("bar_seconds", "given"), [(0.001, 0.5), (0.005, 0.3), (0.05, 0.1)])
async def test_a_machine_that_cannot_keep_up_gives_others_their_turn(
    recording: Recording, bar_seconds: float, given: float
) -> None:
    """A key goes through several hands: one turn of the loop between two bars, and it waits for a bar at each."""

    class Busy(ManualClock):
        rests: list[float] = []

        async def sleep(self, seconds: float) -> None:
            self.rests.append(seconds)
            self.advance(seconds)
            await asyncio.sleep(0)

    pace = Busy(START)
    replay, _, stage = await control(recording, pace)
    run_bar = stage.run_bar

    def costly(index: int, *, shown: bool) -> list[Event]:
        pace.advance(bar_seconds)
        found: list[Event] = run_bar(index, shown=shown)
        return found

    stage.run_bar = costly
    replay.set_speed(256.0)
    pace.rests.clear()
    began = pace.monotonic()
    replay.play()
    await replay._task  # type: ignore[misc]
    assert min(pace.rests) > 0.0
    assert sum(pace.rests) / (pace.monotonic() - began) > given
    assert replay.position == replay.total
