"""Files that are no market data, bounded sizes, and no bytes at all that end in a fault."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import gzip
import io
import json
import os
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_market import NOW, bars
from midas_engine.errors import DataDefectError, DataFormatError, MidasError
from midas_engine.market import inspect, load_panel, read_any

if TYPE_CHECKING:
    from pathlib import Path


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
        ("x.csv.gz", gzip.compress(b"a,b\n1,2\n" * 999, mtime=0)[:-20], "damaged gzip"),
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


TIMES = [1767596400000 + i * 3_600_000 for i in range(12)]
CLOSE = list(np.linspace(1, 2, 12))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"close": pa.array([[1.0]] * 12)}, "not-a-number x 12"),
        ({"close": pa.array([{"a": 1}] * 12)}, "not-a-number x 12"),
        ({"close": pa.nulls(12)}, "no-close"),
        ({"timestamp": pa.nulls(12)}, "unreadable-time x 12"),
        ({"timestamp": pa.array([datetime.time(i) for i in range(12)])}, "unreadable-time x 12"),
        ({"timestamp": pa.array(TIMES).cast(pa.duration("ms"))}, "unreadable-time x 12"),
        ({"timestamp": pa.array([t * 1000 for t in TIMES]).cast(pa.timestamp("ms"))}, "us read as ms"),
        ({"symbol": pa.array([["A"], ["A", "B"]] * 6)}, "one bar|off-grid|shifted"),
        ({"interval": pa.array([["1h"]] * 12)}, ""),
        ({"close": pa.array([decimal.Decimal("1.5")] * 12)}, ""),
        ({"close": pa.array([b"1.5"] * 12)}, ""),
        ({"close": pa.array(["1.5"] * 12).dictionary_encode()}, ""),
        ({"close": pa.array(CLOSE).cast(pa.float32())}, ""),
        ({"timestamp": pa.array(TIMES).cast(pa.uint64())}, ""),
        ({"symbol": pa.array([True] * 12)}, ""),
    ],
)
@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_columns_of_every_type_are_figures_or_are_refused(
    columns: dict[str, Any], words: str, suffix: str, tmp_path: Path
) -> None:
    table = pa.table({"timestamp": TIMES, "symbol": ["BTCUSDT"] * 12, "close": CLOSE} | columns)
    path = tmp_path / f"x.{suffix}"
    try:
        pq.write_table(table, path) if suffix == "parquet" else pa.feather.write_feather(table, path)
    except pa.ArrowNotImplementedError:
        pytest.skip("this format has no such type")
    if not words:
        assert read_any([path], now=NOW).T == 12
        return
    with pytest.raises(DataDefectError, match=words):
        read_any([path], now=NOW)


def test_a_column_that_comes_twice_is_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(TIMES), pa.array(CLOSE), pa.array(CLOSE)], ["timestamp", "close", "close"])
    pa.feather.write_feather(table, tmp_path / "x.feather")
    with pytest.raises(DataFormatError, match="two columns called 'close'"):
        inspect(tmp_path / "x.feather", now=NOW)


@pytest.mark.parametrize("meta", [{b"pandas": b"{bad"}, {b"midas.bar_seconds": b"abc"}, {b"midas.bar_seconds": b""}])
def test_what_a_file_says_of_itself_may_be_rubbish(meta: dict[bytes, bytes], tmp_path: Path) -> None:
    table = pa.table({"timestamp": TIMES, "symbol": ["BTCUSDT"] * 12, "close": CLOSE}).replace_schema_metadata(meta)
    pq.write_table(table, tmp_path / "x.parquet")
    assert load_panel(tmp_path / "x.parquet").shape == (12, 1)


def test_an_index_of_times_is_the_time_column(tmp_path: Path) -> None:
    frame = bars(12).set_index("timestamp")
    frame.to_parquet(tmp_path / "named.parquet")
    frame.rename_axis(None).to_parquet(tmp_path / "nameless.parquet")
    for name in ("named", "nameless"):
        assert str(read_any([tmp_path / f"{name}.parquet"], now=NOW).timestamps[0])[:13] == "2026-01-05T00"


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from midas_engine.market.importers import files

    monkeypatch.setattr(files, "MAX_BYTES", 10_000)
    monkeypatch.setattr(files, "MAX_MEMBERS", 2)
    zeros = b"0" * 1_000_000
    for name, data in (
        ("bomb.zip", _zip(("a.csv", zeros))),
        ("bomb.csv.gz", gzip.compress(zeros, mtime=0)),
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
