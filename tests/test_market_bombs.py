"""Files that unpack to more than any market: refused in words, before they are read, in little time and memory."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from helpers_market import NOW, bars, write
from midas_engine.errors import DataFormatError
from midas_engine.market import inspect, read_any
from midas_engine.market.importers.budget import Budget

if TYPE_CHECKING:
    from pathlib import Path

_ROWS = 3_000_000
_LINE = b"1767596400000,1,1,1,1,1\n"
# Run by itself, so that its memory is its own: what was said, seconds and megabytes at the most.
_PROBE = """
import json, sys
from midas_engine.clock import WallClock
from midas_engine.errors import MidasError
from midas_engine.market import inspect
inspect  # the libraries are loaded before the clock starts
import pandas, pyarrow.parquet, pyarrow.feather
clock = WallClock()
start = clock.now()
try:
    inspect([sys.argv[1]])
    said = ""
except MidasError as error:
    said = error.message
took = (clock.now() - start).total_seconds()
# The peak of this program alone: getrusage carries over the peak of the process that started it.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([said, took, peak / 1024]))
"""


def _equal_rows() -> pa.Table:
    flat = pa.array(np.full(_ROWS, 1.0))
    return pa.table({"timestamp": pa.array(np.full(_ROWS, 1767596400000)), "close": flat, "open": flat, "volume": flat})


def _bomb(kind: str, folder: Path) -> Path:
    path = folder / f"BTCUSDT-1h.{kind}"
    if kind == "parquet":
        pq.write_table(_equal_rows(), path, compression="zstd")
    elif kind == "feather":
        pa.feather.write_feather(_equal_rows(), path, compression="zstd")
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(_LINE * 3_000_000, mtime=0))
    else:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for i in range(20):
                archive.writestr(f"{i}.csv", _LINE * 250_000)
        path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize("kind", ["parquet", "feather", "zip", "csv.gz"])
def test_a_pack_bomb_is_refused_in_words_in_two_seconds_and_500_megabytes(kind: str, tmp_path: Path) -> None:
    path = _bomb(kind, tmp_path)
    assert path.stat().st_size < 2_000_000
    done = subprocess.run([sys.executable, "-c", _PROBE, str(path)], capture_output=True, text=True, check=True)
    said, seconds, megabytes = json.loads(done.stdout)
    assert "would unpack" in said
    assert path.name in said
    assert (seconds < 2.0, megabytes < 500) == (True, True), (seconds, megabytes)


def test_many_small_packs_are_one_bomb() -> None:
    budget = Budget()
    for i in range(5):
        budget.take(f"{i}.csv.gz", 15_000, 6_000_000)
    with pytest.raises(DataFormatError, match="would unpack"):
        budget.take("5.csv.gz", 15_000, 6_000_000)


def test_the_sum_of_one_import_is_bounded() -> None:
    budget = Budget()
    for i in range(3):
        budget.take(f"{i}.csv", 1_000_000_000, 1_000_000_000)
    with pytest.raises(DataFormatError, match="bring this import to"):
        budget.take("last.csv", 2_000_000_000, 2_000_000_000)
    budget.take("small.csv", 1_000, 1_000)  # what was refused is not charged


def test_a_bomb_beside_data_is_set_aside_by_name(tmp_path: Path) -> None:
    write(bars(), tmp_path / "ETHUSDT-1h.csv")
    _bomb("csv.gz", tmp_path)
    (found,) = [d for d in inspect(tmp_path, now=NOW).defects if d.code == "set-aside"]
    assert "would unpack" in found.detail
    assert read_any([tmp_path], now=NOW).T == 60


def test_dense_files_are_no_bombs(tmp_path: Path) -> None:
    frame = bars(50_000, seconds=60)
    for suffix in ("parquet", "feather"):
        path = tmp_path / f"BTCUSDT-1m.{suffix}"
        frame.to_parquet(path) if suffix == "parquet" else frame.to_feather(path)
        assert read_any([path], now=NOW).T == 50_000
