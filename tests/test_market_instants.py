"""Times in every unit and spelling: found out, or refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas_engine.market.instants import UNITS, read_instants, wrong_unit

MOMENT = np.datetime64("2026-01-05T07:00:00", "ns")
FIRST, LAST = (int(np.datetime64(f"{y}-01-01", "ns").astype(np.int64)) for y in (2009, 2100))


@given(nanoseconds=st.integers(FIRST, LAST - 1), unit=st.sampled_from(sorted(UNITS)))
def test_a_number_tells_its_unit_by_itself(nanoseconds: int, unit: str) -> None:
    number = nanoseconds // UNITS[unit]
    if number * UNITS[unit] < FIRST:
        return
    for column in (pd.Series([number]), pd.Series([str(number)])):
        read = read_instants(column)
        assert int(read.utc[0].astype(np.int64)) == number * UNITS[unit]
        assert dict(read.units) == {unit: 1}


@pytest.mark.parametrize(
    ("text", "naive", "zoned"),
    [
        ("2026-01-05T07:00:00Z", 0, 0),
        ("2026-01-05 07:00:00+00:00", 0, 0),
        ("2026-01-05T09:00:00+02:00", 0, 1),
        ("2026-01-05 02:00-0500", 0, 1),
        ("2026-01-05 07:00:00", 1, 0),
        ("  2026-01-05T07:00:00.000Z ", 0, 0),
    ],
)
def test_texts_are_iso_8601_in_any_zone(text: str, naive: int, zoned: int) -> None:
    read = read_instants(pd.Series([text]))
    assert read.utc[0] == MOMENT
    assert (read.naive, read.zoned) == (naive, zoned)


def test_a_day_alone_is_its_midnight_and_has_no_zone() -> None:
    read = read_instants(pd.Series(["2026-01-05"]))
    assert str(read.utc[0])[:16] == "2026-01-05T00:00"
    assert read.naive == 1


@pytest.mark.parametrize(
    "value", ["13:00", "01/02/2026", "5/1/2026", "yesterday", "", None, 0, 1, -5, 1e30, "NaN", 12345678]
)
def test_what_is_no_instant_of_our_time_is_unreadable(value: object) -> None:
    assert read_instants(pd.Series([value], dtype=object)).unreadable.all()


def test_dates_with_a_zone_are_converted_and_dates_without_are_utc() -> None:
    naive = pd.Series(pd.DatetimeIndex(["2026-01-05 07:00"]))
    berlin = pd.Series(pd.DatetimeIndex(["2026-01-05 08:00"]).tz_localize("Europe/Berlin"))
    assert read_instants(naive).utc[0] == MOMENT == read_instants(berlin).utc[0]
    assert (read_instants(naive).naive, read_instants(berlin).zoned) == (1, 1)
    assert read_instants(berlin.dt.tz_convert("UTC")).zoned == 0


def test_units_may_change_within_a_column() -> None:
    read = read_instants(pd.Series([1735689600000, 1735693200000000, 1735696800]))
    assert [str(t)[11:13] for t in read.utc] == ["00", "01", "02"]
    assert dict(read.units) == {"s": 1, "ms": 1, "us": 1}


def test_floats_keep_their_fraction() -> None:
    read = read_instants(pd.Series([1767596400.5, np.nan]))
    assert str(read.utc[0]) == "2026-01-05T07:00:00.500000000"
    assert read.unreadable.tolist() == [False, True]


@pytest.mark.parametrize(("unit", "read_as"), [("ms", "ns"), ("us", "ns"), ("s", "ns"), ("us", "ms"), ("ns", "us")])
def test_a_column_read_in_the_wrong_unit_is_recognised(unit: str, read_as: str) -> None:
    number = 1767596400 * UNITS["s"] // UNITS[unit]
    column = pd.Series(np.array([number]).astype(f"datetime64[{read_as}]"))
    assert read_instants(column).unreadable.all()
    told = wrong_unit(column)
    raw, assumed = told.split(" read as ")
    # Pairs of one ratio cannot be told apart; the ratio is what mends the file.
    assert UNITS[assumed] * UNITS[unit] == UNITS[raw] * UNITS[read_as]


def test_a_sound_column_has_no_wrong_unit() -> None:
    assert wrong_unit(pd.Series(pd.DatetimeIndex(["2026-01-05"]))) == ""
    assert wrong_unit(pd.Series([1])) == ""
    assert wrong_unit(pd.Series(pd.DatetimeIndex([pd.NaT]))) == ""
