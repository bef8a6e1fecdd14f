"""The widgets by themselves: charts with their gates, tables and their columns, numbers and how they are cut."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App
from textual.geometry import Size

from helpers_tui import settle
from midas_engine.models import Estimate
from midas_tui.formats import cells, days, elide, evidence_bar, number, pad, sparkline, with_error
from midas_tui.modals.go import letters
from midas_tui.screens.card import wrapped
from midas_tui.theme import ASCII, UNICODE
from midas_tui.widgets.chart import Chart, Gate, resample
from midas_tui.widgets.columns import Column, LazyRow, layout
from midas_tui.widgets.document_view import DocumentView
from midas_tui.widgets.line_table import LineTable
from midas_tui.widgets.stream_view import StreamView

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Bare(App[None]):
    """One widget on an empty screen."""

    def __init__(self, widget: Any) -> None:
        super().__init__()
        self._widget = widget

    def get_theme_variable_defaults(self) -> dict[str, str]:
        roles = ("ok", "warn", "crit", "accent", "muted", "frame")
        return dict.fromkeys(roles, "ansi_red")

    def compose(self) -> ComposeResult:
        yield self._widget


def lines(app: Bare) -> list[str]:
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


# -- numbers -----------------------------------------------------------------------------------------


def test_a_figure_never_stands_without_its_error() -> None:
    assert with_error(Estimate(0.031, 0.008)) == "+0.031±.008"
    assert with_error(Estimate(0.031)) == "+0.031±?"
    assert with_error(Estimate(math.nan)) == "--"


def test_unknown_is_said_not_drawn_as_zero() -> None:
    assert number(math.nan) == number(math.inf) == days(math.inf) == "--"
    assert (days(41.4), days(3.25)) == ("41d", "3.2d")


@given(st.text(max_size=60), st.integers(1, 40), st.booleans())
def test_elided_text_fits_its_cells(text: str, width: int, end: bool) -> None:
    text = "".join(c for c in text if c.isprintable())
    assert cells(elide(text, width, end=end)) <= width


@given(st.text(alphabet="abc漢字é", max_size=20), st.integers(20, 60), st.booleans())
def test_padded_text_fills_its_cells(text: str, width: int, right: bool) -> None:
    shown = pad(elide(text, width), width, right=right)
    assert cells(shown) == width


def test_names_are_cut_in_the_middle_and_sentences_at_the_end() -> None:
    assert elide("vwap_zscore_mean_rev", 12) == "vwap_z…n_rev"
    assert elide("one-day contribution", 8, end=True) == "one-day…"


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_an_evidence_bar_ends_at_its_gate_and_is_full_only_there(glyphs: Any) -> None:
    bars = [evidence_bar(share, 11, glyphs) for share in (-0.1, 0.0, 0.5, 0.99, 1.0, 9.0)]
    assert [bar.count(glyphs.full_block) for bar in bars] == [0, 0, 4, 8, 9, 9]
    assert {len(bar) for bar in bars} == {11}
    assert evidence_bar(math.nan, 11, glyphs) == " " * 11


def test_a_sparkline_leaves_holes_where_nothing_is_known() -> None:
    assert sparkline([0.0, math.nan, 1.0], 5, UNICODE) == "  ▁ █"
    assert sparkline([math.nan], 4, UNICODE) == "    "


@given(st.text(alphabet="ab ,", max_size=120), st.integers(4, 30))
def test_wrapped_text_loses_no_letter_and_fits(text: str, width: int) -> None:
    pieces = wrapped(text, width)
    assert all(len(p) <= width for p in pieces)
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")


# -- charts ------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=400), st.integers(1, 100))
def test_resampling_keeps_the_mean_and_the_bounds(values: list[float], points: int) -> None:
    found = resample(values, points)
    assert len(found) == min(points, len(values))
    assert min(values) - 1e-12 <= min(found)
    assert max(found) <= max(values) + 1e-12


def test_resampling_says_nothing_where_nothing_is_known() -> None:
    assert math.isnan(resample([math.nan, math.nan, 1.0, 2.0], 2)[0])


async def test_a_chart_draws_series_gates_and_scale() -> None:
    chart = Chart("IC", empty="none")
    async with Bare(chart).run_test(size=(48, 11)) as pilot:
        chart.show(([0.0] * 40 + [1.0] * 40,), (Gate(0.5, "warn"), Gate(0.9, "crit")), "a note")
        await settle(pilot)
        text = lines(pilot.app)  # type: ignore[arg-type]
    assert text[0] == "IC a note"
    gates = {line.split()[0]: y for y, line in enumerate(text) if "┄" in line}
    assert set(gates) == {"+0.500", "+0.900"}
    assert gates["+0.900"] < gates["+0.500"]
    low, high = text[-1][8:], text[1][8:]
    assert any(0x2800 < ord(c) < 0x2900 for c in low[:20])
    assert not any(0x2800 < ord(c) < 0x2900 for c in low[21:])
    assert any(0x2800 < ord(c) < 0x2900 for c in high[20:])


async def test_a_chart_without_figures_says_why_and_takes_two_lines() -> None:
    chart = Chart("slippage", empty="no fills on this data")
    async with Bare(chart).run_test(size=(40, 10)) as pilot:
        chart.show(([math.nan] * 9,), (Gate(1.5, "warn"),))
        await settle(pilot)
        assert lines(pilot.app)[:2] == ["slippage", " no fills on this data"]  # type: ignore[arg-type]
        assert chart.size.height == 2


async def test_an_ascii_chart_is_ascii() -> None:
    chart = Chart("IC", empty="none", glyphs=ASCII)
    async with Bare(chart).run_test(size=(40, 8)) as pilot:
        chart.show(([i / 30 for i in range(30)],), (Gate(0.5, "warn"),))
        await settle(pilot)
        assert all(ord(c) < 127 for line in lines(pilot.app) for c in line)  # type: ignore[arg-type]


async def test_a_stream_follows_from_its_first_overflow_on() -> None:
    stream = StreamView(empty="nothing", id="stream")
    async with Bare(stream).run_test(size=(30, 8)) as pilot:
        stream.show_lines([("one", "")], 0, "s")
        await settle(pilot)
        stream.virtual_size = Size(30, 40)
        stream.show_vertical_scrollbar = False  # not drawn yet: the layout comes later
        stream._to_end()
        assert stream.scroll_offset.y == stream.max_scroll_y > 0
        assert stream.following


@pytest.mark.parametrize("kind", ["table", "stream", "document"])
async def test_a_bar_that_is_drawn_late_shows_where_the_text_stands(kind: str) -> None:
    widget: Any = {
        "table": lambda: LineTable([Column("name", "name", 10, right=False, grow=True)]),
        "stream": lambda: StreamView(empty="nothing"),
        "document": lambda: DocumentView(empty="nothing"),
    }[kind]()
    async with Bare(widget).run_test(size=(30, 8)) as pilot:
        await settle(pilot)
        widget.virtual_size = Size(30, 40)
        widget.show_vertical_scrollbar = False  # not drawn yet: the layout comes later
        widget.scroll_to(y=20, animate=False, immediate=True, force=True)
        widget.vertical_scrollbar.position = 0
        widget.show_vertical_scrollbar = True
        assert widget.vertical_scrollbar.position == 20


# -- tables ------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 5)), min_size=1, max_size=8), st.integers(24, 120))
def test_columns_fit_and_the_growing_one_stays(shape: list[tuple[int, int]], width: int) -> None:
    columns = [Column("name", "", 18, grow=True)]
    columns += [Column(str(i), "", wide, priority + 1) for i, (wide, priority) in enumerate(shape)]
    laid = layout(columns, width)
    assert laid[0][0].key == "name"
    assert sum(room + 1 for _, room in laid) + 1 <= width
    dropped = {c.priority for c in columns} - {c.priority for c, _ in laid}
    assert all(c.priority <= min(dropped, default=9) for c, _ in laid)


def rows(*names: str) -> list[tuple[str, dict[str, tuple[str, str]]]]:
    return [(name, {"name": (name, "")}) for name in names]


async def test_the_cursor_stays_on_its_key_when_rows_move_and_go() -> None:
    table = LineTable([Column("name", "name", 10, right=False, grow=True)])
    async with Bare(table).run_test(size=(30, 8)) as pilot:
        table.set_rows(rows("a", "b", "c"))
        table.move_to("b")
        table.set_rows(rows("c", "a", "b"))
        assert table.cursor_key == "b"
        assert table.cursor_row == 2
        table.set_rows(rows("c", "a"))
        assert table.cursor_key == "a"
        table.set_rows([])
        assert table.cursor_key is None
        await settle(pilot)


async def test_a_changed_row_alone_is_drawn_again() -> None:
    table = LineTable([Column("name", "name", 10, right=False, grow=True)])
    made: list[str] = []

    def lazy(name: str, token: object) -> tuple[str, LazyRow]:
        return name, LazyRow(token, lambda: made.append(name) or {"name": (name, "")})  # type: ignore[func-returns-value]

    tokens = {name: object() for name in "abc"}
    async with Bare(table).run_test(size=(30, 8)) as pilot:
        table.set_rows([lazy(n, t) for n, t in tokens.items()])
        await settle(pilot)
        assert sorted(made) == ["a", "b", "c"]
        made.clear()
        tokens["b"] = object()
        table.set_rows([lazy(n, t) for n, t in tokens.items()])
        await settle(pilot)
        assert made == ["b"]


async def test_a_low_table_shows_rows_rather_than_their_heading() -> None:
    table = LineTable([Column("name", "heading", 10, right=False, grow=True)])
    async with Bare(table).run_test(size=(30, 3)) as pilot:
        table.set_rows(rows("a", "b", "c"))
        await settle(pilot)
        assert [line.strip("▸ ") for line in lines(pilot.app)] == ["a", "b", "c"]  # type: ignore[arg-type]


async def test_a_click_selects_and_a_second_one_opens() -> None:
    opened: list[str | None] = []

    class Listening(Bare):
        def on_line_table_opened(self, event: LineTable.Opened) -> None:
            opened.append(event.key)

    table = LineTable([Column("name", "name", 10, right=False, grow=True)])
    async with Listening(table).run_test(size=(30, 8)) as pilot:
        table.set_rows(rows("a", "b", "c"))
        await pilot.click(table, offset=(3, 2))
        assert table.cursor_key == "b"
        await pilot.click(table, offset=(3, 2), times=2)
        assert opened == ["b"]


def test_every_pane_gets_a_letter_of_its_own() -> None:
    names = ["features", "alerts", "archived", "a", "g", "ggg"]
    found = letters(names)
    assert sorted(found.values()) == sorted(names)
    assert "g" not in found
