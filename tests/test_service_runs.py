"""Recorded runs: what happened is kept, within a cap, whatever ends the process, and plays again in the terminal."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from helpers_tui import SteppedClock, metrics, press, screen_text, until
from midas_engine.clock import ManualClock, WallClock
from midas_engine.errors import DataError, KnowledgeBaseError, ReadOnlyError
from midas_engine.events import BarProcessed, FeatureTicked
from midas_engine.service import runs as runs_module
from midas_engine.service.place import Place
from midas_engine.service.replayed_run import ReplayedRun
from midas_engine.service.runs import RunRecorder, Runs
from midas_engine.service.service import Service
from midas_tui.app import MidasApp
from midas_tui.attach import recorded_runtime
from tests.helpers_cli import call_midas
from tests.helpers_service import make_desk, plan_of, settings_of

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A desk with one recorded run, and the figures that the service had at its end."""
    desk = make_desk(tmp_path_factory.mktemp("runs") / "desk", bars=60)

    async def record() -> dict[str, Any]:
        async with Service(plan_of(desk)) as service:
            return dict(service.runtime.queries.metrics())

    return desk, asyncio.run(record())


def _write(folder: Path, count: int, *, most: int = 10**9, close: bool = True, began: datetime = NOW) -> Runs:
    runs = Runs(folder)
    recorder = RunRecorder(runs, ManualClock(began), most, lambda message, hint: None)
    recorder.begin("follow:x", 3600)
    for bar in range(count):
        at = NOW + timedelta(hours=bar)
        recorder.take(FeatureTicked(at=at, metrics=metrics("a", at)))
        recorder.take(BarProcessed(at=at, bar_at=at, regime="", features=1))
        recorder.flush()
    if close:
        recorder.close()
    elif recorder._alive is not None:
        recorder._alive.release()
    return runs


def test_what_was_told_is_what_is_read(
    recorded: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    desk, _ = recorded
    runs = Runs(Place(desk / "kb").runs)
    (run,) = runs.all()
    assert (run.ended, run.bars) == ("stopped", 60)
    events = list(runs.events(run.id))
    assert len(events) == run.events
    assert sum(isinstance(e, BarProcessed) for e in events) == 60
    listed = call_midas(capsys, "runs", "--json", "--kb", str(desk / "kb")).document["runs"]
    assert [row["id"] for row in listed] == [run.id]


def test_a_run_that_was_cut_off_says_so_and_its_torn_line_is_passed_by(tmp_path: Path) -> None:
    runs = _write(tmp_path, 3, close=False)
    (run,) = runs.all()
    assert run.ended == "cut off"
    file = next((tmp_path / run.id).glob("events-*"))
    file.write_bytes(file.read_bytes()[:-10] + b'\n{"type":"Nonsense"}\nnot json\n')
    assert sum(isinstance(e, BarProcessed) for e in runs.events(run.id)) == 2


def test_the_oldest_segments_go_under_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "SEGMENT_BYTES", 4_000)
    _write(tmp_path, 30)
    before = Runs(tmp_path).all()[0]
    runs = _write(tmp_path, 30, most=12_000, began=NOW + timedelta(days=1))
    found = runs.all()
    assert sum(run.size for run in found) <= 12_000 + 4_000
    newest = next(run for run in found if run.id != before.id)
    assert newest.first > 0
    assert all(run.id != before.id for run in found)


def test_a_newer_schema_and_an_unknown_name_are_said(tmp_path: Path) -> None:
    runs = _write(tmp_path, 2)
    with pytest.raises(KnowledgeBaseError, match="there is no run"):
        runs.find("nothing")
    run = runs.find("last")
    index = tmp_path / run.id / "run.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "schema": 99}))
    with pytest.raises(KnowledgeBaseError, match="newer Midas"):
        runs.read(run.id)
    with pytest.raises(KnowledgeBaseError, match="no run is recorded"):
        runs.find("last")


async def test_a_replay_of_a_run_ends_with_the_figures_of_then(recorded: tuple[Path, dict[str, Any]]) -> None:
    desk, figures = recorded
    runs = Runs(Place(desk / "kb").runs)
    replayed = ReplayedRun(runs, runs.find("last"), play=False, clock=WallClock())
    await replayed.start()
    control = replayed.replay
    assert control is not None
    assert control.total == 60
    await control.seek(60)
    plain = {n: m.bars for n, m in figures.items()}
    assert {n: m.bars for n, m in replayed.queries.metrics().items()} == plain
    at_end = repr(replayed.queries.metrics())
    await control.seek(20)
    assert all(m.bars < 60 for m in replayed.queries.metrics().values())
    await control.seek(60)
    assert repr(replayed.queries.metrics()) == at_end
    with pytest.raises(ReadOnlyError):
        await replayed.pipeline.act("kill", "carry", "no")
    await replayed.stop()


async def test_the_terminal_plays_a_run(recorded: tuple[Path, dict[str, Any]]) -> None:
    desk, _ = recorded
    settings = settings_of(desk)
    app = MidasApp(lambda: recorded_runtime(settings, "last", speed=None, play=False), settings, clock=SteppedClock())
    async with app.run_test(size=(120, 32)) as pilot:
        await asyncio.wait_for(app.ready.wait(), 60)
        await until(pilot, lambda: "carry" in screen_text(app), "the table")
        await press(pilot, "right_square_bracket")
        await until(pilot, lambda: app.store.alerts, "the first alert")
        for key in "23456":
            await press(pilot, key)


async def test_a_run_without_a_bar_is_refused(tmp_path: Path) -> None:
    runs = _write(tmp_path, 0)
    with pytest.raises(DataError, match="has no bar"):
        await ReplayedRun(runs, runs.find("last")).start()
