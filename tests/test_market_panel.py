"""`Panel`: frames in any order, ragged listings, round trips, and files that survive what happens to them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_market import bars, epochs
from midas_engine.errors import DataDefectError, DataFormatError, MidasError, UnknownNameError
from midas_engine.market import Panel, load_panel

if TYPE_CHECKING:
    from pathlib import Path

T0 = np.datetime64("2026-01-01", "ns")


def grid(count: int, seconds: int = 3600) -> Any:
    return T0 + np.arange(count) * np.timedelta64(seconds, "s")


@st.composite
def ragged(draw: st.DrawFn) -> Panel:
    """Panels with late listings, early delistings and holes, on several grids."""
    count, symbols = draw(st.integers(2, 12)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    close = rng.uniform(1, 2, (count, symbols))
    for s in range(symbols):
        close[: draw(st.integers(0, count - 1)), s] = np.nan
        close[count - draw(st.integers(0, count - 1)) :, s] = np.nan
    close[rng.random(close.shape) < draw(st.sampled_from([0.0, 0.2]))] = np.nan
    volume = np.where(np.isnan(close), np.nan, rng.uniform(0, 5, close.shape))
    names = [f"S{i},{i}USDT" for i in range(symbols)]
    seconds = draw(st.sampled_from([60, 3600, 14_400]))
    return Panel(grid(count, seconds), names, {"close": close, "volume": volume}, seconds)


def same(one: Panel, other: Panel) -> None:
    assert one.snapshot_id == other.snapshot_id
    assert (one.symbols, one.bar_seconds, one.shape) == (other.symbols, other.bar_seconds, other.shape)
    np.testing.assert_array_equal(one.timestamps, other.timestamps)
    assert list(one.fields) == list(other.fields)
    for name, values in one.fields.items():
        np.testing.assert_array_equal(values, other.fields[name])


# -- frames ------------------------------------------------------------------------------------------


@given(panel=ragged(), order=st.randoms(use_true_random=False))
def test_rows_in_any_order_make_the_same_panel(panel: Panel, order: Any) -> None:
    frame = panel.to_frame()
    if frame.empty:
        return
    shuffled = frame.sample(frac=1.0, random_state=order.randrange(2**32))
    # Rows that are not there say nothing of bars and symbols that have none; the rest is the same.
    back = Panel.from_frame(shuffled, panel.bar_seconds)
    kept = panel.select([s for s in panel.symbols if s in back.symbols], back.timestamps[0], back.closes[-1])
    same(back.select(kept.symbols), kept)


@given(panel=ragged(), data=st.data())
def test_a_row_that_comes_twice_is_refused_by_name(panel: Panel, data: st.DataObject) -> None:
    frame = panel.to_frame()
    if frame.empty:
        return
    row = data.draw(st.integers(0, len(frame) - 1))
    twice = pd.concat([frame, frame.iloc[[row]]], ignore_index=True)
    with pytest.raises(DataDefectError, match=f"two rows for one bar and symbol, first at row {len(frame)}"):
        Panel.from_frame(twice, panel.bar_seconds)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_epoch_numbers_of_every_unit_are_the_same_times(unit: str) -> None:
    frame = bars(10)
    same(Panel.from_frame(frame.assign(timestamp=epochs(frame["timestamp"], unit))), Panel.from_frame(frame))


def test_texts_and_other_zones_are_the_same_times() -> None:
    frame = bars(10)
    texts = frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    tokyo = frame["timestamp"].dt.tz_convert("Asia/Tokyo")
    for column in (texts, tokyo, frame["timestamp"].dt.tz_localize(None)):
        same(Panel.from_frame(frame.assign(timestamp=column)), Panel.from_frame(frame))


def test_missing_bars_are_rows_of_nan() -> None:
    frame = bars(10).drop(index=[3, 4])
    panel = Panel.from_frame(frame)
    assert panel.T == 10
    assert np.flatnonzero(np.isnan(panel["close"][:, 0])).tolist() == [3, 4]
    assert np.isnan(panel["returns"][5, 0])


def test_infinite_values_and_words_are_no_figures() -> None:
    frame = bars(4).assign(close=[1.0, np.inf, -np.inf, 2.0], note="x", when=pd.Timestamp("2026-01-01"), flag=True)
    panel = Panel.from_frame(frame)
    assert np.isnan(panel["close"][:, 0]).tolist() == [False, True, True, False]
    assert "note" not in panel.columns
    assert "when" not in panel.columns
    assert panel["flag"][0, 0] == 1.0


def test_a_frame_without_symbols_is_one_asset() -> None:
    assert Panel.from_frame(bars(5).drop(columns="symbol")).symbols == ("ASSET",)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda f: f.drop(columns="timestamp"), DataFormatError, "no `timestamp` column"),
        (lambda f: f.iloc[:0], DataFormatError, "no rows"),
        (lambda f: f.iloc[:1], DataFormatError, "one bar does not tell its length"),
        (lambda f: f[["timestamp", "symbol"]], DataFormatError, "no numeric column"),
        (lambda f: f.assign(symbol=[None] * 10), DataDefectError, "has no symbol"),
        (lambda f: f.assign(timestamp=["soon"] * 10), DataDefectError, "'soon' is no time"),
        (lambda f: f.assign(timestamp=range(10)), DataDefectError, "is no time from 2009 on"),
        (
            lambda f: f.assign(timestamp=pd.to_datetime(epochs(f["timestamp"], "ms"))),
            DataDefectError,
            r"is no time from 2009 on \(ms read as ns\)",
        ),
        (
            lambda f: f.assign(timestamp=f["timestamp"].where(f.index != 5, f["timestamp"] + pd.Timedelta("7min"))),
            DataDefectError,
            "1 timestamps are off the 3600 s grid, first 2026-01-05T05:07",
        ),
        (
            lambda f: f.assign(
                timestamp=f["timestamp"].dt.as_unit("ns").where(f.index != 0, pd.Timestamp("2009-02-01", tz="UTC"))
            ),
            DataDefectError,
            "there would be 148,3.. bars of 3600 s, and only 10 are there",
        ),
    ],
)
def test_frames_that_are_no_panel_are_refused_by_name(change: Any, error: type[MidasError], words: str) -> None:
    with pytest.raises(error, match=words):
        Panel.from_frame(change(bars(10)))


@pytest.mark.parametrize("bar", ["an hour", "", "0s", 0, -60])
def test_a_bar_length_that_is_none_is_refused(bar: Any) -> None:
    with pytest.raises((DataFormatError, DataDefectError)):
        Panel.from_frame(bars(10), bar)


def test_the_caller_names_the_bar_when_holes_hide_it() -> None:
    frame = bars(12).iloc[::3]
    assert Panel.from_frame(frame).bar_seconds == 3 * 3600
    assert Panel.from_frame(frame, "1h").T == 10
    with pytest.raises(DataDefectError, match="off the 7200 s grid"):
        Panel.from_frame(frame, 7200)


# -- the object ----------------------------------------------------------------------------------------


def test_a_panel_cannot_be_changed_from_outside() -> None:
    values = np.ones((3, 1))
    panel = Panel(grid(3), ("A",), {"close": values}, 3600)
    values[0] = 7
    assert panel["close"][0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        panel["close"][0, 0] = 7
    with pytest.raises(ValueError, match="read-only"):
        panel["returns"][0, 0] = 7
    with pytest.raises(ValueError, match="read-only"):
        panel.timestamps[0] = T0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((grid(3), ("A", "A"), {}, 3600), "twice"),
        ((grid(3), ("A",), {"close": np.ones((2, 1))}, 3600), "has shape"),
        ((grid(3)[::-1], ("A",), {}, 3600), "regular grid"),
        ((grid(3), ("A",), {}, 60), "regular grid"),
        ((grid(3), ("A",), {}, 0), "must be positive"),
    ],
)
def test_parts_that_do_not_fit_are_refused(arguments: Any, words: str) -> None:
    with pytest.raises(DataDefectError, match=words):
        Panel(*arguments)


def test_derived_columns_come_from_their_inputs() -> None:
    panel = Panel(
        grid(3),
        ("A",),
        {
            "close": np.array([[1.0], [2.0], [0.0]]),
            "quote_volume": np.array([[10.0], [0.0], [6.0]]),
            "volume": np.array([[4.0], [0.0], [3.0]]),
        },
        3600,
    )
    np.testing.assert_array_equal(panel["vwap"][:, 0], [2.5, np.nan, 2.0])
    np.testing.assert_array_equal(panel["returns"][:, 0], [np.nan, 1.0, -1.0])
    assert panel.columns == ("close", "quote_volume", "volume", "vwap", "returns")
    with pytest.raises(UnknownNameError, match="there are: close, quote_volume, volume, vwap, returns"):
        panel["open_interest"]


def test_parts_of_a_panel() -> None:
    panel = Panel.from_frame(bars(48, ("BTCUSDT", "ETHUSDT")))
    day = panel.select(["ETHUSDT"], start="2026-01-06", end="2026-01-06T12:00Z", fields=["close"])
    assert (day.shape, day.symbols, list(day.fields)) == ((12, 1), ("ETHUSDT",), ["close"])
    np.testing.assert_array_equal(day["close"][:, 0], panel["close"][24:36, 1])
    assert panel.slice(-5, None).T == 5
    for wrong in ({"symbols": ["XRPUSDT"]}, {"fields": ["oi"]}):
        with pytest.raises(UnknownNameError, match="there are:"):
            panel.select(**wrong)


def test_the_snapshot_depends_on_everything_and_on_nothing_else() -> None:
    panel = Panel.from_frame(bars(5, ("BTCUSDT", "ETHUSDT")))
    parts = (panel.timestamps, panel.symbols, dict(panel.fields), panel.bar_seconds)
    assert Panel(*parts).snapshot_id == panel.snapshot_id
    moved = panel["close"].copy()
    moved[2, 1] = np.nextafter(moved[2, 1], 9e9)
    others = [
        Panel(parts[0] + np.timedelta64(1, "h"), *parts[1:]),
        Panel(parts[0], ("BTCUSDT", "XRPUSDT"), *parts[2:]),
        Panel(*parts[:2], {**parts[2], "close": moved}, parts[3]),
        Panel(*parts[:2], {**parts[2], "close2": moved}, parts[3]),
    ]
    assert len({p.snapshot_id for p in (panel, *others)}) == 5


# -- disk ----------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(panel=ragged())
def test_what_is_saved_comes_back_to_the_bit(panel: Panel, tmp_path_factory: pytest.TempPathFactory) -> None:
    if not len(panel.to_frame()):
        return
    path = tmp_path_factory.mktemp("panel") / "panel.parquet"
    panel.save(path)
    same(Panel.load(path), panel)


def test_a_folder_of_an_import_is_loaded_by_its_name(tmp_path: Path) -> None:
    panel = Panel.from_frame(bars(5))
    panel.save(tmp_path / "market" / "panel.parquet")
    same(load_panel(tmp_path / "market"), panel)
    same(load_panel(tmp_path / "market" / "panel.parquet"), panel)


@pytest.mark.parametrize("damage", ["empty", "rubbish", "cut", "missing", "folder"])
def test_a_file_that_is_no_panel_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    path = Panel.from_frame(bars(50)).save(tmp_path / "panel.parquet")
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"empty": b"", "rubbish": b"PAR1" + b"x" * 99, "cut": whole[: len(whole) // 2]}[damage])
    with pytest.raises(DataFormatError, match=r"panel\.parquet"):
        Panel.load(path)


def test_metadata_that_lies_never_breaks_the_data(tmp_path: Path) -> None:
    panel = Panel.from_frame(bars(5, ("BTCUSDT", "ETHUSDT")))
    path = panel.save(tmp_path / "panel.parquet")
    table = pq.read_table(path)
    lies = [
        {b"midas.bars": b"99999999999"},
        {b"midas.bars": b"2"},
        {b"midas.start_ns": b"1"},
        {b"midas.start_ns": b"x"},
        {b"midas.symbols": b"["},
        {b"midas.symbols": b'["ETHUSDT"]'},
        {b"midas.symbols": b"[1, 2]"},
    ]
    for lie in lies:
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, **lie}), path)
        np.testing.assert_array_equal(Panel.load(path)["close"], panel["close"])


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_refused_save_keeps_the_old_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    old, new = Panel.from_frame(bars(5)), Panel.from_frame(bars(9, seed=2))
    path = old.save(tmp_path / "panel.parquet")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, refuse)
        with pytest.raises(OSError, match="No space"):
            new.save(path)
    same(Panel.load(path), old)
    assert [p.name for p in tmp_path.iterdir()] == ["panel.parquet"]
    same(Panel.load(new.save(path)), new)


def test_a_panel_is_synced_before_its_rename_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def traced_fsync(handle: int) -> None:
        order.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
        fsync(handle)

    def traced_replace(source: str, target: str) -> None:
        order.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(os, "replace", traced_replace)
    Panel.from_frame(bars(5)).save(tmp_path / "panel.parquet")
    assert order == ["file", "rename", "folder"]


def test_what_a_dead_writer_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    dead = tmp_path / ".panel.parquet.999999999.tmp"
    living = tmp_path / f".panel.parquet.{os.getppid()}.tmp"
    foreign = tmp_path / ".other.parquet.999999999.tmp"
    for path in (dead, living, foreign):
        path.write_bytes(b"x")
    Panel.from_frame(bars(5)).save(tmp_path / "panel.parquet")
    assert (dead.exists(), living.exists(), foreign.exists()) == (False, True, True)


# -- named sources -------------------------------------------------------------------------------------


def test_the_sample_is_real_hourly_and_ragged() -> None:
    panel = load_panel("sample")
    known = np.isfinite(panel["close"])
    first = known.argmax(axis=0)
    assert panel.S >= 20
    assert panel.bar_seconds == 3600
    assert panel.T > 24 * 183
    assert len(np.unique(first)) > 5
    # Once listed, every bar is there.
    assert all(known[first[s] :, s].all() for s in range(panel.S))
    assert {"open", "high", "low", "close", "volume", "quote_volume", "funding_rate", "funding_paid"} <= set(
        panel.columns
    )


def test_the_minutes_are_minutes() -> None:
    panel = load_panel("sample-1m")
    assert (panel.bar_seconds, panel.shape) == (60, (7 * 1440, 1))
    assert np.isfinite(panel["close"]).all()


@pytest.mark.parametrize(("source", "words"), [("smaple", "no data at"), ("synthetic:seven", "whole number")])
def test_a_source_that_is_not_known_is_refused(source: str, words: str) -> None:
    with pytest.raises(DataFormatError, match=words):
        load_panel(source)
