"""The terminal attached to a real service: every mode works, keys do what they do at home, a restart is outlived."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from helpers_tui import SteppedClock, press, readable, screen_text, settle, type_text, until
from midas_engine.errors import SettingsError
from midas_engine.kb import KnowledgeBase
from midas_engine.service.place import Place
from midas_tui.app import MidasApp
from midas_tui.attach import attached_runtime
from midas_tui.cli import parser
from midas_tui.modals.choose import TextModal
from midas_tui.screens.pipeline import PipelineScreen
from tests.helpers_service import copy_desk, make_desk, read_until, settings_of, start_run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator
    from pathlib import Path

    from textual.pilot import Pilot


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_desk(tmp_path_factory.mktemp("attach") / "desk", bars=60, candidates=("spare", "extra"))


def _running(desk: Path) -> subprocess.Popen[str]:
    run = start_run(desk)
    read_until(run, " running ", " degraded ")
    return run


@asynccontextmanager
async def terminal(desk: Path, *, mode: str = "live", **flags: Any) -> AsyncIterator[tuple[MidasApp, Pilot[Any]]]:
    settings = settings_of(desk, **flags)
    runtimes: list[Any] = []

    def make() -> Any:
        runtimes.append(attached_runtime(settings, None))
        return runtimes[0]

    app = MidasApp(make, settings, mode=mode, clock=SteppedClock())
    async with app.run_test(size=(120, 32)) as pilot:
        await asyncio.wait_for(app.ready.wait(), 60)
        await settle(pilot)
        yield app, pilot


def _states(desk: Path) -> dict[str, str]:
    return {r.name: r.state.value for r in KnowledgeBase(desk / "kb", read_only=True).features()}


def _choose(app: MidasApp, name: str) -> None:
    assert isinstance(app.screen, PipelineScreen)
    app.screen.show_feature(name)


async def _confirm(pilot: Pilot[Any]) -> None:
    pilot.app.screen.query_one("#confirm").focus()
    await press(pilot, "enter")


async def test_the_whole_terminal_works_on_a_service_over_its_restart(stocked: Path, tmp_path: Path) -> None:
    desk = copy_desk(stocked, tmp_path / "desk")
    run = _running(desk)
    try:
        async with terminal(desk) as (app, pilot):
            assert app.runtime is not None
            assert app.runtime.attached == str(Place(desk / "kb").socket)
            await until(pilot, lambda: "carry" in screen_text(app), "the table")
            await press(pilot, "5")
            await until(pilot, lambda: "stale data" in screen_text(app) or "IC decay" in screen_text(app), "alerts")
            for key in "3416":
                await press(pilot, key)
            found = await app.runtime.documents.search("spare")
            assert "spare" in [hit.where for hit in found if hit.kind == "feature"], (
                "the base is searched over the wire"
            )
            (own, *_) = await app.runtime.documents.links("feature:spare")
            assert own.target.endswith("spare.md")
            assert "# What tries taught" in await app.runtime.documents.memory()
            await press(pilot, "2")
            _choose(app, "spare")
            await press(pilot, "p")
            await readable(pilot)
            await until(pilot, lambda: "promote" in screen_text(app), "the dialog")
            pilot.app.screen.query_one("#reason").focus()
            await type_text(pilot, "test")
            await _confirm(pilot)
            await until(pilot, lambda: _states(desk)["spare"] == "deployed", "promoted")
            await until(pilot, lambda: "spare" in app.store.metrics, "watched")
            _choose(app, "fast")
            await press(pilot, "d")
            await readable(pilot)
            pilot.app.screen.query_one("#reason").focus()
            await type_text(pilot, "test")
            await _confirm(pilot)
            await until(pilot, lambda: _states(desk)["fast"] == "archived", "demoted")

            run.send_signal(signal.SIGKILL)
            run.communicate()
            await until(pilot, lambda: app.store.phase[0] == "degraded", "it is said")
            await until(
                pilot, lambda: {m.status for m in app.store.metrics.values()} == {"stale"}, "nothing is healthy"
            )
            run = await asyncio.to_thread(_running, desk)
            await until(pilot, lambda: "not attached" not in app.store.phase[1], "attached again")
            await settle(pilot)
            # What happened meanwhile is told in a dialog, where anything did.
            await until(pilot, lambda: app.shell.since_left.read or isinstance(app.screen, TextModal), "since left")
            if isinstance(app.screen, TextModal):
                await readable(pilot, TextModal)
                await press(pilot, "escape")

            await press(pilot, "2")
            _choose(app, "carry")
            await press(pilot, "K")
            await readable(pilot)
            pilot.app.screen.query_one("#reason").focus()
            await type_text(pilot, "test")
            pilot.app.screen.query_one("#typed").focus()
            await type_text(pilot, "carry")
            await _confirm(pilot)
            await until(pilot, lambda: _states(desk)["carry"] == "archived", "killed")
            await until(pilot, lambda: "carry" not in app.store.metrics, "gone from the watch")
            await press(pilot, "q")
        assert run.poll() is None  # the terminal closed changes nothing
    finally:
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=60)
    assert "carry" in KnowledgeBase(desk / "kb", read_only=True).kill_file.read().kills


async def test_several_terminals_at_once_and_one_that_only_looks(stocked: Path, tmp_path: Path) -> None:
    from midas_engine.service.service import Service
    from tests.helpers_service import plan_of

    desk = copy_desk(stocked, tmp_path / "desk")
    async with Service(plan_of(desk)) as service, terminal(desk, read_only=True, mode="pipeline") as (app, pilot):
        assert app.runtime is not None
        _choose(app, "spare")
        await press(pilot, "p")
        assert "read-only" in screen_text(app).lower()
        second = attached_runtime(settings_of(desk), "")
        assert second is not None
        await second.start()
        try:
            await second.pipeline.act("demote", "fast", "the other one")
            await until(pilot, lambda: "fast" not in app.store.metrics, "seen here too")
        finally:
            await second.stop()
        assert service.door is not None


async def test_everything_at_once_and_what_was_missed_over_the_door(stocked: Path, tmp_path: Path) -> None:
    from midas_engine.errors import ReadOnlyError
    from midas_engine.service.service import Service
    from midas_tui.modals.choose import TextModal
    from tests.helpers_service import plan_of

    desk = copy_desk(stocked, tmp_path / "desk")
    live = {name for name, state in _states(desk).items() if state in ("deployed", "shadow")}
    assert len(live) == 2
    async with Service(plan_of(desk)) as service:
        left = service.runtime.since_left
        looks = attached_runtime(settings_of(desk, read_only=True), "")
        assert looks is not None
        await looks.start()
        for refused in (looks.pipeline.kill_all("no"), looks.pipeline.pause_all("no"), looks.since_left.note()):
            with pytest.raises(ReadOnlyError, match="read-only"):
                await refused
        assert await looks.since_left.brief() is None
        await looks.stop()
        async with terminal(desk) as (app, pilot):
            await until(pilot, lambda: app.shell.since_left.read, "nobody left before")
            await press(pilot, "X")
            await readable(pilot)
            assert all(name in screen_text(app) for name in live)
            pilot.app.screen.query_one("#reason").focus()
            await type_text(pilot, "fire")
            pilot.app.screen.query_one("#typed").focus()
            await type_text(pilot, "kill all")
            await _confirm(pilot)
            await until(pilot, lambda: not app.store.metrics, "nothing is watched any more")
            await press(pilot, "q")
        await service.runtime.pipeline.act("reject", "spare", "while nobody looked")
        found = await left.brief()
        assert found is not None
        assert [s.text for s in found.sentences if not s.setting] == ["1 rejected: spare."]
        async with terminal(desk) as (app, pilot):
            await readable(pilot, TextModal)
            assert "1 rejected: spare." in screen_text(app)
            await press(pilot, "escape")
            await until(pilot, lambda: app.shell.since_left.read, "it was read")
    assert live <= set(KnowledgeBase(desk / "kb", read_only=True).kill_file.read().kills)


def test_without_a_service_it_runs_its_own_engine(tmp_path: Path) -> None:
    assert attached_runtime(settings_of(tmp_path), None) is None
    assert parser().parse_args(["--attach"]).attach == ""


@pytest.mark.parametrize("address", ["ws://example.org:80", "wss://127.0.0.1:1", "http://127.0.0.1:1"])
def test_a_token_goes_to_loopback_only(tmp_path: Path, address: str) -> None:
    with pytest.raises(SettingsError, match=r"no address|not on loopback"):
        attached_runtime(settings_of(tmp_path), address)


async def test_an_address_where_nobody_is_says_so(tmp_path: Path) -> None:
    runtime = attached_runtime(settings_of(tmp_path), str(tmp_path / "socket"))
    assert runtime is not None
    with pytest.raises(Exception, match="no service listens"):
        await runtime.start()
    await runtime.stop()


async def test_a_service_that_does_not_listen_yet_is_not_told_as_none(tmp_path: Path) -> None:
    base = tmp_path / "kb"
    with KnowledgeBase(base).claim("service"):  # as a service does first of all
        runtime = attached_runtime(settings_of(tmp_path), "")
        assert runtime is not None
        with pytest.raises(Exception, match=r"\d+.* holds the base and does not listen yet"):
            await runtime.start()
        await runtime.stop()
