"""The mouse hits what it points at: every row, heading, tab, hint and bar, at every size."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from textual import events

from helpers_tui import (
    NOW,
    ScriptedRuntime,
    fill_base,
    metrics,
    press,
    readable,
    running,
    screen_text,
    scripted,
    searched,
    settle,
    until,
    write_market,
)
from midas_engine.events import CandidateScored
from midas_tui.modals.ask import AskModal
from midas_tui.modals.choose import ChooseModal
from midas_tui.modals.feature import FeatureModal
from midas_tui.screens.base import ModeScreen
from midas_tui.widgets.bars import FooterLine, ReplayBar
from midas_tui.widgets.line_table import LineTable
from midas_tui.widgets.sorting import sort_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SIZES = [(160, 45), (120, 32), (80, 24)]
MODES = ("live", "pipeline", "discovery", "learnings", "alerts", "book")


def mouse(app: Any, kind: type[events.MouseEvent], x: int, y: int, button: int = 1) -> None:
    """Post one event as the driver does: at a cell of the terminal."""
    app.post_message(kind(None, x, y, 0, 0, button, False, False, False, x, y))


async def click(pilot: Any, x: int, y: int) -> None:
    """Press and let go on one cell."""
    for kind in (events.MouseDown, events.MouseUp):
        mouse(pilot.app, kind, x, y)
    await settle(pilot)
    await settle(pilot)


@pytest.mark.parametrize("size", [*SIZES, (240, 60), (60, 16)], ids=lambda s: f"{s[0]}x{s[1]}")
async def test_every_cell_of_a_choice_selects_the_one_that_is_drawn_there(size: tuple[int, int]) -> None:
    """More choices than the dialog shows, at its top and scrolled to its end."""
    async with scripted(size=size) as (app, pilot, _):
        modal = ChooseModal("which", [(f"key{i}", f"choice number {i:02d}") for i in range(24)])
        app.push_screen(modal)
        await readable(pilot, ChooseModal)
        table = modal.query_one("#choices", LineTable)
        for edge in (-1, 1):
            table.action_edge(edge)
            await pilot.pause()
            region = table.content_region
            assert region.bottom <= size[1]
            for y in range(region.y, region.bottom):
                drawn = screen_text(app).split("\n")[y].split("choice number ")[1][:2]
                await click(pilot, region.x + y * 7 % (region.width - 2), y)
                assert table.cursor_key == f"key{int(drawn)}", (edge, y, screen_text(app))
                assert modal.is_current, "one click chooses nothing"


@asynccontextmanager
async def full(mode: str, size: tuple[int, int]) -> AsyncIterator[tuple[Any, Any]]:
    """A mode whose tables have more rows than lines."""
    runtime = ScriptedRuntime()
    runtime.found += [metrics(f"feature_{i:03d}") for i in range(30)]
    async with scripted(runtime, mode=mode, size=size) as (app, pilot, _):
        for event in searched():
            runtime.bus.publish(event)
        app.shell.bridge.pump()
        await until(pilot, lambda: all(w.is_finished for w in app.workers))
        await settle(pilot)
        yield app, pilot


async def click_every_line(pilot: Any, table: LineTable) -> int:
    """Click every line of a table and look that the cursor stands where the mouse is; how many rows there were."""
    app, rows, first = pilot.app, 0, table.content_region.y
    for y in range(first, table.content_region.bottom):
        region = table.content_region
        if y >= region.bottom:  # shorter since the last click
            break
        right = region.right - int(table.show_vertical_scrollbar)
        # Each line by another of its cells, so that both edges and all columns have their turn.
        for x in {region.x, right - 1} if y == region.y else {region.x + y * 7 % (right - region.x)}:
            before = screen_text(app).split("\n")[y].ljust(app.size.width)[region.x + 1 : right]
            heading = table._header and y == region.y
            old = table.cursor_key
            await click(pilot, x, y)
            # What a row means may be said below the table, which is shorter then and has scrolled to the row.
            now = table.content_region
            lines = [line.ljust(app.size.width)[region.x : right] for line in screen_text(app).split("\n")]
            line = next((line for line in lines[now.y : now.bottom] if line[0] == "▸"), "")
            if heading:
                assert table.cursor_key in table.keys
                await click(pilot, x, y)
                await click(pilot, x, y)
            elif before.strip() and not before.strip().startswith("…"):
                assert line[1:].rstrip() == before.rstrip(), (table.id, x, y, screen_text(app))
                assert now != region or lines[y] == line, (table.id, x, y, screen_text(app))
                rows += 1
            else:
                assert table.cursor_key == old, "an empty line selects nothing"
                return rows
    return rows


async def click_every_table(pilot: Any) -> None:
    """All of a page that are shown, the focused one scrolled to its end."""
    tables = [t for t in pilot.app.screen.query(LineTable) if t.region.area and t.keys]
    assert tables
    for table in tables:
        await press(pilot, "G") if table.has_focus else None
        assert await click_every_line(pilot, table) or not table.has_focus


@pytest.mark.parametrize("size", [*SIZES, (240, 60), (60, 16)], ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("mode", MODES)
async def test_every_cell_selects_the_row_that_is_drawn_there(mode: str, size: tuple[int, int]) -> None:
    async with full(mode, size) as (_, pilot):
        await click_every_table(pilot)


@pytest.mark.parametrize("mode", MODES)
async def test_every_cell_of_a_pane_that_was_filtered_resized_and_maximised_selects_what_is_drawn_there(
    mode: str,
) -> None:
    async with full(mode, (160, 45)) as (app, pilot):
        await press(pilot, "G")
        for size in [(80, 24), (100, 31), (240, 60), (60, 16), (139, 33)]:
            await pilot.resize_terminal(*size)
            await settle(pilot)
            await click_every_table(pilot)
        pane = next(t for t in app.screen.query(LineTable) if t.region.area and t.keys)
        pane.focus()
        await press(pilot, "f")
        assert await click_every_line(pilot, pane)
        await press(pilot, "f", "slash", "e", "enter")
        await click_every_table(pilot) if pane.keys else None


@pytest.mark.parametrize("size", [*SIZES, (60, 16)], ids=lambda s: f"{s[0]}x{s[1]}")
async def test_every_cell_of_the_help_selects_the_line_that_is_drawn_there(size: tuple[int, int]) -> None:
    async with scripted(size=size) as (app, pilot, _):
        await press(pilot, "?")
        await readable(pilot)
        table = app.screen.query_one(LineTable)
        for edge in (-1, 1):
            table.action_edge(edge)
            await settle(pilot)
            assert await click_every_line(pilot, table) > 1


async def test_a_click_selects_what_was_drawn_when_the_rows_have_moved_since() -> None:
    async with scripted(size=(120, 32)) as (app, pilot, _):
        table = app.screen.query_one("#features", LineTable)
        rows = [(key, table._rows[key]) for key in table.keys]
        for new in (rows[::-1], rows, rows[1:]):
            await settle(pilot)
            x, y = table.content_region.x + 5, table.content_region.y + 1
            drawn = screen_text(app).split("\n")[y][table.content_region.x + 3 :].split()[0]
            table.set_rows(rows[2:])
            table.set_rows(new)
            assert table.keys[0] != drawn
            old = table.cursor_key
            # Made before the next frame.
            table.on_click(events.Click(table, 5, 2, 0, 0, 1, False, False, False, x, y))
            assert table.cursor_key == (drawn if drawn in table.keys else old), "the row that was seen, or none"


async def test_a_border_selects_nothing() -> None:
    async with scripted(size=(160, 45)) as (app, pilot, _):
        table = app.screen.query_one("#features", LineTable)
        await press(pilot, "j")
        row = table.cursor_row
        for y in (table.region.y, table.region.bottom - 1):
            await click(pilot, table.region.x + 5, y)
            assert table.cursor_row == row


async def test_the_wheel_scrolls_and_a_click_then_hits_the_scrolled_row() -> None:
    runtime = ScriptedRuntime()
    runtime.found = [metrics(f"feature_{i:03d}") for i in range(200)]
    async with scripted(runtime, size=(120, 32)) as (app, pilot, _):
        table = app.screen.query_one("#features", LineTable)
        x, y = table.content_region.x + 5, table.content_region.y + 3
        for _ in range(4):
            mouse(app, events.MouseScrollDown, x, y, 0)
            await settle(pilot)
        await until(pilot, lambda: table.scroll_offset.y > 0)
        drawn = screen_text(app).split("\n")[y][table.content_region.x + 3 :].split()[0]
        await click(pilot, x, y)
        assert table.cursor_key == drawn


async def test_a_double_click_opens() -> None:
    async with scripted(size=(80, 24)) as (app, pilot, _):
        table = app.screen.query_one("#features", LineTable)
        x, y = table.content_region.x + 5, table.content_region.y + 2
        await click(pilot, x, y)
        assert isinstance(app.screen, ModeScreen)
        await click(pilot, x, y)
        await until(pilot, lambda: isinstance(app.screen, FeatureModal))
        assert screen_text(app).count(str(table.cursor_key))


async def test_a_heading_sorts_marks_itself_and_turns_round() -> None:
    async with scripted(size=(160, 45)) as (app, pilot, _):
        table = app.screen.query_one("#features", LineTable)
        y = table.content_region.y

        async def on(title: str) -> str:
            await click(pilot, screen_text(app).split("\n")[y].index(title), y)
            return screen_text(app).split("\n")[y]

        assert "feature↑" in await on("feature")
        assert list(table.keys) == sorted(table.keys)
        assert "feature↓" in await on("feature")
        assert list(table.keys) == sorted(table.keys, reverse=True)
        assert "noticed i↑" in await on("noticed in")  # no order of its own: by its cells, unknown last
        assert table.keys[-1] == "low_volatility"
        await press(pilot, "s")
        assert "noticed in" in screen_text(app).split("\n")[y]


async def test_headings_of_every_table_sort() -> None:
    async with scripted(size=(160, 45), mode="alerts") as (app, pilot, _):
        table = app.screen.query_one("#history", LineTable)
        given, y = table.keys, table.content_region.y
        x = screen_text(app).split("\n")[y].index("feature")
        await click(pilot, x, y)
        names = [app.store.alerts[key].feature for key in table.keys]
        assert names == sorted(names)
        await click(pilot, x, y)
        await click(pilot, x, y)
        assert table.keys == given


def test_cells_sort_by_value_and_unknown_comes_last() -> None:
    cells = ["--", "x9", "+0.012±.021", "-61.0", "x12", "open", "", "7/13.5", "1.20x"]
    assert sorted(cells, key=sort_key) == ["-61.0", "+0.012±.021", "1.20x", "7/13.5", "x9", "x12", "open", "--", ""]
    apart = ["+16,232 [+12,229, +20,235]", "-7,242", "+9.5", "1,234,567.5±2.0", "999"]
    assert sorted(apart, key=sort_key) == ["-7,242", "+9.5", "999", "+16,232 [+12,229, +20,235]", "1,234,567.5±2.0"]
    assert sorted(["01-19 12:00", "01-02 09:00"], key=sort_key) == ["01-02 09:00", "01-19 12:00"]


async def test_a_tab_shows_its_column() -> None:
    async with scripted(size=(80, 24), mode="pipeline") as (app, pilot, _):
        for name in ("archived", "deployed", "candidates"):
            line = screen_text(app).split("\n")[2]
            await click(pilot, line.index(name) + 2, 2)
            assert app.focused is app.screen.query_one(f"#{name}")


async def test_a_hint_acts_as_its_key_and_asks_before_it_moves_anything() -> None:
    from test_tui_bursts import Recorder

    async with scripted(Recorder(), size=(120, 32), mode="pipeline") as (app, pilot, runtime):
        y = app.screen.query_one("#footer").region.y
        await click(pilot, screen_text(app).split("\n")[y].index("promote"), y)
        await until(pilot, lambda: isinstance(app.screen, AskModal))
        assert runtime.calls == []
        await readable(pilot, AskModal)
        await press(pilot, "n")
        await click(pilot, screen_text(app).split("\n")[y].index("help"), y)
        await until(pilot, lambda: "search keys" in screen_text(app))
        await readable(pilot)
        await press(pilot, "escape")
        await click(pilot, screen_text(app).split("\n")[y].index("mode"), y)
        await until(pilot, lambda: app.current_mode == "discovery")


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_every_hint_of_the_footer_is_found_where_it_stands(size: tuple[int, int]) -> None:
    async with scripted(size=size) as (app, pilot, _):
        for key in "12345":
            await press(pilot, key)
            line = app.screen.query_one("#footer", FooterLine)
            names = {line.name_at(x) for x in range(size[0])} - {""}
            assert "help" in names
            for name in names - {"help", "mode"}:
                assert f" {name.removeprefix('key ')} " in line.text


async def test_the_counts_of_the_status_line_lead_to_the_alerts() -> None:
    async with scripted() as (app, pilot, _):
        await click(pilot, screen_text(app).index("▲"), 0)
        await until(pilot, lambda: app.current_mode == "alerts")


async def test_the_replay_bar_seeks_by_click_and_by_drag(tmp_path: Path) -> None:
    fill_base(tmp_path / "kb")
    market = write_market(tmp_path, days=10)
    async with running(tmp_path / "kb", market, replay=True) as (app, pilot):
        bar = app.screen.query_one("#replay", ReplayBar)
        replay: Any = app.runtime.replay  # type: ignore[union-attr]
        left, room, total = bar._track
        y = bar.region.y
        await click(pilot, left + room // 2, y)
        middle = bar.position_at(left + room // 2)
        await until(pilot, lambda: replay.position == middle)
        assert abs(replay.position - total / 2) <= total / room
        mouse(app, events.MouseDown, left + 5, y)
        for x in range(left + 5, left + 20):
            mouse(app, events.MouseMove, x, y)
        mouse(app, events.MouseUp, left + 19, y)
        await until(pilot, lambda: abs(replay.position - total * 19.5 / room) <= 2 * total / room)
        left, room, total = bar._track  # the figures beside it took another cell
        await click(pilot, left + room - 1, y)
        await until(pilot, lambda: replay.position == total)
        mouse(app, events.MouseMove, left + 3, y)
        await settle(pilot)
        assert replay.position == total, "the mouse was let go"


def test_a_click_on_an_alert_of_the_bar_lands_on_it() -> None:
    bar = ReplayBar()
    bar._track, bar._alert_bars = (5, 40, 1000), (333, 340, 700)
    place = 5 + int(332 * 40 / 1000)
    assert bar.position_at(place) == 333
    assert bar.position_at(4) is None
    assert bar.position_at(5) == 0
    assert bar.position_at(44) == 1000
    assert bar.position_at(45) is None


async def test_dialogs_stand_over_the_page_and_jump_letters_on_their_panes() -> None:
    for size in SIZES:
        async with scripted(size=size) as (app, pilot, runtime):
            runtime.bus.publish(
                CandidateScored(at=NOW, session_id="s1", iteration=1, name="x", expression="close", accepted=False,
                                composite=0.1, rank_ic=0.0, score_t=0.1, line_t=2.9, trials=1, agents=()),
            )  # fmt: skip
            for key in ("g", "w", "question_mark", "exclamation_mark"):
                await press(pilot, key)
                await readable(pilot)
                shot = app.export_screenshot(simplify=True).replace("&#160;", " ")
                assert "HIGH_VOL" in shot, (key, size)
                if key == "g":
                    assert "a alerts" in shot
                await press(pilot, "escape")
                await until(pilot, lambda: isinstance(app.screen, ModeScreen))
