"""Dumps, answers and collectors' files to one panel, each in its layout, and what is none of them."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_market import NOW, START, bars, codes, epochs, funding, write
from midas_engine.errors import DataDefectError, DataFormatError, MidasError
from midas_engine.market import Panel, import_panel, inspect, load_panel, read_any
from midas_engine.market.importers import read_parts
from midas_engine.market.importers.columns import HEADLESS, KLINE, canonical
from midas_engine.market.importers.names import interval_seconds, name_hints

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def samples(root: Path) -> Path:
    return root / "tests" / "data"


def kline_rows(frame: pd.DataFrame, unit: str = "ms") -> pd.DataFrame:
    """The twelve columns of a kline dump."""
    opened = epochs(frame["timestamp"], unit)
    step = {"ms": 3_600_000, "us": 3_600_000_000}[unit]
    rows = frame.assign(
        timestamp=opened,
        close_time=opened + step - 1,
        trades=7,
        taker_buy_quote_volume=frame["quote_volume"] * 0.4,
        ignore=0,
    )
    return rows[list(KLINE)]


def headless(frame: pd.DataFrame, path: Path, unit: str = "ms") -> Path:
    kline_rows(frame, unit).to_csv(path, index=False, header=False)
    return path


# -- real files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "rows", "first", "row"),
    [
        ("um_klines_BTCUSDT-1h-2024-10-28.zip", 24, "2024-10-28T00", (67835.2, 5179.117, 351923638.0391, 85022)),
        ("spot_klines_BTCUSDT-1h-2024-10-28.zip", 24, "2024-10-28T00", (67859.91, 555.35912, 37756129.8195325, 145225)),
        (
            "spot_klines_BTCUSDT-1h-2024_ms_head.csv",
            48,
            "2024-01-01T00",
            (42475.23, 1271.68108, 53957248.973789, 47134),
        ),
        ("spot_klines_BTCUSDT-1h-2025_us_head.csv", 48, "2025-01-01T00", (94401.14, 755.9901, 71068810.5594638, 93525)),
    ],
)
def test_kline_dumps_of_the_exchange(samples: Path, file: str, rows: int, first: str, row: tuple[float, ...]) -> None:
    panel = read_any([samples / f"binance_{file}"])
    assert (panel.shape, panel.symbols, panel.bar_seconds) == ((rows, 1), ("BTCUSDT",), 3600)
    assert str(panel.timestamps[0])[:13] == first
    assert tuple(panel[c][0, 0] for c in ("close", "volume", "quote_volume", "trades")) == row
    assert (panel["taker_buy_volume"] <= panel["volume"]).all()
    assert not {"ignore", "close_time"} & set(panel.columns)


def test_funding_and_open_interest_stand_beside_the_klines(samples: Path, tmp_path: Path) -> None:
    files = [samples / f for f in ("gravestone_funding_BTCUSDT.csv", "gravestone_openInterestHist_4h_BTCUSDT.csv")]
    settled, interest = (part.frame for part in read_parts(files))
    klines = write(bars(24 * 12, start=pd.Timestamp("2026-02-20", tz="UTC")), tmp_path / "BTCUSDT.csv")
    panel = read_any([klines, *files], now=pd.Timestamp("2026-04-01", tz="UTC").to_pydatetime())
    # The collector's stamps lie some milliseconds after the settlement; the rate is that of the full hour.
    assert (settled["timestamp"].dt.microsecond > 0).sum() > 50
    rates = settled.set_index(settled["timestamp"].dt.floor("h"))["funding_rate"]
    for t in (7, 8, 100, 200, 287):
        assert panel["funding_rate"][t, 0] == rates[: pd.Timestamp(panel.closes[t])].iloc[-1]
    known = interest.set_index("timestamp")["open_interest"]
    for t in (3, 4, 6, 7, 150):
        assert panel["open_interest"][t, 0] == known[: pd.Timestamp(panel.closes[t])].iloc[-1]
    assert np.isnan(panel["open_interest"][:3]).all()  # the first snapshot is of 04:00


def test_the_funding_dump(samples: Path) -> None:
    (part,) = read_parts([samples / "BTCUSDT-fundingRate-2025-12.csv"])
    assert (part.kind, len(part.frame), part.frame["funding_rate"][0]) == ("funding", 93, 0.00003593)
    assert set(part.frame["symbol"]) == {"BTCUSDT"}
    assert str(part.frame["timestamp"][0]) == "2025-12-01 00:00:00"


def test_the_metrics_dump(samples: Path) -> None:
    (part,) = read_parts([samples / "binance_um_metrics_HYPEUSDT_2025-05-30_excerpt.csv"])
    row = part.frame.iloc[0]
    assert (part.kind, row["symbol"], str(row["timestamp"])) == ("snapshots", "HYPEUSDT", "2025-05-30 10:30:00")
    assert row["open_interest"] == 14088.01
    assert row["open_interest_usd"] == 473864.30436
    assert row["toptrader_position_ratio"] == 0.802265
    assert row["taker_ratio"] == 1.302922


def test_two_dumps_of_different_units_follow_each_other(samples: Path) -> None:
    head = read_any([samples / "binance_spot_klines_BTCUSDT-1h-2024_ms_head.csv"])
    both = read_any([samples / f"binance_spot_klines_BTCUSDT-1h-{y}_head.csv" for y in ("2024_ms", "2025_us")])
    assert both.T == 366 * 24 + 48
    np.testing.assert_array_equal(both["close"][:48], head["close"])
    assert np.isnan(both["close"][48 : 366 * 24]).all()


# -- made files ----------------------------------------------------------------------------------------


def same_bars(panel: Panel, frame: pd.DataFrame, columns: tuple[str, ...] = ("open", "high", "low", "close")) -> None:
    expected = Panel.from_frame(frame)
    assert panel.symbols == expected.symbols
    np.testing.assert_array_equal(panel.timestamps, expected.timestamps)
    for column in columns:
        np.testing.assert_allclose(panel[column], expected[column], rtol=1e-12)


@settings(max_examples=15)
@given(
    unit=st.sampled_from(["ms", "us"]),
    header=st.sampled_from(["none", "dump", "rest"]),
    wrap=st.sampled_from(["csv", "zip", "gz"]),
    separator=st.sampled_from([",", ";", "\t"]),
    end=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
)
def test_klines_in_every_dress(
    unit: str, header: str, wrap: str, separator: str, end: str, bom: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("dump")
    frame = bars(20)
    rows = kline_rows(frame, unit)
    rest = ["Open time", "Open", "High", "Low", "Close", "Volume", "Close time", "Quote asset volume",
            "Number of trades", "Taker buy base asset volume", "Taker buy quote asset volume", "Ignore"]  # fmt: skip
    if header == "rest":
        rows.columns = pd.Index(rest)
    text = rows.to_csv(index=False, header=header != "none", sep=separator, lineterminator=end)
    data = ("\ufeff" if bom else "").encode() + text.encode()
    path = folder / f"BTCUSDT-1h-2026-01.{'csv' if wrap == 'csv' else 'csv.gz' if wrap == 'gz' else 'zip'}"
    if wrap == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("BTCUSDT-1h-2026-01.csv", data)
            archive.writestr("BTCUSDT-1h-2026-01.zip.CHECKSUM", "00  x")
    else:
        path.write_bytes(gzip.compress(data) if wrap == "gz" else data)
    panel = read_any([path], now=NOW)
    same_bars(panel, frame, ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume"))
    assert (panel["trades"] == 7).all()


@pytest.mark.parametrize(
    "answer",
    [
        lambda rows: rows,
        lambda rows: {"retCode": 0, "result": {"symbol": "BTCUSDT", "list": [r[:6] + [r[7]] for r in rows][::-1]}},
        lambda rows: {"code": "0", "data": [[*r[:6], "9", r[7], "1"] for r in rows]},
        lambda rows: [r[:6] for r in rows],
        lambda rows: [dict(zip(("t", "o", "h", "l", "c", "v"), r, strict=False), openTime=r[0]) for r in rows],
    ],
    ids=["binance", "bybit", "okx", "ccxt", "objects"],
)
def test_answers_of_exchanges_as_they_were_stored(answer: Any, tmp_path: Path) -> None:
    frame = bars(20)
    rows = [[str(v) for v in row] for row in kline_rows(frame).to_numpy(dtype=object)]
    path = tmp_path / "klines_BTCUSDT.json"
    path.write_text(json.dumps(answer(rows)))
    same_bars(read_any([path], now=NOW), frame, ("open", "high", "low", "close", "volume"))


def test_a_bar_that_okx_calls_unconfirmed_is_left_out(tmp_path: Path) -> None:
    rows = [[*map(str, r[:6]), "9", "9", str(int(i < 19))] for i, r in enumerate(kline_rows(bars(20)).to_numpy())]
    path = tmp_path / "BTC-USDT-SWAP.json"
    path.write_text(json.dumps({"code": "0", "data": rows[::-1]}).replace('.0"', '"'))
    panel = read_any([path], now=NOW)
    assert (panel.T, panel.symbols) == (19, ("BTC-USDT-SWAP",))


def test_long_files_of_many_symbols_keep_what_else_they_hold(tmp_path: Path) -> None:
    frame = bars(20, ("BTCUSDT", "ETHUSDT")).assign(my_signal=1.5, note="text", funding_rate=1e-4)
    for suffix in ("csv", "parquet"):
        panel = load_panel(write(frame, tmp_path / f"bars.{suffix}"))
        same_bars(panel, frame)
        assert (panel["my_signal"] == 1.5).all()
        assert (panel["funding_rate"] == 1e-4).all()
        assert "note" not in panel.columns


def test_pairs_of_ccxt_and_venues_get_one_name(tmp_path: Path) -> None:
    paired = bars(20).assign(symbol="BTC/USDT:USDT")
    assert read_any([write(paired, tmp_path / "a.csv")], now=NOW).symbols == ("BTCUSDT",)
    venues = pd.concat([bars(20).assign(venue=v, coin="BTC").drop(columns="symbol") for v in ("okx", "bybit")])
    assert read_any([write(venues, tmp_path / "b.csv")], now=NOW).symbols == ("BTC.bybit", "BTC.okx")


def test_files_of_several_symbols_become_one_panel_whose_late_listings_are_nan(tmp_path: Path) -> None:
    headless(bars(48), tmp_path / "BTCUSDT-1h-a.csv")
    late = bars(24, ("ETHUSDT",), start=START + pd.Timedelta("24h"))
    headless(late, tmp_path / "ETHUSDT-1h-a.csv", "us")
    write(funding(symbol="ETHUSDT"), tmp_path / "rates.csv")
    panel = read_any([tmp_path], now=NOW)
    assert (panel.symbols, panel.T) == (("BTCUSDT", "ETHUSDT"), 48)
    assert np.isnan(panel["close"][:24, 1]).all()
    assert np.isfinite(panel["close"][24:, 1]).all()
    assert np.isnan(panel["funding_rate"][:, 0]).all()
    assert np.isfinite(panel["funding_rate"][24:, 1]).all()


@pytest.mark.parametrize("folder", ["markPriceKlines/BTCUSDT/1h", "."])
def test_mark_prices_are_a_column_of_the_bars(tmp_path: Path, folder: str) -> None:
    frame = bars(48)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    headless(frame, tmp_path / "BTCUSDT-1h-a.csv")
    marks = frame.assign(volume=0.0, quote_volume=0.0, taker_buy_volume=0.0).iloc[5:]
    for column in ("open", "high", "low", "close"):
        marks[column] *= 1.0001
    name = "BTCUSDT-1h-2026-01.csv" if folder != "." else "BTCUSDT-1h-marks.csv"  # without a name, zero volumes tell
    headless(marks, tmp_path / folder / name)
    panel = read_any([tmp_path], now=NOW)
    np.testing.assert_allclose(panel["mark_close"][5:, 0], frame["close"][5:] * 1.0001, rtol=1e-12)
    assert np.isnan(panel["mark_close"][:5]).all()
    assert codes(inspect(tmp_path, now=NOW)) == set()


def test_finer_mark_prices_are_taken_as_of_the_close(tmp_path: Path) -> None:
    headless(bars(10), tmp_path / "BTCUSDT-1h.csv")
    minutes = bars(600, seconds=60, seed=5)
    write(minutes[["timestamp", "symbol", "open", "high", "low", "close"]], tmp_path / "mark_1m.parquet")
    panel = read_any([tmp_path], now=NOW)
    np.testing.assert_array_equal(panel["mark_close"][:, 0], minutes["close"][59::60])


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), t=st.integers(0, 47))
def test_what_was_measured_after_a_close_is_not_in_its_bar(
    seed: int, t: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("asof")
    rng = np.random.default_rng(seed)
    klines = write(bars(48), folder / "BTCUSDT.parquet")
    minutes = np.sort(rng.choice(48 * 60, 60, replace=False))
    taken = pd.DataFrame(
        {"timestamp": START + pd.to_timedelta(minutes, unit="m"), "symbol": "BTCUSDT", "open_interest": rng.random(60)}
    )
    close = START + pd.Timedelta(hours=t + 1)
    changed = taken.assign(open_interest=taken["open_interest"].where(taken["timestamp"] <= close, 9.0))
    panels = [
        read_any([klines, write(frame, folder / f"{i}.parquet")], now=NOW)
        for i, frame in enumerate((taken, changed, taken[taken["timestamp"] <= close]))
        if len(frame)
    ]
    for other in panels[1:]:
        np.testing.assert_array_equal(panels[0]["open_interest"][: t + 1], other["open_interest"][: t + 1])


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_disorder_copies_and_overlaps_are_mended(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("mess")
    rng = np.random.default_rng(seed)
    frame = bars(40, ("BTCUSDT", "ETHUSDT"), seed=seed)
    kept = frame[rng.random(len(frame)) > 0.1]
    halves = [kept[rng.random(len(kept)) < 0.7] for _ in range(2)]
    halves.append(kept[~kept.index.isin(halves[0].index.union(halves[1].index))])
    paths = []
    for i, half in enumerate(halves):
        messy = pd.concat([half, half.sample(frac=0.3, random_state=seed)]).sample(frac=1, random_state=seed)
        if len(messy):
            paths.append(write(messy, folder / f"{i}.parquet"))
    panel = read_any(paths, "1h", now=NOW)
    same_bars(panel, kept)


def test_a_blank_is_filled_by_the_row_that_knows(tmp_path: Path) -> None:
    frame = bars(20)
    poor = frame.assign(quote_volume=np.nan)
    panel = read_any([write(poor, tmp_path / "a.csv"), write(frame, tmp_path / "b.csv")], now=NOW)
    np.testing.assert_allclose(panel["quote_volume"][:, 0], frame["quote_volume"])


def test_one_bar_length_is_chosen_by_name(tmp_path: Path) -> None:
    frame = pd.concat(
        [bars(48).assign(interval="1h"), bars(200, seconds=180, seed=3).assign(interval="3m")], ignore_index=True
    )
    path = write(frame, tmp_path / "WLD_BTCUSDT.csv")
    assert codes(inspect(path, now=NOW)) == {"mixed-bars"}
    with pytest.raises(DataDefectError, match=r"bars of 3 m \(200 rows\), 1 h \(48 rows\)"):
        read_any([path], now=NOW)
    same_bars(read_any([path], "1h", now=NOW), bars(48))
    same_bars(read_any([path], "3m", now=NOW), bars(200, seconds=180, seed=3))
    with pytest.raises(DataFormatError, match="no bars of 4h"):
        read_any([path], "4h", now=NOW)
    with pytest.raises(DataFormatError, match="no bar length"):
        read_any([path], "often", now=NOW)


# -- imports -------------------------------------------------------------------------------------------


def test_an_import_is_what_data_reads(tmp_path: Path) -> None:
    headless(bars(48), tmp_path / "in_BTCUSDT-1h.csv")
    done = import_panel([tmp_path / "in_BTCUSDT-1h.csv"], tmp_path / "market", now=NOW)
    assert done.path == tmp_path / "market" / "panel.parquet"
    assert done.report.ok
    assert load_panel(tmp_path / "market").snapshot_id == done.panel.snapshot_id
    assert [p.name for p in (tmp_path / "market").iterdir()] == ["panel.parquet"]
    # An imported folder is data, too.
    assert read_any([tmp_path / "market"], now=NOW).snapshot_id == done.panel.snapshot_id


# Ends the process at the n-th fsync or rename of an import, as a power cut would.
DIES = """
import os, sys
from midas_engine.market import import_panel
left = int(sys.argv[3])
def dying(call):
    def wrapped(*args):
        global left
        left -= 1
        if left == 0:
            os._exit(99)
        return call(*args)
    return wrapped
os.fsync, os.replace = dying(os.fsync), dying(os.replace)
import_panel([sys.argv[1]], sys.argv[2])
"""


@pytest.mark.parametrize(("call", "kept"), [(1, 24), (2, 24), (3, 48), (4, 48)])
def test_an_import_that_dies_leaves_the_old_panel_or_the_new_one(
    tmp_path: Path, root: Path, call: int, kept: int
) -> None:
    old, new = (headless(bars(n), tmp_path / f"{n}_BTCUSDT-1h.csv") for n in (24, 48))
    import_panel([old], tmp_path / "market", now=NOW)
    done = subprocess.run(
        [sys.executable, "-c", DIES, str(new), str(tmp_path / "market"), str(call)],
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
        timeout=60,
    )
    assert done.returncode == (0 if call == 4 else 99)
    assert load_panel(tmp_path / "market").shape == (kept, 1)
    import_panel([new], tmp_path / "market", now=NOW)
    assert [p.name for p in (tmp_path / "market").iterdir()] == ["panel.parquet"]


def test_a_refused_import_leaves_what_was_there(tmp_path: Path) -> None:
    good = headless(bars(48), tmp_path / "BTCUSDT-1h.csv")
    before = import_panel([good], tmp_path / "market", now=NOW).panel.snapshot_id
    bad = write(bars(48).assign(close=-1.0), tmp_path / "bad_BTCUSDT.csv")
    with pytest.raises(DataDefectError, match="no-price"):
        import_panel([bad], tmp_path / "market", now=NOW)
    assert load_panel(tmp_path / "market").snapshot_id == before
    with pytest.raises(DataFormatError, match="is a file"):
        import_panel([good], good, now=NOW)


def test_funding_alone_is_no_panel(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="no klines"):
        read_any([write(funding(), tmp_path / "f.csv")], now=NOW)


# -- what is none of it --------------------------------------------------------------------------------


def _zip(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("x.csv", b"", "is empty"),
        ("x.csv", b" \n\n", "is empty"),
        ("x.csv", b"<html><body>502</body></html>", "web page"),
        ("x.csv", b"hello", "no table"),
        ("x.csv", b"timestamp,close\n", "a header and no rows"),
        ("x.csv", b"a,b\n1,2\n", "no time column; it has a, b"),
        ("x.csv", b"1,2\n3,4\n", "no header and 2 columns"),
        ("x.csv", b"1,3,3\n3,5,5\n", "3 columns that are no funding"),
        ("x.csv", b"timestamp,close\n1,2\n1,2,3,4\n", "no regular table"),
        ("x.csv", "timestamp,close\n2026,\u00e9\n".encode("latin-1"), "not UTF-8 text: line 2"),
        ("x.csv", b"timestamp,close\n\0\0,1\n", "NUL bytes"),
        ("x.csv", b"timestamp,volume_of_sales\n1767596400000,2\n", "no price, funding or open interest"),
        ("x.csv", b"timestamp,price,qty\n1767596400000,2,1\n", "holds trades"),
        ("x.csv", b"timestamp,bid,ask\n1767596400000,2,1\n", "holds order books"),
        ("x.json", b"{", "no JSON"),
        ("x.json", b"{}", "no list of rows"),
        ("x.json", b"[]", "no list of rows"),
        ("x.json", b"[1, 2]", "no list of rows"),
        ("x.json", b"[[1], {}]", "no list of rows"),
        ("x.json", b"[[1, 2], [1]]", "rows have 1 to 2 cells"),
        ("x.json", b"[" * 100_000, "no JSON"),
        ("x.zip", b"PK\x03\x04rubbish", "damaged zip"),
        ("x.zip", _zip(), "holds no file"),
        ("x.xlsx", _zip(("[Content_Types].xml", b"<?xml?>"), ("xl/a.xml", b"<a/>")), "is a spreadsheet"),
        ("x.zip", _zip(("x.zip.CHECKSUM", b"1")), "holds no file"),
        ("x.zip", _zip(("a.csv", b"1,2")), r"x\.zip/a\.csv has no header and 2 columns"),
        ("x.csv.gz", b"\x1f\x8brubbish", "damaged gzip"),
        ("x.csv.gz", gzip.compress(b"a,b\n1,2\n" * 999)[:-20], "damaged gzip"),
        ("x.parquet", b"PAR1rubbish", "not a Parquet file"),
        ("x.feather", b"ARROW1rubbish", "not a Feather file"),
    ],
)
def test_a_file_that_is_none_of_the_layouts_is_refused_by_name(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataFormatError, match=words) as caught:
        inspect(path, now=NOW)
    assert name.split(".")[0] in caught.value.message


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from midas_engine.market.importers import files

    monkeypatch.setattr(files, "MAX_BYTES", 10_000)
    monkeypatch.setattr(files, "MAX_MEMBERS", 2)
    zeros = b"0" * 1_000_000
    for name, data in (
        ("bomb.zip", _zip(("a.csv", zeros))),
        ("bomb.csv.gz", gzip.compress(zeros)),
        ("big.csv", zeros),
        ("many.zip", _zip(*((f"{i}.csv", b"1") for i in range(3)))),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(DataFormatError, match="more than"):
            inspect(path, now=NOW)


def test_nothing_and_special_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "empty").mkdir()
    for path, words in ((tmp_path / "pipe.csv", "not a regular file"), (tmp_path / "no.csv", "No such file"),
                        (tmp_path / "empty", "no data file")):  # fmt: skip
        with pytest.raises(DataFormatError, match=words):
            inspect(path, now=NOW)


NAMES = [
    "timestamp",
    "symbol",
    "close",
    "high",
    "volume",
    "fundingRate",
    "openInterest",
    "interval",
    "closeTime",
    "bid",
]
WORDS = st.sampled_from([*NAMES, "1", "0", "x", "", "true", "1767596400000", "1767600000000", "-1e999", '"', "{", "1h"])
TABLES = st.lists(st.lists(WORDS, max_size=6).map(",".join), max_size=6).map("\n".join)
CELLS = st.lists(WORDS, min_size=3, max_size=3).map(",".join)
HEADED = st.builds(
    lambda names, rows: "\n".join([",".join(["timestamp", *names]), *rows]),
    st.permutations(NAMES[1:]).map(lambda names: names[:2]),
    st.lists(CELLS, min_size=1, max_size=5),
)
KEYS = st.sampled_from([*NAMES, "data", "list", "result"])
TREES = st.recursive(
    st.none() | st.floats() | st.text(max_size=5),
    lambda leaves: st.lists(leaves, max_size=4) | st.dictionaries(KEYS, leaves, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150)
@given(
    data=st.one_of(
        st.binary(max_size=200), (st.text(max_size=200) | TABLES | HEADED | TREES.map(json.dumps)).map(str.encode)
    ),
    suffix=st.sampled_from(["csv", "json", "zip", "csv.gz", "parquet", "feather"]),
)
def test_no_bytes_at_all_end_in_a_fault(data: bytes, suffix: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("fuzz") / f"x.{suffix}"
    path.write_bytes(data)
    for use in (lambda: inspect(path, now=NOW), lambda: read_any([path], now=NOW)):
        with contextlib.suppress(MidasError):
            use()


# -- names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "symbol", "seconds", "price"),
    [
        ("data/futures/um/monthly/klines/1000PEPEUSDT/15m/1000PEPEUSDT-15m-2025-01.zip", "1000PEPEUSDT", 900, None),
        ("um/daily/markPriceKlines/BTCUSDT/1h/BTCUSDT-1h-2025-01-01.zip", "BTCUSDT", 3600, "mark"),
        ("um/daily/premiumIndexKlines/BTCUSDT/1h/BTCUSDT-1h-2025-01-01.csv", "BTCUSDT", 3600, "premium"),
        ("um/daily/indexPriceKlines/BTCUSDT/1d/BTCUSDT-1d-2025-01-01.csv", "BTCUSDT", 86400, "index"),
        ("um/daily/metrics/BTCUSDT/BTCUSDT-metrics-2025-01-01.zip", "BTCUSDT", None, None),
        ("cm/BTCUSD_PERP-1h-2025-01.zip", "BTCUSD_PERP", 3600, None),
        ("BTC_USDT_USDT-4h-mark.feather", "BTCUSDT", 14400, "mark"),
        ("okx/BTC-USDT-SWAP-candles-2025.csv", "BTC-USDT-SWAP", None, None),
        ("my market/prices.csv", None, None, None),
        ("supermarket/index.csv", None, None, None),
        ("mark_1h.parquet", None, 3600, "mark"),
    ],
)
def test_names_speak(path: str, symbol: str | None, seconds: int | None, price: str | None) -> None:
    hints = name_hints(path)
    assert (hints.symbol, hints.bar_seconds, hints.price) == (symbol, seconds, price)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1m", 60), ("5", 300), ("240", 14400), ("1h", 3600), ("1H", 3600), ("1d", 86400), ("D", 86400), ("1W", 604800),
     ("1M", None), ("soon", None), ("", None), ("-1h", None)],
)  # fmt: skip
def test_intervals_in_every_spelling(text: str, seconds: int | None) -> None:
    assert interval_seconds(text) == seconds


def test_columns_have_one_name() -> None:
    names = canonical(
        ["Open Time", "O", "taker_buy_base_asset_volume", "sumOpenInterest", "lastFundingRate", "_x", "a b"]
    )
    assert list(names.values()) == ["timestamp", "open", "taker_buy_volume", "open_interest", "funding_rate"]
    # Of two spellings of one column, one wins, wherever it stands.
    assert canonical(["date", "timestamp"]) == {"timestamp": "timestamp"}
    assert canonical(["timestamp", "date"]) == {"timestamp": "timestamp"}
    assert all(len(row) == cells for cells, row in HEADLESS.items())
