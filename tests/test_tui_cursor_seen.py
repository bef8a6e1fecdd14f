"""A table's cursor stays on the screen when new rows push it out: with the row somebody chose, else with the top."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from midas_tui.widgets.columns import Column
from midas_tui.widgets.line_table import LineTable

OLD = [f"old {n}" for n in range(12)]
NEW = [f"new {n}" for n in range(30)]


class Page(App[None]):
    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict.fromkeys(("ok", "warn", "crit", "accent", "muted", "frame"), "ansi_red")

    def compose(self) -> ComposeResult:
        yield LineTable([Column("name", "name", 12)])


def _rows(names: list[str]) -> list[tuple[str, dict[str, tuple[str, str]]]]:
    return [(n, {"name": (n, "")}) for n in names]


def _marked(table: LineTable) -> list[str]:
    lines = ["".join(s.text for s in table.render_line(y)) for y in range(table.size.height)]
    return [line[1:].strip() for line in lines if line.startswith("▸")]


@pytest.mark.parametrize("keys", [(), ("j", "j"), ("j", "home"), ("G",)])
async def test_the_marked_row_can_be_seen_whatever_comes_above_it(keys: tuple[str, ...]) -> None:
    app = Page()
    async with app.run_test(size=(40, 12)) as pilot:
        table = app.query_one(LineTable)
        table.set_rows(_rows(OLD))
        table.focus()
        await pilot.pause()
        await pilot.press(*keys)
        chosen = table.cursor_key
        for count in range(1, len(NEW) + 1):
            table.set_rows(_rows(NEW[:count][::-1] + OLD))
            await pilot.pause()
            assert len(_marked(table)) == 1, count
        followed = keys not in ((), ("j", "home"))  # the first row is the feed's top, not a choice
        assert (table.cursor_key == chosen) == followed
        assert _marked(table) == [table.cursor_key]
        if not followed:
            assert table.scroll_offset.y == 0


async def test_who_scrolled_away_from_the_cursor_is_left_there() -> None:
    app = Page()
    async with app.run_test(size=(40, 12)) as pilot:
        table = app.query_one(LineTable)
        table.set_rows(_rows(OLD + NEW))
        await pilot.pause()
        table.scroll_to(y=20, animate=False, force=True)
        await pilot.pause()
        table.set_rows(_rows(["another", *OLD, *NEW]))
        await pilot.pause()
        assert table.scroll_offset.y == 20
        assert table.cursor_key == OLD[0]
