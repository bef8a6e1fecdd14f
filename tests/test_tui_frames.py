"""What one frame asks for: styles and moments once, however many lines and cells it has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from textual import events
from textual._compositor import Compositor
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget
from textual.widgets import Static

from helpers_tui import NOW, ScriptedRuntime, metrics, press, screen_text, scripted, settle
from midas_engine.events import FeatureTicked
from midas_engine.runtime.timeline import Timeline
from midas_tui.screens.live_detail import FeatureDetail
from midas_tui.widgets import time_axis
from midas_tui.widgets.line_table import LineTable
from midas_tui.widgets.time_axis import TimeAxis

BARS = 720
ALL_KINDS = {"-tiny", "-narrow", "-normal", "-wide", "-flat", "-short", "-tall", "-high", "-vast"}


def _axis() -> Timeline:
    at = tuple(NOW + timedelta(hours=i) for i in range(BARS))
    net = tuple(float(i % 37) for i in range(BARS))
    regimes = tuple(("LOW_VOL", "HIGH_VOL")[i // 40 % 2] for i in range(BARS))
    return Timeline("", at, net, tuple(v - 36.0 for v in net), regimes, ())


class Asked:
    """How often something was asked for."""

    def __init__(self) -> None:
        self.times = 0

    def counting(self, what: Any) -> Any:
        """`what`, counted."""

        def counted(*args: Any, **named: Any) -> Any:
            self.times += 1
            return what(*args, **named)

        return counted


async def test_a_chart_asks_for_each_style_once_a_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(size=(160, 45)) as (app, pilot, _):
        axis = app.screen.query_one("#time", TimeAxis)
        axis.show_time(_axis())
        await pilot.pause()
        parts, whole, moments = Asked(), Asked(), Asked()
        monkeypatch.setattr(axis, "get_component_rich_style", parts.counting(axis.get_component_rich_style))
        monkeypatch.setattr(Widget, "rich_style", property(whole.counting(Widget.rich_style.fget)))
        monkeypatch.setattr(time_axis, "clock_time", moments.counting(time_axis.clock_time))
        axis._styles.clear()
        lines = axis._draw(axis.size.width, axis.size.height)
        assert sum(len(list(line)) for line in lines) > 60  # pieces of text with a style
        assert parts.times <= len(axis.COMPONENT_CLASSES)
        assert whole.times <= len(axis.COMPONENT_CLASSES) + 1
        assert moments.times <= axis.size.width // 16 + 1  # not one a bar


async def test_a_table_finds_out_once_a_frame_what_its_lines_stand_on(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = ScriptedRuntime()
    runtime.found = [metrics(f"feature_{i:03d}") for i in range(60)]
    async with scripted(runtime, size=(160, 45)) as (app, pilot, _):
        table = app.screen.query_one("#features", LineTable)
        await pilot.pause()
        whole = Asked()
        monkeypatch.setattr(Widget, "rich_style", property(whole.counting(Widget.rich_style.fget)))
        lines = table.render_lines(Region(0, 0, table.size.width, table.size.height))
        assert len(lines) > 10
        assert whole.times <= 2
        assert table._base is None  # another theme may come before the next


async def test_a_key_draws_its_rows_at_once_and_the_rest_of_the_page_after_it() -> None:
    runtime = ScriptedRuntime()
    runtime.found = [metrics(f"feature_{i:02d}") for i in range(12)]
    async with scripted(runtime, size=(160, 45)) as (app, pilot, _):
        page: Any = app.screen
        table = page.query_one("#features", LineTable)
        await settle(pilot)
        frames: list[tuple[str | None, set[int]]] = []
        update = page._compositor.update_widgets

        def noted(widgets: set[Any]) -> None:
            update(widgets)
            frames.append((table.cursor_key, {region.y for region in page._compositor._dirty_regions}))

        page._compositor.update_widgets = noted
        waiting = page.query_one("#time")
        waiting.refresh()
        page._dirty_widgets.add(waiting)  # as if its frame were due
        before = table.cursor_key
        assert not await app.shell.door.lets_in(events.Key("j", None))
        cursor, lines = frames[0]
        assert cursor == table.cursor_key != before
        assert len(lines) == 2, "the row left and the row reached, and nothing else of the page"
        assert waiting in page._dirty_widgets, "what waited for its frame still does"
        await settle(pilot)
        assert any(waiting.region.y in drawn for _, drawn in frames[1:])


async def test_a_mode_that_was_shown_before_is_drawn_without_a_wait() -> None:
    async with scripted(size=(160, 45)) as (app, pilot, _):
        held: list[float] = []
        set_timer = app.set_timer

        def noted(delay: float, *args: Any, **named: Any) -> Any:
            if named.get("name") == "delay_update":
                held.append(delay)
            return set_timer(delay, *args, **named)

        app.set_timer = noted  # type: ignore[method-assign]
        await press(pilot, "2")
        await press(pilot, "1")
        await press(pilot, "2")
        assert held[0] > 0.0, "made for the first time: its frames would show it half made"
        assert len(held) == 3
        assert max(held[1:]) < 0.005
        assert app._batch_count == 0, "frames are let out again"
        assert "pipeline" in str(app.current_mode)
        assert "candidates" in screen_text(app)


async def test_the_first_frame_of_a_mode_shown_again_holds_what_came_meanwhile() -> None:
    runtime = ScriptedRuntime()
    runtime.found = [metrics(f"feature_{i:02d}") for i in range(5)]
    async with scripted(runtime, size=(160, 45)) as (app, pilot, _):
        frames: list[tuple[str | None, str]] = []
        display = app._display

        def noted(page: Any, frame: Any) -> None:
            if frame is not None:
                frames.append((app.current_mode, screen_text(app)))
            display(page, frame)

        app._display = noted  # type: ignore[method-assign]
        for turn in range(3):
            await press(pilot, "2")
            runtime.found.append(metrics(f"newcomer_{turn}"))
            runtime.bus.publish(FeatureTicked(at=NOW, metrics=runtime.found[-1]))
            app.shell.bridge.pump()
            frames.clear()
            await press(pilot, "1")
            shown = [text for mode, text in frames if mode == "live"]
            assert shown
            assert all(f"newcomer_{turn}" in text for text in shown)


async def test_the_first_frame_of_another_size_is_laid_out_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Laid out and drawn as for the old size, styled anew, then laid out and drawn again: a third of a resize."""
    async with scripted(size=(160, 45)) as (app, pilot, _):
        for name in ("1", "2", "3", "4", "5", "6"):
            await press(pilot, name)
            for size, kinds in (((80, 24), {"-narrow", "-short"}), ((240, 60), {"-wide", "-tall", "-high", "-vast"})):
                drawn: list[set[str]] = []
                draw = app.screen._compositor_refresh

                def noted(draw: Any = draw, drawn: list[set[str]] = drawn) -> None:
                    drawn.append({c for c in app.screen.classes if c in ALL_KINDS})
                    draw()

                monkeypatch.setattr(app.screen, "_compositor_refresh", noted)
                await pilot.resize_terminal(*size)
                await settle(pilot)
                monkeypatch.setattr(app.screen, "_compositor_refresh", draw)
                assert drawn[0] == kinds, (name, size)


async def test_words_that_take_as_many_lines_lay_nothing_out_and_more_do(monkeypatch: pytest.MonkeyPatch) -> None:
    reflow = Compositor.reflow
    async with scripted(size=(160, 45)) as (app, pilot, _):
        detail = app.screen.query_one(FeatureDetail)
        words = detail.query_one("#facts", Static)
        for text, lines in (("one\ntwo", 2), ("three\nfour", 2), ("five", 1), ("six " * 100, 9)):
            laid = Asked()
            monkeypatch.setattr(Compositor, "reflow", laid.counting(reflow))
            before = words.size.height
            detail.show_facts(Content(text))
            await settle(pilot)
            assert text.split()[0] in screen_text(app)
            assert words.size.height == lines if lines < 9 else words.size.height > 4
            assert bool(laid.times) == (words.size.height != before)


@pytest.mark.parametrize("size", [(160, 45), (120, 32), (80, 24)], ids=lambda s: f"{s[0]}x{s[1]}")
async def test_figures_that_change_lay_nothing_out(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = ScriptedRuntime()
    runtime.found = [metrics(f"feature_{i:04d}") for i in range(100)]
    async with scripted(runtime, size=size) as (app, pilot, _):
        app.shell.bridge.pump()
        await settle(pilot)
        laid = Asked()
        monkeypatch.setattr(Compositor, "reflow", laid.counting(Compositor.reflow))
        for turn in range(5):
            runtime.bus.publish(FeatureTicked(at=NOW, metrics=metrics("feature_0003", pnl_1d_bps=10.0 + turn)))
            app.shell.bridge.pump()
            await settle(pilot)
        assert "feature_0003" in screen_text(app)
        assert laid.times == 0
