"""Money by month, week and day: sums that add up, an error of the days' own spread, costs apart, the deepest falls."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas_engine.book.build import book_of
from midas_engine.book.figures import BookFigures, Path
from midas_engine.book.periods import (
    KINDS,
    Day,
    by_period,
    cost_words,
    days_between,
    days_of,
    fall_cells,
    falls,
    period_cells,
    whole,
)
from midas_engine.book.tearsheet import markdown
from midas_engine.market import load_panel
from midas_engine.runtime.timeline import path_timeline
from midas_engine.settings import load_settings
from tests.helpers_tui import write_market
from tests.test_book_section import TEXTS, base_with

if TYPE_CHECKING:
    from pathlib import Path as FilePath

FIRST = date(2025, 1, 29)
EARNED = st.lists(st.floats(-50.0, 50.0).map(lambda x: round(x, 2)), min_size=1, max_size=90)


def days(earned: list[float]) -> list[Day]:
    return [Day(FIRST + timedelta(days=i), net) for i, net in enumerate(earned)]


@given(EARNED)
def test_periods_add_up_to_the_whole(earned: list[float]) -> None:
    for kind in KINDS:
        found = by_period(days(earned), kind)
        assert math.isclose(math.fsum(p.net for p in found), math.fsum(earned), abs_tol=1e-9)
        assert sum(p.days for p in found) == len(earned)
        assert len({p.name for p in found}) == len(found)


@given(EARNED)
def test_the_deepest_fall_is_the_largest_of_every_pair_of_days(earned: list[float]) -> None:
    level = np.concatenate([[0.0], np.cumsum(earned)])
    deepest = min(level[j] - level[i] for i in range(len(level)) for j in range(i, len(level)))
    found = falls(days(earned), most=99)
    assert math.isclose(found[0].depth if found else 0.0, deepest, abs_tol=1e-9)
    assert all(f.depth < 0.0 and f.first <= f.lowest and (f.back is None or f.back > f.lowest) for f in found)
    assert sum(f.back is None for f in found) <= 1, "only the last one can still run"


def test_the_error_is_that_of_the_days_and_none_is_made_of_a_few() -> None:
    earned = [4.0, -1.0, 2.5, 0.0, 3.0, 7.0]
    assert math.isclose(whole(days(earned)).se, float(np.std(earned, ddof=1)) * math.sqrt(6))
    assert math.isnan(whole(days(earned[:4])).se)
    assert "±" not in period_cells(whole(days(earned[:4])))[0]
    week = by_period(days(earned), "week")
    assert [p.name for p in week] == ["week of 02-03", "week of 01-27"], "weeks begin on Monday"


def test_a_fall_says_when_it_was_made_up_for_or_that_it_was_not() -> None:
    found = falls(days([10.0, -4.0, -2.0, 7.0, -1.0]))
    assert [f.depth for f in found] == [-6.0, -1.0]
    assert fall_cells(found[0], FIRST) == ("-6.0", "2025-01-29", "2025-01-31", "back 2025-02-01, 1 day later")
    assert fall_cells(found[1], date(2025, 2, 2))[-1] == "not back by 2025-02-02"


def test_a_level_by_the_bar_becomes_days_and_what_is_unknown_is_left_out() -> None:
    at = [datetime(2025, 3, 1, 22, tzinfo=UTC) + timedelta(hours=i) for i in range(5)]
    assert [(d.on.day, d.net) for d in days_between(at, [math.nan, 1.0, 3.0, 2.0, 6.0])] == [(1, 1.0), (2, 5.0)]
    assert days_between(at, [math.nan] * 5) == []


def test_costs_are_told_apart_and_unknown_funding_is_not_zero() -> None:
    path = Path(("2025-03-01T23:00", "2025-03-02T23:00"), (8.0, 20.0), (14.0, 30.0), (4.0, 8.0))
    book = BookFigures(path=path, cost_bps={"fees": 4.0, "spread": 1.0, "slippage": 1.0}, funding_known=True)
    assert cost_words(book) == "gross +30.0 bps, fees -5.3, spread -1.3, slippage -1.3, funding -2.0"
    unknown = dataclasses.replace(book, funding_known=False)
    assert cost_words(unknown).endswith("funding unknown")
    assert period_cells(whole(days_of(unknown)))[3] == "--"
    assert cost_words(BookFigures()) == "unknown"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> BookFigures:
    folder: FilePath = tmp_path_factory.mktemp("book")
    market = write_market(folder, days=90)
    settings = load_settings(environ={}, flags={"data": str(market)})
    return book_of(base_with(folder, tuple(TEXTS)), load_panel(market), settings)


def test_the_path_of_a_book_has_one_point_a_day_and_its_sums_are_the_whole(measured: BookFigures) -> None:
    found = days_of(measured)
    assert len({d.on for d in found}) == len(found)
    assert found[-1].on == datetime.fromisoformat(measured.last).date() - timedelta(days=1), "of the last whole day"
    total = whole(found)
    assert math.isclose(total.net, measured.path.net_bps[-1], abs_tol=1e-6)
    assert math.isclose(total.gross - total.trading - total.funding, total.net, abs_tol=1e-6)
    assert total.trading > 0.0
    years = measured.bars / (365.0 * 24.0)
    assert math.isclose(total.net / years, measured.net.value, rel_tol=0.02), "the figure above and the sum agree"


def test_the_tear_sheet_and_the_axis_tell_the_same_path(measured: BookFigures) -> None:
    text = markdown(measured)
    assert "Deepest falls, by daily sums" in text
    months = by_period(days_of(measured), "month")
    assert all(f"| {p.name} | {period_cells(p)[0]} |" in text for p in months)
    axis = path_timeline(measured.path, ())
    assert axis.net_bps == measured.path.net_bps
    assert len(axis.at) == len(axis.drawdown_bps) == len(axis.regimes)
    assert min(axis.drawdown_bps) == pytest.approx(falls(days_of(measured))[0].depth, abs=0.01)
