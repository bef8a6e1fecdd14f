"""Recorded runs: what happened is kept, within a cap, whatever ends the process, and plays again in the terminal."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from helpers_holders import until as until_true
from helpers_patience import PATIENCE_SECONDS
from helpers_tui import SteppedClock, metrics, press, screen_text, until
from midas_engine.clock import ManualClock, WallClock
from midas_engine.errors import DataError, KnowledgeBaseError, ReadOnlyError
from midas_engine.events import BarProcessed, FaultReported, FeatureTicked
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.service import runs as runs_module
from midas_engine.service.place import Place
from midas_engine.service.replayed_run import ReplayedRun
from midas_engine.service.runs import RunRecorder, Runs
from midas_engine.service.service import Service
from midas_tui.app import MidasApp
from midas_tui.attach import recorded_runtime
from tests.helpers_cli import ROOT, call_midas
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


async def test_what_is_older_than_the_settings_keep_goes_and_what_was_decided_stays(tmp_path: Path) -> None:
    desk = make_desk(tmp_path / "desk", bars=30)
    folder = Place(desk / "kb").runs
    now = WallClock().now()
    _write(folder, 2, began=now - timedelta(days=400))
    _write(folder, 2, began=now - timedelta(days=300))
    old, young = sorted(run.id for run in Runs(folder).all())
    for name, days in ((old, 400), (young, 5)):  # the second was written to until five days ago
        for file in (folder / name).iterdir():
            at = (now - timedelta(days=days)).timestamp()
            os.utime(file, (at, at))
    journal = Journal(KnowledgeBase(desk / "kb").journal_path)
    for days in (400, 5):
        fault = FaultReported(at=now - timedelta(days=days), where="test", message=f"{days} days ago")
        journal.record_events([fault])
    actions = len(journal.actions())
    journal.close()
    async with Service(plan_of(desk, service__keep_days=30)) as service:
        found = service.runtime.journal
        assert found is not None

        def told() -> list[str]:
            return [
                e.message for e in found.events(FaultReported) if isinstance(e, FaultReported) and e.where == "test"
            ]

        await until_true(lambda: len(Runs(folder).all()) == 2 and len(told()) == 1, PATIENCE_SECONDS)
        assert young in {run.id for run in Runs(folder).all()}
        assert told() == ["5 days ago"]
        assert len(found.actions()) >= actions > 0
    assert not Runs(folder).drop_before(now - timedelta(days=30))


async def test_a_session_of_the_schedule_has_as_many_plans_as_the_settings_say(
    recorded: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(recorded[0], service__iterations=2, service__record=False)
    asked: list[int] = []
    came = threading.Event()

    class Due:
        async def run(self, clock: Any, start: Any, refused: Any) -> None:
            await start("momentum")

    service = Service(dataclasses.replace(plan, schedule=Due()))  # type: ignore[arg-type]

    def made(settings: Any, config: Any) -> Any:
        asked.append(config.max_iterations)
        came.set()
        raise DataError("enough for a test")

    monkeypatch.setattr(service.runtime.sessions, "_make_loop", made)
    async with service:
        assert await asyncio.to_thread(came.wait, PATIENCE_SECONDS)
    assert asked == [2]


async def test_a_run_plays_wherever_its_folder_lies(recorded: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    desk, _ = recorded
    run = Runs(Place(desk / "kb").runs).all()[-1]
    lying = shutil.copytree(Place(desk / "kb").runs / run.id, tmp_path / "a story of mine")
    played = recorded_runtime(settings_of(tmp_path / "no base"), str(lying), speed=None, play=False)
    await played.start()
    assert played.replay is not None
    assert played.replay.total == 60
    await played.stop()
    with pytest.raises(KnowledgeBaseError, match="no run"):
        recorded_runtime(settings_of(tmp_path / "no base"), str(tmp_path), speed=None, play=False)


async def test_the_story_in_the_repository_plays_from_its_first_watched_bar_to_the_kill() -> None:
    lying = ROOT / "demo_artifacts" / "live_story" / "run"
    played = recorded_runtime(settings_of(ROOT / "no base"), str(lying), speed=None, play=False)
    await played.start()
    assert played.replay is not None
    assert 50 < played.replay.total < 100  # the months of catching up, in which nothing was watched, are passed over
    assert set(played.queries.metrics()) <= {"range_position", "funding_carry"}
    await played.replay.seek(played.replay.total)
    alerts = played.queries.alerts(include_resolved=True)
    assert {"ic_decay", "drawdown"} <= {a.alert_type for a in alerts}
    assert set(played.queries.metrics()) == {"funding_carry"}
    await played.stop()
