"""The market store: what an append does, what a reader sees, and what is said when something is wrong."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from midas_engine.clock import ManualClock
from midas_engine.errors import DataDefectError, DataError, DataFormatError, UnknownNameError
from midas_engine.market import Panel
from midas_engine.market.store import MarketStore, Provenance, store_address
from midas_engine.market.store.lock import writing

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CANDLES = Provenance("fetched", "binance", "candles", NOW)


def bars(start: str, values: list[float], **columns: list[float]) -> dict[str, Any]:
    times = np.datetime64(start, "ns") + np.arange(len(values)) * np.timedelta64(1, "h")
    return {"timestamp": times, "close": np.array(values), **{n: np.array(v) for n, v in columns.items()}}


@pytest.fixture
def store(tmp_path: Path) -> MarketStore:
    return MarketStore(tmp_path / "store", clock=ManualClock(NOW))


def test_what_goes_in_comes_out_to_the_bit(store: MarketStore) -> None:
    rng = np.random.default_rng(1)
    times = np.datetime64("2025-12-30T05", "ns") + np.arange(100) * np.timedelta64(1, "h")
    close = rng.normal(size=(100, 3))
    close[:40, 1] = np.nan
    panel = Panel(times, ("B", "A", "C"), {"close": close, "volume": rng.random((100, 3))}, 3600)
    report = store.append_panel("binance", panel, CANDLES)
    assert (report.added, report.equal, report.restated) == (300, 0, 0)
    back = store.panel("store:binance@1h")
    assert back.symbols == ("A", "B", "C")
    assert np.array_equal(back.timestamps, times)
    for name in panel.fields:
        assert np.array_equal(back[name], panel[name][:, [1, 0, 2]], equal_nan=True)
    one = store.panel("store:binance:a")
    assert one.symbols == ("A",)
    assert np.array_equal(one["close"], back["close"][:, :1], equal_nan=True)
    assert one.snapshot_id != back.snapshot_id
    assert back.provenance["close"] == (CANDLES,)
    assert store.panel("store:binance@1h").snapshot_id == back.snapshot_id


def test_the_grid_of_chosen_symbols_is_their_own(store: MarketStore) -> None:
    store.append("x", "1h", {"OLD": bars("2025-01-01", [1.0] * 48), "NEW": bars("2025-01-02", [2.0] * 5)}, CANDLES)
    new = store.panel("store:x:NEW")
    assert (new.T, str(new.timestamps[0])[:13]) == (5, "2025-01-02T00")
    assert new["close"].ravel().tolist() == [2.0] * 5


def test_the_same_again_writes_nothing(store: MarketStore) -> None:
    first = store.append("x", "1h", {"A": bars("2025-01-31T20", [1.0] * 10)}, CANDLES)
    files = sorted(store.path.rglob("*"))
    again = store.append("x", "1h", {"A": bars("2025-01-31T20", [1.0] * 10)}, CANDLES)
    assert (again.equal, again.added, again.changed, again.revision) == (10, 0, False, first.revision)
    assert sorted(store.path.rglob("*")) == files


def test_a_restated_bar_is_a_new_revision_and_said(store: MarketStore) -> None:
    store.append("x", "1h", {"A": bars("2025-01-01", [1.0, 2.0, 3.0], volume=[5.0, 5.0, 5.0])}, CANDLES)
    before = store.panel("store:x").snapshot_id
    late = Provenance("recorded", "live", "candles", NOW)
    report = store.append("x", "1h", {"A": bars("2025-01-01", [1.0, 2.5, 3.0], volume=[np.nan] * 3)}, late)
    assert (report.equal, report.restated, report.restated_columns) == (2, 1, {"close": 1})
    assert "RESTATED" in str(report)
    assert "close: 2 is now 2.5" in report.examples[0]
    panel = store.panel("store:x")
    assert panel["close"].ravel().tolist() == [1.0, 2.5, 3.0]
    assert panel["volume"].ravel().tolist() == [5.0] * 3, "unknown never takes the place of a known figure"
    assert panel.snapshot_id != before
    assert set(panel.provenance["close"]) == {CANDLES, late}
    assert panel.provenance["volume"] == (CANDLES,)
    series = store.series("store:x")
    kept = pq.read_table(store.path / series.revisions[0]["file"]).to_pylist()
    assert [(r["symbol"], r["column"], r["old"], r["new"], r["how"]) for r in kept] == [
        ("A", "close", 2.0, 2.5, "recorded")
    ]
    assert series.restated == 1


def test_a_column_that_comes_later_fills_in(store: MarketStore) -> None:
    store.append("x", "1h", {"A": bars("2025-01-01", [1.0, 2.0])}, CANDLES)
    funding = Provenance("imported", "rates.csv", "funding", NOW)
    rates = {"timestamp": bars("2025-01-01", [0.0] * 3)["timestamp"], "funding_rate": np.array([np.nan, 1e-4, 2e-4])}
    report = store.append("x", "1h", {"A": rates}, funding)
    assert (report.added, report.filled, report.restated) == (1, 1, 0)
    panel = store.panel("store:x")
    assert np.array_equal(panel["funding_rate"].ravel(), [np.nan, 1e-4, 2e-4], equal_nan=True)
    assert np.isnan(panel["close"][2, 0]), "unknown is NaN, never zero"
    assert panel.provenance["funding_rate"] == (funding,)
    assert store.newest("x", "1h", "A", "close") == np.datetime64("2025-01-01T01")
    assert store.newest("x", "1h", "A", "funding_rate") == np.datetime64("2025-01-01T02")
    assert store.oldest("x", "1h", "A", "funding_rate") == np.datetime64("2025-01-01T01")
    assert store.known("x", "1h", "A", "funding_rate").tolist() == [
        np.datetime64(f"2025-01-01T0{hour}", "ns").astype(int) for hour in (1, 2)
    ]
    assert store.newest("x", "1h", "B") is None
    assert store.newest("y", "1h", "A") is None


def test_bars_one_at_a_time_leave_few_files(store: MarketStore) -> None:
    for hour in range(70):
        at = np.datetime64("2025-01-01", "ns") + hour * np.timedelta64(1, "h")
        store.append("x", "1h", {s: {"timestamp": [at], "close": [float(hour)]} for s in "AB"}, CANDLES)
    assert len(list(store.path.rglob("bars/**/*.parquet"))) < 20
    assert store.panel("store:x")["close"][:, 1].tolist() == list(range(70))


def test_every_bar_stands_once_in_the_files_as_they_are(store: MarketStore) -> None:
    store.append("x", "1h", {"A": bars("2025-01-01", [1.0, 2.0])}, CANDLES)
    store.append("x", "1h", {"A": bars("2025-01-01T01", [2.5, 3.0])}, CANDLES)
    frame = pd.concat(pd.read_parquet(f) for f in store.path.rglob("bars/**/*.parquet"))
    assert sorted(zip(frame["timestamp"].dt.hour, frame["close"], strict=True)) == [(0, 1.0), (1, 2.5), (2, 3.0)]


@pytest.mark.parametrize(
    "name", ["BTC/USDT:USDT", "币安人生USDT", "A,B%C", "..", "A@1h", "1000PEPE USDT", "a'b\"c", "x" * 200]
)
def test_symbols_may_be_odd(store: MarketStore, name: str) -> None:
    store.append("x", "1h", {name: bars("2025-01-01", [1.0, 2.0]), "Z": bars("2025-01-01", [3.0])}, CANDLES)
    written = name.replace("%", "%25").replace(",", "%2C")
    assert store.panel(f"store:x:{written}@1h").symbols == (name,)


@pytest.mark.parametrize("name", ["", "../up", "a/b", "..", "ü", "a b", "x" * 65, ".hidden", "-rf", "a\0b"])
def test_no_venue_leaves_the_folder(store: MarketStore, name: str) -> None:
    with pytest.raises(DataFormatError):
        store.append(name, "1h", {"A": bars("2025-01-01", [1.0])}, CANDLES)
    with pytest.raises(DataFormatError):
        store.panel(f"store:{name}")
    assert not store.path.exists()


@pytest.mark.parametrize("text", ["store:", "store:x:", "store:x@1q", "store:x:A,A", "store", "live:x"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(DataFormatError):
        store_address(text)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"timestamp": np.array(["2025-01-01T00:30", "2025-01-01"], "datetime64[ns]"), "close": [1.0, 2.0]}, "grid"),
        ({"timestamp": np.array(["1970-01-01"], "datetime64[ns]"), "close": [1.0]}, "2009"),
        ({"timestamp": np.array(["NaT"], "datetime64[ns]"), "close": [1.0]}, "no time"),
        ({"timestamp": np.array(["2025-01-01"] * 2, "datetime64[ns]"), "close": [1.0, 2.0]}, "two bars"),
        ({"timestamp": [1735689600], "close": [1.0]}, "type"),
        ({"close": [1.0]}, "timestamp"),
        ({"timestamp": np.array(["2025-01-01"], "datetime64[ns]"), "close": ["x"]}, "figures"),
        ({"timestamp": np.array(["2025-01-01"], "datetime64[ns]"), "close": [1.0, 2.0]}, "rows"),
    ],
)  # fmt: skip
def test_bars_that_are_none_are_refused_whole(store: MarketStore, frame: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        store.append("x", "1h", {"GOOD": bars("2025-01-01", [1.0]), "A": frame}, CANDLES)
    assert not store.manifest().series


def test_frames_of_pandas_with_any_zone(store: MarketStore) -> None:
    index = pd.date_range("2025-01-01", periods=3, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"close": [1.0, np.inf, 3.0]}, index=index)
    store.append("x", "1h", {"A": frame}, CANDLES)
    panel = store.panel("store:x")
    assert str(panel.timestamps[0])[:13] == "2024-12-31T23"
    assert np.isnan(panel["close"][1, 0])


def test_which_bars_are_meant(store: MarketStore) -> None:
    store.append("x", "1m", {"A": bars("2025-01-01", [1.0])}, CANDLES)
    assert store.panel("store:x").bar_seconds == 60
    store.append("x", "4h", {"A": bars("2025-01-01", [1.0])}, CANDLES)
    with pytest.raises(DataFormatError, match="1m, 4h"):
        store.panel("store:x")
    store.append("x", "1h", {"A": bars("2025-01-01", [1.0])}, CANDLES)
    assert store.panel("store:x").bar_seconds == 3600
    with pytest.raises(DataFormatError, match="1m, 1h, 4h"):
        store.panel("store:x@5m")
    with pytest.raises(DataFormatError, match="x@1h"):
        store.panel("store:y")
    with pytest.raises(UnknownNameError, match="BTC"):
        store.panel("store:x:BTC@1h")


def test_replacing_a_series_is_explicit_and_keeps_its_seal(store: MarketStore) -> None:
    store.append("x", "1h", {"A": bars("2025-01-01", [1.0] * 5)}, CANDLES)
    origin = store.panel("store:x").origin
    assert origin is not None
    origin.seal(np.datetime64("2025-01-01T03"))
    report = store.append("x", "1h", {"A": bars("2025-02-01", [7.0] * 2)}, CANDLES, replace=True)
    assert (report.added, report.replaced) == (2, 5)
    panel = store.panel("store:x")
    assert panel["close"].ravel().tolist() == [7.0, 7.0]
    assert panel.origin is not None
    assert panel.origin.sealed_from == np.datetime64("2025-01-01T03")
    assert len(list(store.path.rglob("*.parquet"))) == 1


def test_the_identity_outlives_appended_bars_and_the_boundary_never_moves(store: MarketStore) -> None:
    store.append("x", "1h", {"A": bars("2025-01-01", [1.0] * 10), "B": bars("2025-01-01", [1.0] * 10)}, CANDLES)
    panel = store.panel("store:x")
    assert panel.origin is not None
    assert panel.origin.sealed_from is None
    assert panel.origin.seal(np.datetime64("2025-01-01T06", "ns")) == np.datetime64("2025-01-01T06")
    identity = panel.identity
    store.append("x", "1h", {"A": bars("2025-01-01T10", [1.0] * 90)}, CANDLES)
    longer = store.panel("store:x")
    assert longer.origin is not None
    assert (longer.T, longer.identity) == (100, identity)
    assert longer.snapshot_id != panel.snapshot_id
    assert longer.origin.seal(np.datetime64("2025-01-04", "ns")) == np.datetime64("2025-01-01T06")
    some = store.panel("store:x:A")
    assert some.origin is not None
    assert some.identity != identity, "another universe is another data set"
    assert some.origin.seal(np.datetime64("2025-01-04", "ns")) == np.datetime64("2025-01-01T06"), "nothing is unsealed"
    assert store.panel("store:x:A@1h").identity == some.identity


def test_a_second_writer_is_refused_by_name(store: MarketStore) -> None:
    with writing(store.path), pytest.raises(DataError, match="is being written by"), writing(store.path, timeout=0):
        pass


@pytest.mark.parametrize("damage", ["cut", "gone", "other"])
def test_a_damaged_file_is_named_when_the_store_is_opened(store: MarketStore, damage: str) -> None:
    store.append("x", "1h", {"A": bars("2025-01-01", [1.0] * 5)}, CANDLES)
    file = next(store.path.rglob("*.parquet"))
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(data[:-7] if damage == "cut" else bytes(len(data)))
    with pytest.raises(DataDefectError, match=file.name):
        _ = store.panel("store:x")["close"]


@pytest.mark.parametrize("how", ["cut", "json", "flip", "newer", "escape"])
def test_a_damaged_manifest_is_said(store: MarketStore, how: str) -> None:
    store.append("x", "1h", {"A": bars("2025-01-01", [1.0] * 5)}, CANDLES)
    path = store.path / "manifest.json"
    data = path.read_bytes()
    changed = {
        "cut": data[:-20],
        "json": b"{}",
        "flip": data.replace(b'"restated":0', b'"restated":1'),
        "newer": data.replace(b'"format": 1', b'"format": 2'),
        "escape": data.replace(b"bars/venue=x", b"../../../etc"),
    }[how]
    path.write_bytes(changed)
    with pytest.raises(DataDefectError, match="manifest"):
        store.panel("store:x")
    with pytest.raises(DataDefectError, match="manifest"):
        store.append("x", "1h", {"A": bars("2025-01-02", [1.0] * 5)}, CANDLES)
    assert path.read_bytes() == changed, "a damaged manifest is not written over"


def test_files_that_lost_their_manifest_are_never_swept_away(store: MarketStore) -> None:
    store.append("x", "1h", {"A": bars("2025-01-01", [1.0] * 5)}, CANDLES)
    (store.path / "manifest.json").unlink()
    with pytest.raises(DataDefectError, match=r"manifest.json is missing"):
        store.panel("store:x")
    for change in (store.compact, store.prune, MarketStore(store.path).compact):
        with pytest.raises(DataDefectError, match="is missing"):
            change()
    with pytest.raises(DataDefectError, match="is missing"):
        store.append("y", "1h", {"A": bars("2025-01-02", [1.0] * 5)}, CANDLES)
    assert "is missing" in store.verify()[0].what
    assert len(list(store.path.rglob("*.parquet"))) == 1


def test_a_cache_that_is_not_whole_is_made_again(store: MarketStore) -> None:
    store.append("x", "1h", {"A": bars("2025-01-01", [1.0, 2.0])}, CANDLES)
    assert store.panel("store:x")["close"].ravel().tolist() == [1.0, 2.0]
    (cached,) = store.path.rglob("*.f8")
    cached.write_bytes(cached.read_bytes()[:-3])
    assert store.panel("store:x")["close"].ravel().tolist() == [1.0, 2.0]
    cached.unlink()
    cached.mkdir()
    assert store.panel("store:x")["close"].ravel().tolist() == [1.0, 2.0]


def test_a_panel_in_use_survives_later_bars_but_not_restated_ones(store: MarketStore) -> None:
    store.append("x", "1h", {"A": bars("2025-01-01", [1.0, 2.0])}, CANDLES)
    early, late = store.panel("store:x"), store.panel("store:x")
    for hour in range(2, 12):
        store.append("x", "1h", {"A": bars(f"2025-01-01T{hour:02}", [float(hour)])}, CANDLES)
    assert early["close"].ravel().tolist() == [1.0, 2.0]
    store.append("x", "1h", {"A": bars("2025-01-01", [9.0])}, CANDLES)
    with pytest.raises(DataDefectError, match="open it again"):
        _ = late["close"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_store_that_cannot_be_written_is_read(store: MarketStore) -> None:
    store.append("x", "1h", {"A": bars("2025-01-01", [1.0, 2.0])}, CANDLES)
    store.path.chmod(0o500)
    try:
        assert store.panel("store:x")["close"].ravel().tolist() == [1.0, 2.0]
    finally:
        store.path.chmod(0o700)


def test_the_last_bars_alone_need_no_cache(store: MarketStore) -> None:
    store.append("x", "1h", {"A": bars("2025-01-30", [1.0] * 72), "B": bars("2025-01-30", [2.0] * 72)}, CANDLES)
    whole, end = store.panel("store:x"), store.panel("store:x:B", last=10)
    assert (end.T, end.symbols, end.origin) == (10, ("B",), None)
    assert end.timestamps[-1] == whole.timestamps[-1]
    assert np.array_equal(end["close"], whole["close"][-10:, 1:])
    assert end.snapshot_id != store.panel("store:x:B").snapshot_id
    assert store.panel("store:x", last=1000).T == 72
