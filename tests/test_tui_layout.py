"""Every mode at three sizes as text, one screen through all breakpoints, and what no terminal is too small for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers_tui import (
    NOW,
    ScriptedRuntime,
    metrics,
    press,
    readable,
    screen_text,
    scripted,
    searched,
    session_events,
    settle,
    until,
)
from midas_engine import events as ev
from midas_engine.models import PipelineSummary
from midas_tui.widgets.bars import ReplayBar
from midas_tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SNAPSHOTS = Path(__file__).parent / "snapshots"
SIZES = [(80, 24), (120, 32), (160, 45)]
MODES = {"live": "1", "pipeline": "2", "discovery": "3", "learnings": "4", "alerts": "5", "book": "6"}


class Recording(ScriptedRuntime):
    """The same, as a replay that stands still."""

    mode = "REPLAY"

    def __init__(self) -> None:
        super().__init__()
        self.replay: Any = _Bar()

    async def start(self) -> None:
        await super().start()
        self.bus.publish(self.replay.moved)


class _Bar:
    playing, speed, position, total, jumps = False, 8.0, 480, 1440, 0
    alert_bars = (40, 480, 900)

    @property
    def moved(self) -> ev.ReplayMoved:
        return ev.ReplayMoved(
            at=NOW, position=self.position, total=self.total, speed=self.speed, playing=self.playing, bar_at=NOW
        )


def compare(name: str, text: str) -> None:
    """Hold `text` to the stored snapshot; UPDATE_SNAPSHOTS=1 in the environment stores it anew."""
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    assert path.is_file(), f"no snapshot {path.name}: run the test once with UPDATE_SNAPSHOTS=1 and read what it wrote"
    assert text + "\n" == path.read_text(encoding="utf-8")


async def each_mode(app: Any, pilot: Any, runtime: Any) -> AsyncIterator[str]:
    """Show one mode after another, each drawn to its end. Discovery is last: the others say that a session runs."""
    for event in session_events():
        runtime.bus.publish(event)
    app.shell.bridge.pump()
    for mode, key in sorted(MODES.items(), key=lambda m: m[0] == "discovery"):
        for event in searched() if mode == "discovery" else ():
            runtime.bus.publish(event)
        await press(pilot, key)
        app.shell.bridge.pump()
        await app.workers.wait_for_complete()
        await settle(pilot)
        yield mode


async def test_a_recording_that_stands_still_shows_its_bar_a_kill_and_no_card_it_has_not() -> None:
    from helpers_tui import toasts

    runtime = Recording()
    runtime.summary = PipelineSummary((), (), (), ())
    async with scripted(runtime, size=(100, 32)) as (app, pilot, _):
        bar = app.screen.query_one("#replay", ReplayBar)
        await until(pilot, lambda: bar._track[1] > 40, "the whole width, before any step")
        runtime.bus.publish(
            ev.FeatureMoved(
                at=NOW, feature="vwap_zscore_mean_rev", action="kill", before="deployed", after="archived",
                reason="the sign turned", actor="detector",
            )
        )  # fmt: skip
        await until(pilot, lambda: any("was killed by the detector: the sign turned" in t for t in toasts(app)))
        await press(pilot, "5", "enter")
        assert app.current_mode == "alerts"
        assert any("has no card of" in t for t in toasts(app))


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_every_mode_looks_as_it_was_approved(size: tuple[int, int]) -> None:
    async with scripted(Recording(), size=size) as (app, pilot, runtime):
        async for mode in each_mode(app, pilot, runtime):
            text = screen_text(app)
            compare(f"{mode}-{size[0]}x{size[1]}", text)
            assert len(text.split("\n")) == size[1]
            assert max(map(len, text.split("\n"))) <= size[0]
        await press(pilot, "r")
        await readable(pilot)
        await until(pilot, lambda: "could be promoted here" in screen_text(app))
        compare(f"session-form-{size[0]}x{size[1]}", screen_text(app))


@pytest.mark.parametrize("mode", ["live", "discovery"])
async def test_resizing_keeps_the_row_and_never_fails(mode: str) -> None:
    runtime = ScriptedRuntime()
    runtime.found = [metrics(f"feature_{i:03d}") for i in range(200)]
    async with scripted(runtime, size=(160, 45)) as (app, pilot, _):
        await press(pilot, MODES[mode])
        if mode == "live":
            await press(pilot, *["ctrl+d"] * 5)
        table = app.screen.query(LineTable).first()
        row = table.cursor_key
        for size in [(80, 24), (30, 8), (100, 32), (59, 15), (300, 80), (160, 45)]:
            await pilot.resize_terminal(*size)
            await until(pilot, lambda rows=size[1]: len(screen_text(app).split("\n")) == rows, f"{size}")
        assert table.cursor_key == row
        if mode == "live":
            assert str(row) in screen_text(app)


@pytest.mark.parametrize("size", [(59, 24), (20, 5)])
async def test_a_terminal_that_is_too_small_says_what_is_needed(size: tuple[int, int]) -> None:
    async with scripted(size=size) as (app, pilot, _):
        text = " ".join(screen_text(app).split())
        assert "Midas needs at least 60 x 16" in text
        assert f"{size[0]} x {size[1]}" in text
        assert "vwap" not in text
        await pilot.resize_terminal(100, 30)
        await until(pilot, lambda: "vwap" in screen_text(app), "room again")


async def test_ascii_only_writes_ascii_only() -> None:
    async with scripted(size=(160, 45), **{"terminal.ascii": True}) as (app, pilot, _):
        for key in MODES.values():
            await press(pilot, key)
            await app.workers.wait_for_complete()
            text = screen_text(app)
            frames = set("╭╮╰╯─│┄▁▂▃▄▅▆▇")  # of the frame and the scroll bar of a pane, which a test below replaces
            strange = {c for c in text if ord(c) > 126} - frames - set("±…•")
            assert not strange, strange


async def test_dialogs_fit_and_keep_their_buttons_visible() -> None:
    from midas_tui.modals.ask import AskModal, Question

    body = [(f"line {i} of a very long explanation", "") for i in range(60)]
    for size in [(80, 24), (60, 16)]:
        async with scripted(size=size) as (app, pilot, _):
            app.push_screen(AskModal(Question("kill x", body, confirm="Kill", reason_label="reason", typed_name="x")))
            await settle(pilot)
            text = screen_text(app)
            assert "Cancel" in text, size
            assert "Kill" in text, size
            assert app.screen.query_one("#confirm").region.bottom <= size[1]


async def test_a_detail_dialog_stands_in_for_the_pane_a_narrow_screen_lacks() -> None:
    async with scripted(size=(80, 24)) as (app, pilot, _):
        assert "would notice" not in screen_text(app)
        await press(pilot, "enter")
        text = screen_text(app)
        assert "would notice a drop in 42d, a flip in 18d" in " ".join(text.replace("│", " ").split())
        await readable(pilot)
        await press(pilot, "enter")
        await settle(pilot)
        assert app.screen.mode_name == "pipeline"  # type: ignore[attr-defined]


async def test_the_gauges_stand_beside_their_gates_and_error_rates() -> None:
    async with scripted(size=(160, 45)) as (app, _pilot, _runtime):
        text = screen_text(app)
        for part in (
            "+0.012±.021", "0.43", "105%", "57%", "42/18d", 'all 4 together: 46% of the way to "dead"', "calls at 9.1",
            "1.0 false alarm", "proposes a kill", "kill proposed", "would notice a drop", "1.20x of 2.0 bps expected",
        ):  # fmt: skip
            assert part in text, part


async def test_a_shadow_feature_shows_its_forward_record() -> None:
    async with scripted(size=(160, 45)) as (app, pilot, _):
        table = app.screen.query_one("#features", LineTable)
        table.move_to("low_volatility")
        await settle(pilot)
        text = screen_text(app)
        assert "low_volatility (shadow)" in text
        assert "+0.0102, t +2.0, 216 bars" in text
        assert "forward" in text


async def test_themes_are_switched_live_and_use_roles_only() -> None:
    import re

    root = Path(__file__).parent.parent / "midas_tui"
    literal = re.compile(r"#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b(?![\w-])")
    for file in [*(root / "widgets").glob("*.py"), *(root / "screens").glob("*.py"), *(root / "modals").glob("*.py")]:
        found = [m for m in literal.findall(file.read_text()) if re.fullmatch(r"#[0-9a-fA-F]+", m)]
        assert not found, f"{file.name}: a colour of its own {found}"
    async with scripted() as (app, pilot, _):
        for theme in ("midas-light", "midas-contrast", "ansi-dark", "textual-light", "midas-dark"):
            app.theme = theme
            await settle(pilot)
            assert "vwap_zscore_mean_rev" in screen_text(app)


async def test_an_unknown_theme_falls_back_and_says_so() -> None:
    from helpers_tui import toasts

    async with scripted(**{"terminal.theme": "midas-drak"}) as (app, _pilot, _runtime):
        assert app.theme == "midas-dark"
        assert any("there is no theme 'midas-drak'" in t for t in toasts(app))


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_messages_stand_at_the_top_right_or_on_one_line_and_cover_no_transport(size: tuple[int, int]) -> None:
    from textual.widgets._toast import Toast

    async with scripted(Recording(), size=size, notifications=True) as (app, pilot, _):
        for text in ("one", "two", "three", "four " * 40):
            app.shell.messages.say(text, bad=True)
        await settle(pilot)
        await settle(pilot)
        shown = [toast.region for toast in app.screen.query(Toast) if toast.region.area]
        bars = [app.screen.query_one(name).region for name in ("#replay", "#status")]
        assert 1 <= len(shown) <= (1 if size[1] < 32 else 2)
        assert not any(region.intersection(bar).area for region in shown for bar in bars)
        if size[1] < 32:
            assert shown[0].height == 1
            assert shown[0].y == app.screen.query_one("#footer").region.y
        else:
            assert all(region.right == size[0] and region.bottom <= size[1] // 3 for region in shown)


async def test_a_message_takes_the_place_of_an_earlier_one_of_its_kind() -> None:
    from helpers_tui import toasts

    async with scripted(size=(160, 45), mode="pipeline") as (app, pilot, _):
        for number in range(4):
            app.shell.messages.say(f"refused {number}", bad=True, key="refused")
        app.shell.messages.say("copied")
        await settle(pilot)
        assert toasts(app) == ["refused 3", "copied"]
        app.shell.messages.say("copied")
        assert toasts(app) == ["refused 3", "copied"]


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_a_maximised_pane_takes_the_whole_screen_and_gives_it_back(size: tuple[int, int]) -> None:
    async with scripted(size=size) as (app, pilot, _):
        for key in ("1", "2", "3", "4", "5", "6"):
            await press(pilot, key)
            pane: Any = app.focused
            before = pane.region
            await press(pilot, "f")
            await settle(pilot)
            assert (pane.region.width, pane.region.height) == size, (key, pane.id)
            await press(pilot, "f")
            await settle(pilot)
            assert pane.region == before, (key, pane.id)
