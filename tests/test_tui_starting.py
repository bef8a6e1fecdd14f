"""While the engine starts nothing is known: no pane of any mode says that there is none, at any size."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from helpers_tui import NOW, PATIENCE_SECONDS, ScriptedRuntime, SteppedClock, screen_text, scripted, settle, until
from midas_engine import events as ev
from midas_engine.errors import DataError
from midas_engine.runtime import Runtime
from midas_engine.settings import load_settings
from midas_tui.app import MidasApp
from midas_tui.modals.ask import AskModal
from midas_tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from pathlib import Path

MODES = ("live", "pipeline", "discovery", "learnings", "alerts", "book")
SIZES = ((80, 24), (120, 32), (160, 45), (240, 60))
# What is true of an empty base, and not of one that nobody has read yet.
NONE = (
    "no alert", "no bar was", "no session", "no feature", "no document", "no member", "none", "nothing is live",
    "nothing chosen", "choose a document", "starts a session", "the book is empty", "s 0", "d 0", "▲0", "0/0",
)  # fmt: skip


class Slow(Runtime):
    """A real engine that is told when it may start."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.may_start = asyncio.Event()

    async def start(self) -> None:
        await self.may_start.wait()
        await super().start()


async def at_every_size(pilot: Any) -> list[str]:
    """What the screen says at each size."""
    told = []
    for size in SIZES:
        await pilot.resize_terminal(*size)
        await settle(pilot)
        told.append(screen_text(pilot.app))
    return told


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_not_known_yet_is_not_told_as_none(kb: Path, market: Path, mode: str) -> None:
    settings = load_settings(file=None, environ={}, flags={"kb": str(kb), "data": str(market)})
    opened, made = threading.Event(), []

    def make() -> Runtime:
        assert opened.wait(PATIENCE_SECONDS)
        made.append(Slow(settings))
        return made[0]

    app = MidasApp(make, settings, mode=mode, clock=SteppedClock())
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: getattr(app.screen, "mode_name", "") == mode)
        told = await at_every_size(pilot)
        opened.set()
        await until(pilot, lambda: app.runtime is not None, "the engine is there")
        told += await at_every_size(pilot)
        made[0].may_start.set()
        await asyncio.wait_for(app.ready.wait(), PATIENCE_SECONDS)
        await until(pilot, lambda: "loading" not in screen_text(app), "everything is told")
    for screen in told:
        assert not [words for words in NONE if words in screen], screen
        assert "loading" in screen, screen
        assert "20" not in screen.splitlines()[0], f"no clock of a market that nobody has read\n{screen}"


async def test_a_filter_that_leaves_nothing_is_not_an_empty_column(kb: Path, market: Path) -> None:
    settings = load_settings(file=None, environ={}, flags={"kb": str(kb), "data": str(market)})
    app = MidasApp(lambda: Runtime(settings), settings, mode="pipeline", clock=SteppedClock())
    async with app.run_test(size=(160, 45)) as pilot:
        await asyncio.wait_for(app.ready.wait(), PATIENCE_SECONDS)
        app.screen._narrow("zzz")
        await settle(pilot)
        assert not app.screen.query_one("#deployed", LineTable).keys
        assert "none matches zzz" in screen_text(app)


async def test_behind_the_news_that_it_cannot_start_nothing_is_still_loading(kb: Path, market: Path) -> None:
    settings = load_settings(file=None, environ={}, flags={"kb": str(kb), "data": str(market)})

    def make() -> Runtime:
        raise DataError("the disk is gone")

    app = MidasApp(make, settings, clock=SteppedClock())
    async with app.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, AskModal), "the question")
        await settle(pilot)
        behind = screen_text(app)
        assert "loading" not in behind, behind
        assert behind.count("unknown: the disk is gone") >= 3, "each pane says why it shows nothing"
        assert "no alert" not in behind


async def test_a_terminal_that_lost_its_service_is_not_called_live() -> None:
    runtime = ScriptedRuntime()
    runtime.mode, runtime.attached = "LIVE", "/kb/service/socket"
    async with scripted(runtime, size=(160, 45)) as (app, pilot, _):
        await settle(pilot)
        assert " LIVE " in screen_text(app).splitlines()[0]
        why = "not attached: no service listens"
        runtime.bus.publish(ev.RuntimeChanged(at=NOW, phase="degraded", detail=why))
        app.shell.bridge.pump()
        await settle(pilot)
        top = screen_text(app).splitlines()[0]
        assert "NOT ATTACHED" in top
        assert " LIVE " not in top
        assert why in top
