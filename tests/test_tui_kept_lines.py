"""What left the screen leaves memory: dialogs that were closed, modes that were walked through, one after another."""

from __future__ import annotations

import gc
import random
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._styles_cache import StylesCache
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets._toast import Toast, ToastHolder

from helpers_tui import NOW, ScriptedRuntime, metrics, press, screen_text, scripted, session_events, settle
from midas_engine import events as ev
from midas_tui.drawn_lines import let_lines_go

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from midas_tui.app import MidasApp

# What a reader opens and closes; the help, the log and a text of many lines among it.
WALK = "1?\x1b2?\x1b3?\x1b4?\x1b5?\x1b6!\x1b"


def _alive(app: MidasApp) -> tuple[int, int, int]:
    """Widgets, memories of drawn lines, and drawn lines that nothing but their last owner holds."""
    for _ in range(2):
        gc.collect()
    mine = [o for o in gc.get_objects() if isinstance(o, Widget | StylesCache | Strip)]
    return tuple(sum(isinstance(o, kind) for o in mine) for kind in (Widget, StylesCache, Strip))  # type: ignore[return-value]


async def _walk(app: MidasApp, pilot: Pilot[Any], runtime: ScriptedRuntime, rounds: int, rng: random.Random) -> None:
    for _ in range(rounds):
        for key in WALK:
            for feature in runtime.found:
                event = ev.FeatureTicked(at=NOW, metrics=metrics(feature.feature, score=rng.random()))
                runtime.bus.publish(event)
            app.shell.bridge.pump()
            app.shell.gate._clock.added += 60.0  # type: ignore[attr-defined]
            await press(pilot, "escape" if key == "\x1b" else key)


async def test_what_was_walked_through_leaves_memory() -> None:
    runtime = ScriptedRuntime()
    runtime.found = [metrics(f"feature_{i:02d}") for i in range(12)]
    rng = random.Random(14)
    async with scripted(runtime, size=(160, 45)) as (app, pilot, _):
        for event in session_events():
            runtime.bus.publish(event)
        await _walk(app, pilot, runtime, 2, rng)  # every mode is shown once, every cache begun
        before = _alive(app)
        await _walk(app, pilot, runtime, 6, rng)
        after = _alive(app)
    widgets, lines, strips = (b - a for a, b in zip(before, after, strict=True))
    assert widgets <= 4, f"{widgets} widgets of closed dialogs stayed"
    assert lines <= 4, f"the lines of {lines} widgets that are gone stayed"
    assert strips < before[2] // 4, f"{before[2]} drawn lines, {strips} more"


def test_colours_are_remembered_for_all_widgets_at_once() -> None:
    let_lines_go()
    known = StylesCache.__dict__["get_inner_outer"]
    let_lines_go()
    assert StylesCache.__dict__["get_inner_outer"] is known
    from textual.color import Color

    base, over = Color(10, 20, 30), Color(200, 100, 0, 0.5)
    first, second = StylesCache(), StylesCache()
    inner, outer = first.get_inner_outer(base, over)
    assert second.get_inner_outer(base, over)[0] is inner
    assert (inner.background, outer.background) == (base + over, base)


@pytest.mark.parametrize("cut", ["divide", "crop_extend", "crop", "adjust_cell_length"])
def test_a_line_cut_to_its_own_length_is_gone_with_its_last_owner(cut: str) -> None:
    let_lines_go()

    class Line(Strip):  # one that tells when it goes
        __slots__ = ("__weakref__",)

    line = Line([Segment("twelve cells")], 12)
    gone = weakref.ref(line)
    match cut:
        case "divide":
            assert line.divide([12]) == [line]
        case "crop_extend":
            assert line.crop_extend(0, 12, None) is line
        case "crop":
            assert line.crop(0, 12) is line
        case "adjust_cell_length":
            assert line.adjust_cell_length(12) is line
    gc.disable()
    try:
        del line
        assert gone() is None
    finally:
        gc.enable()


def test_a_line_is_cut_to_another_length_as_before() -> None:
    let_lines_go()
    line = Strip([Segment("twelve cells")], 12)
    assert [part.text for part in line.divide([6, 12])] == ["twelve", " cells"]
    assert [part.text for part in line.divide([6])] == ["twelve"]
    assert line.crop_extend(7, 12, None).text == "cells"
    assert line.crop_extend(0, 14, None).text == "twelve cells  "
    assert line.crop_extend(0, 6, None).text == "twelve"


async def test_a_message_that_another_one_replaced_leaves_the_page_whole() -> None:
    async with scripted(ScriptedRuntime(), size=(160, 45), notifications=True) as (app, pilot, _):
        for turn in range(20):
            app.shell.messages.say(f"message {turn}", key="criticals" if turn % 2 else "")
            await settle(pilot)
        assert [n.message for n in app._notifications] == ["message 18", "message 19"]
        assert len(app.screen.query(ToastHolder)) == len(app.screen.query(Toast)) == 2
        app._notifications.clear()
        app._refresh_notifications()
        await settle(pilot)
        assert not app.screen.query(ToastHolder)


async def test_a_message_stands_its_time_from_when_it_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(size=(160, 45), notifications=True) as (app, pilot, _):
        clock: Any = app.gate._clock
        app.shell.messages.say("the disk is full", bad=True)
        # The loop is held for a minute before the next frame, by the time of day as well.
        clock.added += 60.0
        monkeypatch.setattr("textual.notifications.time", lambda: time.time() + 60.0)
        await settle(pilot)
        for passed, there in ((0.0, True), (7.9, True), (0.2, False)):
            clock.added += passed
            for toast in app.screen.query(Toast):
                toast._expire()  # its timer rings
            await settle(pilot)
            assert ("the disk is full" in screen_text(app)) == there == bool(app._notifications)


async def test_a_click_takes_a_message_away_at_once() -> None:
    async with scripted(size=(160, 45), notifications=True) as (app, pilot, _):
        app.shell.messages.say("the disk is full", bad=True)
        await settle(pilot)
        await pilot.click(Toast)
        await settle(pilot)
        assert "the disk is full" not in screen_text(app)
        assert not app._notifications


def test_a_line_makes_a_memory_only_when_something_is_put_into_it() -> None:
    let_lines_go()
    line = Strip([Segment("twelve "), Segment("cells", Style(bold=True))], 12)

    def made() -> set[str]:
        """The slots that hold something, asked without asking for them."""
        slots = {name: Strip.__dict__[name] for name in Strip.__slots__}
        found = set()
        for name, slot in slots.items():
            with suppress(AttributeError):
                slot.__get__(line)
                found.add(name)
        return found

    assert made() == {"_segments", "_cell_length"}
    assert line.crop(2, 6) is line.crop(2, 6)
    assert made() == {"_segments", "_cell_length", "_crop_cache"}
    assert line._crop_cache._maxsize == 16
    styled, bold = line.apply_style(Style(italic=True)), Style(bold=True, italic=True)
    assert [s.style for s in styled] == [Style(italic=True), bold]
    assert styled is line.apply_style(Style(italic=True))
    assert line.render(Console()) == line.render(Console())
    assert not line.link_ids - {""}
    with pytest.raises(AttributeError, match="colour"):
        line.colour  # type: ignore[attr-defined]  # noqa: B018
