"""The terminal's book: reached by its key, unknown shown as unknown, an empty one that says what to do."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import TYPE_CHECKING, Any

import pytest

from helpers_tui import ScriptedRuntime, metrics, press, running, screen_text, scripted, settle, until, write_market
from midas_engine.book.build import NOTHING
from midas_engine.book.figures import BookFigures, Path
from midas_engine.book.periods import by_period, days_of, fall_cells, falls, period_cells, whole
from midas_engine.book.tearsheet import markdown
from midas_engine.errors import DataError
from midas_engine.models import Estimate
from midas_tui.screens.book import BookScreen
from midas_tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from pathlib import Path as FilePath

    from textual.pilot import Pilot

SIZES = [(80, 24), (160, 45)]


async def shown(runtime: ScriptedRuntime, size: tuple[int, int]) -> str:
    async with scripted(runtime, size=size) as (app, pilot, _):
        await press(pilot, "6")
        await app.workers.wait_for_complete()
        await settle(pilot)
        assert isinstance(app.screen, BookScreen)
        return screen_text(app)


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_members_and_the_whole_stand_on_the_screen(size: tuple[int, int]) -> None:
    text = await shown(ScriptedRuntime(), size)
    for word in (
        "funding_carry",
        "71.0%",
        "+812 [+467",
        "called",
        "old_one: paused",
        "Sharpe, expected",
        "Capacity",
    ):
        assert word in text, word
    capacity = next(line for line in text.split("\n") if "Capacity" in line)
    assert "unknown" in capacity
    assert " nan" not in text.lower()


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_an_empty_book_says_what_to_do(size: tuple[int, int]) -> None:
    runtime = ScriptedRuntime()
    runtime.whole = BookFigures(notes=(NOTHING,))
    text = await shown(runtime, size)
    assert "Nothing deployed" in text
    assert "midas discover GOAL" in text
    assert "0.0%" not in text


async def test_a_book_that_cannot_be_measured_says_why() -> None:
    runtime = ScriptedRuntime()

    async def fails(*, again: bool = False) -> BookFigures:
        raise DataError("the data has no close column")

    runtime.book.figures = fails  # type: ignore[method-assign]
    assert "the book is unknown: the data has no close column" in await shown(runtime, (80, 24))


async def test_r_measures_again() -> None:
    runtime = ScriptedRuntime()
    async with scripted(runtime, size=(160, 45)) as (app, pilot, _):
        await press(pilot, "6")
        await app.workers.wait_for_complete()
        runtime.whole = dataclasses.replace(runtime.whole, drawdown_bps=math.nan)
        await press(pilot, "r")
        await app.workers.wait_for_complete()
        await settle(pilot)
        drawdown = next(line for line in screen_text(app).split("\n") if "Drawdown" in line)
        assert "unknown" in drawdown


async def test_in_a_recording_the_book_is_the_one_that_the_sentence_speaks_of(tmp_path: FilePath) -> None:
    async with running(tmp_path / "kb", write_market(tmp_path, days=45), replay=True, size=(160, 45)) as (app, pilot):
        await press(pilot, "6")
        await settle(pilot)
        assert "the book is empty" not in screen_text(app)
        await app.runtime.replay.seek(app.runtime.replay.total - 1)
        await until(pilot, lambda: "bps in" in screen_text(app).partition("Net, on paper")[2])
        money = app.store.earned.money
        assert money is not None
        text = screen_text(app)
        assert f"{money.net_bps:+,.0f} ± {money.se_bps:,.0f} bps in {money.days} days" in text
        if money.loses:
            assert f"book lost {-money.net_bps:,.0f} ± {money.se_bps:,.0f} bps" in text
        shares = [line for line in text.split("\n") if "33.3%" in line]
        assert len(shares) == 3
        assert all("[" in line for line in shares), "each with what it earned by itself, and its interval"
        before = await _sentence(pilot, app)
        await press(pilot, "1")
        assert await _sentence(pilot, app) == before, "one truth in every mode"


async def _sentence(pilot: Pilot[None], app: Any) -> str:
    await settle(pilot)
    return str(app.screen.query_one("#sentence").render())


@pytest.mark.parametrize("size", [(80, 24), (120, 32), (160, 45), (240, 60)], ids=str)
async def test_no_line_of_the_whole_is_empty_while_members_are_scrolled(size: tuple[int, int]) -> None:
    runtime = ScriptedRuntime()
    member = runtime.whole.members[0]
    many = tuple(dataclasses.replace(member, name=f"member_{i:02d}") for i in range(40))
    runtime.whole = dataclasses.replace(runtime.whole, members=many)
    async with scripted(runtime, size=size, mode="book") as (app, pilot, _):
        await until(pilot, lambda: "member_00" in screen_text(app))
        await settle(pilot)
        members, figures = (app.screen.query_one(name, LineTable) for name in ("#members", "#figures"))
        assert members.max_scroll_y > 0
        assert figures.content_size.height <= max(3, len(figures.keys))
        assert members.size.height >= size[1] / 4


def _heights(app: Any) -> tuple[int, int]:
    members, figures = (app.screen.query_one(name, LineTable) for name in ("#members", "#figures"))
    return members.size.height, figures.size.height


@pytest.mark.parametrize("pane", ["#members", "#figures"])
@pytest.mark.parametrize("size", [(120, 32), (160, 45)], ids=str)
async def test_a_pane_over_the_whole_screen_gives_back_the_same_room_by_either_key(
    size: tuple[int, int], pane: str
) -> None:
    async with scripted(ScriptedRuntime(), size=size, mode="book") as (app, pilot, _):
        await app.workers.wait_for_complete()
        await settle(pilot)
        app.screen.query_one(pane).focus()
        before = _heights(app)
        for back in ("f", "escape"):
            await press(pilot, "f")
            await settle(pilot)
            assert app.screen.query_one(pane).outer_size.height == size[1]
            await press(pilot, back)
            await settle(pilot)
            assert _heights(app) == before, f"by {back}"


@pytest.mark.parametrize("size", [(80, 24), (120, 32), (160, 45)], ids=str)
async def test_every_member_of_a_recordings_book_stands_on_the_screen(size: tuple[int, int]) -> None:
    runtime = ScriptedRuntime()
    runtime.mode = "REPLAY"
    runtime.found = [metrics(f"member_{i}") for i in range(8)]
    async with scripted(runtime, size=size, mode="book") as (app, pilot, _):
        await until(pilot, lambda: all(f"member_{i}" in screen_text(app) for i in range(8)), "all eight at once")
        assert app.screen.query_one("#members", LineTable).max_scroll_y == 0


async def test_no_figure_of_money_runs_its_thousands_together() -> None:
    runtime = ScriptedRuntime()
    big = Estimate(25069.4, 2500.0, 20912.2, 29226.6)
    member = dataclasses.replace(runtime.whole.members[0], marginal=big, alone=big)
    runtime.whole = dataclasses.replace(runtime.whole, net=big, equal=big, drawdown_bps=12367.1, members=(member,))
    text = await shown(runtime, (160, 45))
    assert "+25,069 [+20,912, +29,227]" in text
    figures = text.partition("Measured on")[0].partition("member")[2]
    assert not re.findall(r"(?<![\d-])[+-]?\d{4,}(?![\d-])", re.sub(r"\d{4}-\d\d-\d\d", "", figures))
    sheet = markdown(runtime.whole)
    assert "+25,069 [+20,912, +29,227]" in sheet


@pytest.mark.parametrize("size", [(160, 45), (240, 60)], ids=str)
async def test_a_large_page_is_full_of_money_over_time(size: tuple[int, int]) -> None:
    runtime = ScriptedRuntime()
    days = days_of(runtime.whole)
    async with scripted(runtime, size=size, mode="book") as (app, pilot, _):
        await app.workers.wait_for_complete()
        await settle(pilot)
        text = screen_text(app)
        for p in (whole(days), *by_period(days, "month")[:6]):
            assert period_cells(p)[0] in text, "net of each month with its error"
        for fall in falls(days)[:2]:
            assert fall_cells(fall, days[-1].on)[0] in text
        assert "not back by 2025-11-30" in text, "the fall that is not made up for"
        assert "fees" in text
        empty = [line for line in text.split("\n") if not line.strip(" │╭╮╰╯─")]
        assert len(empty) <= size[1] // 10, f"{len(empty)} empty lines\n{text}"
        app.screen.query_one("#path").focus()
        await press(pilot, "left", "left", "left")
        assert " at " in str(app.screen.query_one("#path")._note), "the cursor says what it was on that day"


@pytest.mark.parametrize("size", [(80, 24), (120, 32)], ids=str)
async def test_a_small_page_keeps_its_lines_for_the_figures(size: tuple[int, int]) -> None:
    async with scripted(ScriptedRuntime(), size=size, mode="book") as (app, pilot, _):
        await app.workers.wait_for_complete()
        await settle(pilot)
        assert not app.screen.query_one("#periods").display
        assert "A death of all" in screen_text(app)


async def test_a_book_without_a_path_shows_no_empty_chart() -> None:
    runtime = ScriptedRuntime()
    runtime.whole = dataclasses.replace(runtime.whole, path=Path())
    async with scripted(runtime, size=(160, 45), mode="book") as (app, pilot, _):
        await app.workers.wait_for_complete()
        await settle(pilot)
        assert not app.screen.query_one("#shown").display
        where = next(line for line in screen_text(app).split("\n") if "Where it went" in line)
        assert "unknown" in where
