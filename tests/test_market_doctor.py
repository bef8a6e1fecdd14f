"""The data doctor: each spoilt thing named, once, with its place and count; sound data passes without a word."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from helpers_market import NOW, START, bars, codes, epochs, funding, the, write
from midas_engine.errors import DataDefectError, DataFormatError
from midas_engine.market import inspect, read_any
from midas_engine.market.doctor.report import RULES, defect, worst_first

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.market import DoctorReport

Spoil = Callable[[pd.DataFrame], pd.DataFrame]
HOURS = pd.Timedelta("1h")


def put(frame: pd.DataFrame, rows: Any, column: str, value: Any) -> pd.DataFrame:
    """A copy with other values in some rows."""
    frame = frame.copy()
    if isinstance(value, str):
        frame[column] = frame[column].astype(object)
    frame.loc[rows, column] = value
    return frame


def stretched(frame: pd.DataFrame) -> pd.DataFrame:
    """Hourly bars, then two-hourly ones."""
    return pd.concat([frame.iloc[:30], frame.iloc[30:].iloc[::2]])


def frozen(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.copy()
    frame.loc[20:50, ["open", "high", "low", "close"]] = frame.loc[20, "close"]
    return frame.drop(columns="quote_volume")


def local(frame: pd.DataFrame) -> pd.DataFrame:
    """The wall clock of Berlin over two springs, one row an hour, written without its zone."""
    berlin = frame["timestamp"].dt.tz_convert("Europe/Berlin").dt.tz_localize(None)
    return frame.assign(timestamp=berlin).drop_duplicates("timestamp")


def yearless(frame: pd.DataFrame) -> pd.DataFrame:
    return put(frame.assign(timestamp=frame["timestamp"].astype(str)), [3, 4], "timestamp", "13:00")


def two_units(frame: pd.DataFrame) -> pd.DataFrame:
    """Two dumps of different years in one file."""
    times = frame["timestamp"]
    return frame.assign(timestamp=np.where(frame.index < 20, epochs(times, "us"), epochs(times, "ms")))


def percent(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(funding_rate=frame["funding_rate"] * 100)


# name of the defect -> sound frame, what spoils it, count, column, first place (row of the sound frame) or None
BARS: dict[str, tuple[Spoil, int, str, int | None]] = {
    "unreadable-time": (yearless, 2, "timestamp", None),
    "close-time": (lambda f: f.assign(timestamp=f["timestamp"] + HOURS - pd.Timedelta("1ms")), 60, "", None),
    "mixed-bars": (stretched, 14, "", 30),
    "off-grid": (lambda f: put(f, 7, "timestamp", f["timestamp"][7] + pd.Timedelta("90s")), 1, "", None),
    "shifted-hours": (lambda f: f.assign(timestamp=f["timestamp"] - pd.Timedelta("30min")), 60, "", None),
    "disorder": (lambda f: f.iloc[[*range(10), 11, 10, *range(12, 60)]], 1, "", 10),
    "duplicates": (lambda f: pd.concat([f, f.iloc[[5, 6]]]), 2, "", 5),
    "conflict": (lambda f: pd.concat([f, f.iloc[[5]].assign(close=lambda g: g["close"] * 1.0001)]), 1, "", 5),
    "gaps": (lambda f: f.drop(index=[10, 11, 30]), 3, "", 10),
    "no-zone": (lambda f: f.assign(timestamp=f["timestamp"].dt.tz_localize(None)), 60, "timestamp", None),
    "foreign-zone": (lambda f: f.assign(timestamp=f["timestamp"].dt.tz_convert("Asia/Tokyo")), 60, "", None),
    "mixed-units": (two_units, 20, "timestamp", None),
    "missing-column": (lambda f: f.drop(columns=["volume", "taker_buy_volume", "quote_volume"]), 60, "volume", None),
    "no-symbol": (lambda f: put(f, [1, 2], "symbol", None), 2, "", None),
    "guessed-symbol": (lambda f: f.drop(columns="symbol"), 60, "", None),
    "one-bar": (lambda f: f.iloc[:1], 1, "", None),
    "not-a-number": (lambda f: put(f, [8, 9], "close", "n/a?"), 2, "close", 8),
    "infinite": (lambda f: put(f, 12, "high", np.inf), 1, "high", 12),
    "no-price": (lambda f: put(f, [30, 31], "low", -1.0), 2, "low", 30),
    "high-below-low": (lambda f: put(f, 17, "high", 1.0), 1, "high", 17),
    "outside-range": (lambda f: put(f, 17, "high", f["low"][17] * 1.00001), 1, "", 17),
    "price-spike": (lambda f: put(f, 25, "close", f["close"][25] * 1000), 1, "close", 25),
    "price-jump": (lambda f: put(f, range(30, 60), "close", f["close"][30:] * 1000), 1, "close", 30),
    "wick": (lambda f: put(f, 40, "low", f["low"][40] / 6), 1, "", 40),
    "frozen": (frozen, 31, "close", 20),
    "nan-run": (lambda f: put(f, range(20, 25), "close", np.nan), 5, "close", 20),
    "zero-volume": (lambda f: put(f, [3, 9], "volume", 0.0), 2, "volume", 3),
    "negative-volume": (lambda f: put(f, 3, "quote_volume", -5.0), 1, "quote_volume", 3),
    "taker-above-volume": (lambda f: put(f, 6, "taker_buy_volume", f["volume"][6] * 1.5), 1, "taker_buy_volume", 6),
    "volume-unit": (lambda f: f.assign(quote_volume=f["volume"]), 60, "quote_volume", 0),
    "wrong-unit": (lambda f: f.assign(timestamp=pd.to_datetime(epochs(f["timestamp"]))), 60, "timestamp", None),
    "future-time": (lambda f: f.assign(timestamp=f["timestamp"] + pd.Timedelta("90D")), 60, "", None),
}  # fmt: skip
# Those with tests of their own below.
OTHERS = {"local-time", "no-close", "unfinished", "twin-symbols"}
OTHERS |= {"funding-percent", "funding-extreme", "funding-gap", "funding-unmatched"}
# Those of whole files are in test_market_field.py.
OTHERS |= {"rounded-times", "monthly-bars", "close-stamps", "two-clocks", "partial-bar", "settlement-hours"}
OTHERS |= {"unknown-symbol", "shared-name", "column-order", "set-aside", "contracts", "mended-volume"}
OTHERS |= {"delisted", "funding-carried", "funding-running", "current-rate", "rate-candles", "funding-missing"}
OTHERS |= {"zero-figure", "knows-future", "several-markets"}
# Those of text files are in test_market_strange_files.py.
OTHERS |= {"cut-short", "number-style"}
# What a spoilt thing brings along: a price that leaves its bar leaves the range, too.
ALONG = {
    "price-spike": {"outside-range"},
    "price-jump": {"outside-range"},
    "no-price": {"volume-unit"},
    "frozen": set(),
    "high-below-low": {"volume-unit"},
    "outside-range": {"volume-unit"},
    "infinite": {"wick"},
    "not-a-number": {"nan-run"},
    "conflict": {"disorder"},
    "duplicates": {"disorder"},
    "unreadable-time": {"gaps"},
    "no-symbol": {"gaps"},
    "negative-volume": {"volume-unit"},
    "volume-unit": {"contracts"},
    "wrong-unit": set(),
    "off-grid": {"gaps"},
    "zero-volume": {"taker-above-volume"},
    "taker-above-volume": set(),
    "mixed-bars": {"gaps"},
}


def examined(frame: pd.DataFrame, folder: Path, name: str = "my_BTCUSDT.parquet") -> DoctorReport:
    return inspect(write(frame, folder / name), now=NOW)


@pytest.mark.parametrize("name", sorted(BARS))
def test_a_spoilt_thing_is_named_with_place_and_count(name: str, tmp_path: Path) -> None:
    spoil, count, column, row = BARS[name]
    sound = bars()
    # Parquet keeps types; a column with a word in it exists in text files only.
    file = {"guessed-symbol": "prices.parquet", "not-a-number": "my_BTCUSDT.csv"}.get(name, "my_BTCUSDT.parquet")
    report = examined(spoil(sound).reset_index(drop=True), tmp_path, file)
    found = the(report, name)
    assert (found.count, found.column, found.severity) == (count, column, RULES[name].severity)
    if row is not None:
        assert found.symbol == "BTCUSDT"
        assert found.first_at == sound["timestamp"][row].to_pydatetime()
    assert codes(report) <= {name} | ALONG.get(name, set())
    assert report.ok == (not any(d.severity == "error" for d in report.defects))
    assert found.detail
    assert found.fix


def test_every_defect_there_is_has_a_case() -> None:
    assert set(RULES) == set(BARS) | OTHERS


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_sound_data_has_no_defects(unit: str, suffix: str, tmp_path: Path) -> None:
    frame = bars(60, ("BTCUSDT", "ETHUSDT"))
    report = examined(frame.assign(timestamp=epochs(frame["timestamp"], unit)), tmp_path, f"x.{suffix}")
    assert report.defects == ()
    assert report.ok
    assert (report.rows, report.symbols) == (120, ("BTCUSDT", "ETHUSDT"))
    assert report.first_at == START.to_pydatetime()
    assert report.last_at == START.to_pydatetime() + pd.Timedelta("59h")


def test_ragged_listings_and_newest_first_are_no_faults(tmp_path: Path) -> None:
    frame = bars(60, ("BTCUSDT", "ETHUSDT"))
    late = frame[~((frame["symbol"] == "ETHUSDT") & (frame.groupby("symbol").cumcount() < 30))]
    assert examined(late, tmp_path).defects == ()


def test_the_place_of_a_fault_is_a_line_of_its_file(tmp_path: Path) -> None:
    frame = put(bars().astype({"close": object}), 8, "close", "oops")
    found = the(examined(frame, tmp_path, "x.csv"), "not-a-number")
    assert found.place == "x.csv row 9"
    assert "'oops'" in found.detail
    twice = the(examined(pd.concat([bars(), bars().iloc[[5]]]), tmp_path, "y.csv"), "duplicates")
    assert twice.place == "y.csv row 61"


def test_each_symbol_has_its_own_line(tmp_path: Path) -> None:
    frame = bars(60, ("BTCUSDT", "ETHUSDT", "XRPUSDT")).drop(index=[5, 65, 66])
    gaps = [(d.symbol, d.count) for d in examined(frame, tmp_path).defects if d.code == "gaps"]
    assert gaps == [("BTCUSDT", 1), ("ETHUSDT", 2)]


# -- time ----------------------------------------------------------------------------------------------


def test_local_clocks_are_recognised_by_their_springs(tmp_path: Path) -> None:
    frame = local(bars(24 * 460, start=pd.Timestamp("2024-01-01", tz="UTC")))
    found = the(examined(frame, tmp_path), "local-time")
    assert found.count == 2
    assert found.first_at.isoformat() == "2024-03-31T01:00:00+00:00"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Europe/London"])
def test_local_clocks_are_recognised_by_their_autumns(zone: str, tmp_path: Path) -> None:
    frame = bars(24 * 14, start=pd.Timestamp("2025-10-24", tz="UTC"))
    berlin = frame["timestamp"].dt.tz_convert(zone).dt.tz_localize(None)
    report = examined(frame.assign(timestamp=berlin), tmp_path)
    assert {"local-time", "conflict"} <= codes(report)
    assert not report.ok


def test_a_repeated_hour_at_another_time_is_no_local_clock(tmp_path: Path) -> None:
    frame = bars(24 * 14, start=pd.Timestamp("2025-10-24", tz="UTC"))
    report = examined(pd.concat([frame, frame.iloc[[100]]]), tmp_path)
    assert codes(report) == {"duplicates", "disorder"}
    assert report.ok


def test_a_bar_that_was_not_over_when_it_was_saved_is_left_out(tmp_path: Path) -> None:
    path = write(bars(60), tmp_path / "BTCUSDT.csv")
    saved = START + pd.Timedelta("59h 20min")
    os.utime(path, (saved.timestamp(), saved.timestamp()))
    found = the(inspect(path, now=NOW), "unfinished")
    assert (found.count, found.place) == (1, "BTCUSDT.csv row 60")
    assert read_any([path], now=NOW).T == 59
    over = START + pd.Timedelta("60h")
    os.utime(path, (over.timestamp(), over.timestamp()))
    assert inspect(path, now=NOW).defects == ()


def test_the_bar_of_this_very_hour_is_left_out(tmp_path: Path) -> None:
    path = write(bars(60), tmp_path / "BTCUSDT.csv")
    report = inspect(path, now=(START + pd.Timedelta("59h 59min")).to_pydatetime())
    assert codes(report) == {"unfinished"}
    assert inspect(path, now=(START + pd.Timedelta("60h")).to_pydatetime()).defects == ()


def test_an_unfinished_bar_does_not_contradict_the_finished_one(tmp_path: Path) -> None:
    early = bars(61).iloc[:60].copy()
    early.loc[59, ["high", "close", "volume"]] *= 0.9999
    first = write(early, tmp_path / "a_BTCUSDT.csv")
    saved = START + pd.Timedelta("59h 20min")
    os.utime(first, (saved.timestamp(), saved.timestamp()))
    second = write(bars(61), tmp_path / "b_BTCUSDT.csv")
    report = inspect([first, second], now=NOW)
    assert report.ok
    assert codes(report) == {"unfinished", "duplicates"}
    assert read_any([first, second], now=NOW)["close"][59, 0] == pytest.approx(bars(61)["close"][59])


# -- columns and names ---------------------------------------------------------------------------------


def test_bars_without_a_close_are_no_bars(tmp_path: Path) -> None:
    assert codes(examined(bars().assign(close=np.nan), tmp_path)) == {"no-close"}
    with pytest.raises(DataFormatError, match="no price, funding or open interest"):
        examined(bars()[["timestamp", "symbol", "open", "volume"]], tmp_path)


def test_one_symbol_written_in_two_ways_is_seen(tmp_path: Path) -> None:
    frame = pd.concat([bars(), bars(symbols=("btcusdt",))])
    found = the(examined(frame, tmp_path), "twin-symbols")
    assert found.detail == "one symbol, written BTCUSDT, btcusdt"


# -- funding -------------------------------------------------------------------------------------------


def test_funding_in_percent_is_refused(tmp_path: Path) -> None:
    report = examined(percent(funding(40)), tmp_path)
    found = the(report, "funding-percent")
    assert not report.ok
    assert "fraction" in found.detail
    assert examined(funding(40), tmp_path, "sound.csv").defects == ()


def test_funding_of_stress_is_no_percent(tmp_path: Path) -> None:
    wild = funding(40)
    wild["funding_rate"] = np.where(np.arange(40) % 3 == 0, -0.02, 0.0004)
    assert examined(wild, tmp_path).defects == ()


def test_a_rate_past_every_cap_is_seen(tmp_path: Path) -> None:
    found = the(examined(put(funding(40), 11, "funding_rate", 0.3), tmp_path), "funding-extreme")
    assert (found.count, found.first_at) == (1, (START + pd.Timedelta("88h")).to_pydatetime())


def test_holes_and_shifts_of_settlements_are_seen(tmp_path: Path) -> None:
    hole = examined(funding(60).drop(index=range(20, 30)), tmp_path)
    assert the(hole, "funding-gap").first_at == (START + pd.Timedelta("152h")).to_pydatetime()
    shifted = examined(funding(60, start=START + pd.Timedelta("1h")), tmp_path, "b.csv")
    assert "1 h after 00:00 UTC" in the(shifted, "shifted-hours").detail


def test_funding_without_bars_is_told_when_there_are_bars(tmp_path: Path) -> None:
    paths = [write(bars(), tmp_path / "k.csv"), write(funding(symbol="XRPUSDT"), tmp_path / "f.csv")]
    assert "XRPUSDT" in the(inspect(paths, now=NOW), "funding-unmatched").detail


# -- what follows --------------------------------------------------------------------------------------


def test_unusable_data_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    path = write(put(bars(), 25, "low", -1.0), tmp_path / "BTCUSDT.csv")
    with pytest.raises(
        DataDefectError, match=r"no-price x 1 in BTCUSDT low at 2026-01-06 01:00 UTC: lowest -1"
    ) as caught:
        read_any([path], now=NOW)
    assert "midas data check" in caught.value.hint


def test_the_worst_comes_first() -> None:
    found = [
        defect("no-zone", "x"),
        defect("gaps", "x", symbol="B"),
        defect("no-price", "x"),
        defect("gaps", "x", symbol="A"),
    ]
    assert [(d.code, d.symbol) for d in worst_first(found)] == [
        ("no-price", ""),
        ("gaps", "A"),
        ("gaps", "B"),
        ("no-zone", ""),
    ]
