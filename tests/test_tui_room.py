"""Nothing is cut while there are free cells beside it: every table of every mode, and the names of the pipeline."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from textual.widget import Widget

from helpers_tui import (
    NOW,
    ScriptedRuntime,
    alert,
    metrics,
    press,
    screen_text,
    scripted,
    searched,
    session_events,
    settle,
)
from midas_engine import events as ev
from midas_engine.models import PipelineSummary
from midas_tui.formats import cells
from midas_tui.widgets.columns import Column, layout
from midas_tui.widgets.line_table import LineTable

MODES = "124563"


def wasted(table: LineTable) -> list[str]:
    """Columns whose cells are cut though another column of the same table has cells it does not need."""
    needs = table._needs.cells
    laid = table.visible_columns(table.size.width)
    free = sum(max(0, room - max(needs.get(c.key, 0), cells(c.title) + 1)) for c, room in laid if c.key in needs)
    free += table.size.width - 1 - sum(room + 1 for _, room in laid)
    return [f"{table.id} {c.key}" for c, room in laid if needs.get(c.key, 0) > room and free > 0]


@pytest.mark.parametrize("size", [(80, 24), (160, 45), (240, 60)], ids=lambda s: f"{s[0]}x{s[1]}")
async def test_no_cell_is_cut_beside_free_cells(size: tuple[int, int]) -> None:
    async with scripted(ScriptedRuntime(), size=size) as (app, pilot, runtime):
        for event in (*session_events(), *searched()):
            runtime.bus.publish(event)
        for key in MODES:
            await press(pilot, key)
            app.shell.bridge.pump()
            await app.workers.wait_for_complete()
            await settle(pilot)
            tables = [t for t in app.screen.query(LineTable) if t.is_on_screen and t.size.width]
            assert [w for table in tables for w in wasted(table)] == [], app.current_mode
            assert max(map(len, screen_text(app).split("\n"))) <= size[0]


def long_names(summary: PipelineSummary) -> PipelineSummary:
    def renamed(records: tuple[Any, ...], name: str) -> tuple[Any, ...]:
        return tuple(dataclasses.replace(r, name=f"{name}_{i}") for i, r in enumerate(records))

    return PipelineSummary(
        deployed=renamed(summary.deployed, "high_proximity_48_s72_w"),
        candidates=renamed(summary.candidates, "range_position_24_s12_volume"),
        shadow=renamed(summary.shadow, "carry_168_neutral"),
        archived=(),
    )


@pytest.mark.parametrize("size", [(80, 24), (160, 45), (240, 60)], ids=lambda s: f"{s[0]}x{s[1]}")
async def test_the_pipeline_shows_names_whole_and_an_empty_column_gives_its_room(size: tuple[int, int]) -> None:
    runtime = ScriptedRuntime()
    runtime.summary = long_names(runtime.summary)
    async with scripted(runtime, size=size, mode="pipeline") as (app, pilot, _):
        await settle(pilot)
        text = screen_text(app)
        for record in (*runtime.summary.candidates, *(runtime.summary.deployed if size[0] > 80 else ())):
            assert record.name in text
        if size[0] > 80:
            widths = {t.id: t.size.width for t in app.screen.query(LineTable)}
            assert widths["archived"] < min(widths["candidates"], widths["deployed"])


async def test_a_longer_name_that_comes_into_sight_widens_its_column() -> None:
    runtime = ScriptedRuntime()
    summary = runtime.summary
    records = tuple(dataclasses.replace(summary.candidates[0], name=f"f{i}") for i in range(60))
    late = dataclasses.replace(records[0], name="range_position_24_s12_volume")
    runtime.summary = dataclasses.replace(summary, candidates=(*records, late))
    async with scripted(runtime, size=(80, 24), mode="pipeline") as (app, pilot, _):
        table = app.screen.query_one("#candidates", LineTable)
        before = {c.key: room for c, room in table.visible_columns(table.size.width)}
        await press(pilot, "G")
        await settle(pilot)
        after = {c.key: room for c, room in table.visible_columns(table.size.width)}
        assert late.name in screen_text(app)
        assert after["name"] >= len(late.name) > before["name"]


def test_a_sentence_is_kept_whole_before_a_column_that_may_be_left_out() -> None:
    columns = (
        Column("name", "", 6),
        Column("since", "", 8, 3),
        Column("why", "", 8, 1, grow=True, whole=20, cut_end=True),
    )
    assert [c.key for c, _ in layout(columns, 30, {"name": 4, "since": 8, "why": 9})] == ["name", "since", "why"]
    assert {c.key: room for c, room in layout(columns, 30, {"name": 4, "since": 8, "why": 19})} == {
        "name": 6,
        "why": 21,
    }


def test_a_sentence_gets_its_share_before_a_long_name_is_whole() -> None:
    from midas_tui.screens.discovery import TREE_COLUMNS

    for width in (80, 120, 160):
        given = {
            c.key: cells for c, cells in layout(TREE_COLUMNS, width, {"name": 60, "t": 5, "strip": 12, "words": 90})
        }
        assert given["words"] >= 0.4 * width - 1 or given["name"] <= 28, (width, given)
    common = {c.key: cells for c, cells in layout(TREE_COLUMNS, 72, {"name": 24, "t": 5, "strip": 12, "words": 90})}
    assert common["name"] == 24, "a name of a common length is never cut for a sentence"


@pytest.mark.parametrize("size", [(80, 24), (120, 32), (160, 45), (240, 60)], ids=str)
@pytest.mark.parametrize("asked", [{}, {"reason_label": "reason", "typed_name": "x"}], ids=["plain", "fields"])
async def test_a_dialog_is_as_high_as_its_text_until_the_screen_ends(
    size: tuple[int, int], asked: dict[str, str]
) -> None:
    from textual.containers import VerticalScroll

    from midas_tui.modals.ask import AskModal, Question

    for count in (3, size[1] - 14, 80):
        async with scripted(size=size) as (app, pilot, _):
            app.push_screen(AskModal(Question("kill x", [(f"line {i}", "") for i in range(count)], **asked)))
            await settle(pilot)
            body = app.screen.query_one(VerticalScroll)
            box, buttons = body.parent.region, app.screen.query_one("#confirm").region
            assert box.bottom - buttons.bottom <= 1, "nothing is empty below the buttons"
            assert box.height <= size[1]
            if body.max_scroll_y > 0:
                assert box.height >= 0.9 * size[1] - 1, f"{count} lines are scrolled where there is room"


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (100, 24), (120, 32), (160, 45), (240, 60)], ids=str)
@pytest.mark.parametrize("rows", [1, 5, 60])
async def test_no_pane_reaches_below_the_page_and_the_row_under_the_cursor_is_seen(
    size: tuple[int, int], rows: int
) -> None:
    runtime = ScriptedRuntime()
    runtime.found = [metrics(f"feature_{i:02d}") for i in range(rows)]
    member = runtime.whole.members[0]
    many = tuple(dataclasses.replace(member, name=f"member_{i:02d}") for i in range(rows))
    runtime.whole = dataclasses.replace(runtime.whole, members=many)
    async with scripted(runtime, size=size) as (app, pilot, _):
        for i in range(rows):
            runtime.bus.publish(ev.AlertRaised(at=NOW, alert=alert(f"feature_{i:02d}")))
        for event in (*session_events(), *searched()):
            runtime.bus.publish(event)
        for key in MODES:
            await press(pilot, key)
            app.shell.bridge.pump()
            await app.workers.wait_for_complete()
            await settle(pilot)
            for pane in app.screen.query(".pane"):
                if not pane.display or not pane.region.area:
                    continue
                assert isinstance(pane.parent, Widget)
                assert pane.region in pane.parent.region, f"{app.current_mode} {pane.id}"
                if isinstance(pane, LineTable) and pane.keys:
                    pane.focus()
                    await press(pilot, "G")
                    await settle(pilot)
                    lines = range(app.screen.size.height)
                    line = pane.content_region.y + pane._header + pane.cursor_row - pane.scroll_offset.y
                    assert line in lines, f"{app.current_mode} {pane.id}: the cursor is on line {line}"
                    assert line < pane.content_region.bottom
