"""Kill all and pause all from the terminal: typed, from any mode, over one table, and refused where one only looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from helpers_tui import (  # fmt: skip
    ScriptedRuntime,
    fill_base,
    press,
    readable,
    running,
    screen_text,
    scripted,
    toasts,
    type_text,
    until,
    write_market,
)
from midas_engine.kb import KnowledgeBase
from midas_engine.models import FeatureState
from midas_tui.keys import live_keys
from midas_tui.modals.ask import AskModal

if TYPE_CHECKING:
    from pathlib import Path

    from textual.pilot import Pilot


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_market(tmp_path, days=12)
    fill_base(tmp_path / "kb")
    return tmp_path


async def _answer(pilot: Pilot[Any], typed: str, reason: str = "") -> None:
    await readable(pilot, AskModal)
    if reason:
        pilot.app.screen.query_one("#reason").focus()
        await type_text(pilot, reason)
    pilot.app.screen.query_one("#typed").focus()
    await type_text(pilot, typed)
    pilot.app.screen.query_one("#confirm").focus()
    await press(pilot, "enter")


def _live(base: Path) -> set[str]:
    kb = KnowledgeBase(base / "kb", read_only=True)
    return {r.name for s in (FeatureState.DEPLOYED, FeatureState.SHADOW) for r in kb.features(s) if not r.paused}


async def test_kill_all_is_typed_and_kills_everything_live(base: Path) -> None:
    before = _live(base)
    assert len(before) == 3
    async with running(base / "kb", base / "market.parquet", mode="learnings") as (app, pilot):
        await press(pilot, "X")
        await readable(pilot, AskModal)
        assert all(name in screen_text(app) for name in before)
        await _answer(pilot, "kill everything", "the venue is down")
        assert isinstance(app.screen, AskModal)  # not what was asked for: nothing happens
        await press(pilot, "escape")
        assert _live(base) == before
        await press(pilot, "X")
        await _answer(pilot, "kill all", "the venue is down")
        await until(pilot, lambda: _live(base) == set(), "everything is killed")
        await until(pilot, lambda: any("killed 3" in text for text in toasts(app)), "it is said")
        kills = KnowledgeBase(base / "kb", read_only=True).kill_file.read().kills
        assert before <= set(kills)
        assert {kills[name].via for name in before} == {"terminal"}
        await press(pilot, "X")
        await until(pilot, lambda: any("nothing is live" in text for text in toasts(app)), "nobody is left")


async def test_pause_all_is_typed_and_undone_one_after_another(base: Path) -> None:
    async with running(base / "kb", base / "market.parquet") as (app, pilot):
        await press(pilot, "W")
        await _answer(pilot, "pause all")
        await until(pilot, lambda: _live(base) == set(), "everything is paused")
        await until(pilot, lambda: any("paused 3" in text for text in toasts(app)), "it is said")
        await press(pilot, "W")
        await until(
            pilot, lambda: any("nothing is live that is not paused" in t for t in toasts(app)), "nobody is left"
        )
        await press(pilot, "u", "u")
        await until(pilot, lambda: len(_live(base)) == 2, "two go on")


async def test_who_only_looks_is_refused_and_the_keys_are_in_help_and_palette() -> None:
    runtime = ScriptedRuntime()
    runtime.read_only = True
    async with scripted(runtime) as (app, pilot, _):
        for mode in "123456":
            await press(pilot, mode)
            shown = {k.keys: k.what for k in live_keys(app.screen)}
            assert shown["X"] == "kill everything live", mode
            assert shown["W"] == "pause everything live", mode
        titles = [c.title for c in app.get_system_commands(app.screen)]
        assert {"app: kill all  X", "app: pause all  W"} <= set(titles)
        for key in "XW":
            await press(pilot, key)
            assert any("read-only" in text for text in toasts(app))
        assert runtime.calls == []


async def test_a_second_press_asks_no_second_question() -> None:
    async with scripted() as (app, pilot, runtime):
        await press(pilot, "X", "X", "W")
        await readable(pilot, AskModal)
        assert sum(isinstance(screen, AskModal) for screen in app.screen_stack) == 1
        await press(pilot, "escape")
        assert runtime.calls == []
