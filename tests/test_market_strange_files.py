"""Files that a stranger brings: suffixes and packings, spellings of times and figures, dated contracts, debris."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from helpers_market import NOW, bars, codes, epochs, funding, the
from midas_engine.errors import DataDefectError, DataFormatError
from midas_engine.market import inspect, read_any
from midas_engine.market.importers.archive import market_of
from midas_engine.market.importers.names import name_hints

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLUMNS = ["timestamp", "open", "high", "low", "close", "volume"]


def rounded() -> pd.DataFrame:
    """Two days of bars of one symbol, without its name."""
    found = bars(48)[COLUMNS]
    found[COLUMNS[1:]] = found[COLUMNS[1:]].round(4)
    return found


def frame(**changes: Any) -> pd.DataFrame:
    """The same with epoch times."""
    found = rounded()
    return found.assign(timestamp=epochs(found["timestamp"]), **changes)


def sound(folder: Path) -> bool:
    """Whether the folder reads as what was put there."""
    panel = read_any([folder], now=NOW)
    want = rounded()
    return (
        panel.symbols == ("BTCUSDT",)
        and np.array_equal(panel.timestamps, want["timestamp"].dt.tz_localize(None).to_numpy("datetime64[ns]"))
        and all(np.allclose(panel[c][:, 0], want[c], rtol=1e-12) for c in COLUMNS[1:])
    )


def text(**how: Any) -> str:
    return str(frame().to_csv(index=False, **how))


def lines(rows: list[Any]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("BTCUSDT-1h.txt", lambda: text()),
        ("BTCUSDT-1h.TSV", lambda: text(sep="\t")),
        ("BTCUSDT-1h.csv", lambda: text(sep="|")),
        ("BTCUSDT-1h.csv", lambda: text(sep=";", decimal=",")),
        ("BTCUSDT-1h.jsonl", lambda: lines(frame().to_dict("records"))),
        ("BTCUSDT-1h.ndjson", lambda: lines(frame().to_numpy().tolist()) + "\n\n"),
        ("BTCUSDT-1h.jsonl.gz", lambda: gzip.compress(lines(frame().to_dict("records")).encode())),
        ("BTCUSDT-1H.CSV.GZ", lambda: gzip.compress(text().encode())),
        ("BTCUSDT-1h.csv.zst", lambda: zstd(text().encode())),
        ("BTCUSDT-1h.csv.bz2", lambda: bz2.compress(text().encode())),
        ("BTCUSDT-1h.csv.xz", lambda: lzma.compress(text().encode())),
    ],
)
def test_suffixes_and_packings(tmp_path: Path, name: str, content: Callable[[], str | bytes]) -> None:
    made = content()
    (tmp_path / name).write_bytes(made if isinstance(made, bytes) else made.encode())
    assert sound(tmp_path)


@pytest.mark.parametrize(
    "spelling",
    [
        "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S (UTC)", "%a, %d %b %Y %H:%M:%S GMT", "%d.%m.%Y %H:%M:%S",
        "%d-%b-%Y %H:%M", "%B %d, %Y %I:%M %p", "%Y%m%d %H:%M", "%Y%m%d%H%M%S", "%Y%m%d%H%M", "excel", "GMT+8",
        "%m/%d/%Y",
    ],
)  # fmt: skip
def test_spellings_of_times(tmp_path: Path, spelling: str) -> None:
    times = bars(48)["timestamp"]
    said: Any = times.dt.strftime(spelling)
    if spelling == "excel":
        said = (times.dt.tz_localize(None) - pd.Timestamp("1899-12-30")) / pd.Timedelta("1D")
    elif spelling == "GMT+8":
        said = times.dt.tz_convert("Asia/Shanghai").dt.strftime("%Y-%m-%d %H:%M GMT+8")
    elif spelling == "%m/%d/%Y":  # a day above twelve says which of the two is the month
        said = times.dt.strftime("%m/%d/%Y %I:%M %p")
        extra = pd.DataFrame([["01/13/2026 12:00 AM", 100.0, 100.0, 100.0, 100.0, 10.0]], columns=COLUMNS)
        made = pd.concat([frame().assign(timestamp=said), extra])
        made.to_csv(tmp_path / "BTCUSDT-1h.csv", index=False)
        assert str(read_any([tmp_path], now=NOW).timestamps[0])[:16] == "2026-01-05T00:00"
        return
    frame().assign(timestamp=said).to_csv(tmp_path / "BTCUSDT-1h.csv", index=False)
    assert sound(tmp_path)


def test_a_date_that_can_be_read_in_two_ways_is_read_in_none(tmp_path: Path) -> None:
    said = bars(48)["timestamp"].dt.strftime("%m/%d/%Y %H:%M")
    frame().assign(timestamp=said).to_csv(tmp_path / "BTCUSDT-1h.csv", index=False)
    assert "does not say which is the month" in the(inspect(tmp_path, now=NOW), "unreadable-time").detail
    eastern = bars(48)["timestamp"].dt.strftime("%Y-%m-%d %H:%M EST")
    frame().assign(timestamp=eastern).to_csv(tmp_path / "BTCUSDT-1h.csv", index=False)
    with pytest.raises(DataDefectError, match="unreadable-time"):
        read_any([tmp_path], now=NOW)


@pytest.mark.parametrize("style", ["${:.4f}", "{:,.4f}", "+{:.4f}"])
def test_figures_as_people_write_them(tmp_path: Path, style: str) -> None:
    made = frame()
    for column in COLUMNS[1:]:
        made[column] = made[column].map(style.format)
    made.to_csv(tmp_path / "BTCUSDT-1h.csv", index=False)
    assert sound(tmp_path)


def test_what_may_be_a_thousand_or_a_fraction_is_refused(tmp_path: Path) -> None:
    frame(volume="1,234").to_csv(tmp_path / "BTCUSDT-1h.csv", index=False, sep=";")
    assert "'1,234' where a number belongs" in the(inspect(tmp_path, now=NOW), "not-a-number").detail


def test_a_rate_with_a_percent_sign_is_percent(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "BTCUSDT-1h.csv", index=False)
    rates = funding(6)
    rates["funding_rate"] = (rates["funding_rate"] * 100).map("{:.6f}%".format)
    rates.to_csv(tmp_path / "funding.csv", index=False)
    panel = read_any([tmp_path], now=NOW)
    assert np.nansum(panel["funding_paid"]) == pytest.approx(funding(6)["funding_rate"].iloc[1:].sum(), abs=1e-7)
    assert "percent" in the(inspect(tmp_path, now=NOW), "number-style").detail


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUSDT_260327-1h.csv", "BTCUSDT_260327"),
        ("BTC-USDT-260327-1h.csv", "BTCUSDT_260327"),
        ("BTC-USDT-27MAR26.csv", "BTCUSDT_260327"),
        ("BTC_USDT_USDT-260327-1h-futures.feather", "BTCUSDT_260327"),
        ("BTCUSD_260327-1h-2026-02.zip", "BTCUSD_260327"),
        ("BTCUSDT-202602.csv", "BTCUSDT"),
        ("BTCUSDT_1h_2026-02-01_2026-02-11.csv", "BTCUSDT"),
        ("BTCUSDT-1h-20260201.csv", "BTCUSDT"),
        ("BTCUSDT-123456.csv", "BTCUSDT"),
    ],
)
def test_a_contract_that_ends_is_not_the_perpetual(name: str, symbol: str) -> None:
    assert name_hints(name).symbol == symbol


def test_spot_beside_perpetuals_is_never_mixed(tmp_path: Path) -> None:
    for place in ("spot", "perps"):
        (tmp_path / place).mkdir()
        frame().to_csv(tmp_path / place / "BTCUSDT-1h.csv", index=False)
    assert "never mixed" in the(inspect(tmp_path, now=NOW), "several-markets").detail
    assert market_of("x/futures/um/daily/klines/BTCUSDT/1h/a.zip") == "linear futures"


def test_hidden_places_are_passed_over_and_the_rest_is_named(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "BTCUSDT-1h.csv", index=False)
    for folder in (".git", ".cache/x", "__MACOSX"):
        (tmp_path / folder).mkdir(parents=True)
        frame().to_csv(tmp_path / folder / "ETHUSDT-1h.csv", index=False)
    for name in ("._BTCUSDT-1h.csv", ".DS_Store", "Thumbs.db", "README.md", "fetch.py"):
        (tmp_path / name).write_bytes(b"\0\5\26\7")
    assert sound(tmp_path)
    assert codes(inspect(tmp_path, now=NOW)) == set()
    for name in ("a.xlsx", "b.xlsx", "ETHUSDT-1h.csv.part", "dump.h5", "notes"):
        (tmp_path / name).write_bytes(b"x")
    told = [d.detail for d in inspect(tmp_path, now=NOW).defects if d.code == "set-aside"]
    assert len(told) == 4
    assert any("a.xlsx ends in .xlsx, which Midas does not read (2 such files" in line for line in told)
    assert any("ETHUSDT-1h.csv.part is a download that was not finished" in line for line in told)
    assert sound(tmp_path)


def test_a_zip_made_on_a_mac(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "btc.zip", "w") as archive:
        archive.writestr("data/BTCUSDT-1h.csv", text())
        archive.writestr("__MACOSX/data/._BTCUSDT-1h.csv", b"\0\5\26\7")
        archive.writestr("data/.DS_Store", b"\0\0\0\1Bud1")
    assert sound(tmp_path)
    assert codes(inspect(tmp_path, now=NOW)) == set()


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_last_line_that_is_cut_is_left_out_and_told(tmp_path: Path, ending: str) -> None:
    whole = text() if ending == "csv" else lines(frame().to_dict("records"))
    (tmp_path / f"BTCUSDT-1h.{ending}").write_text(whole[:-30])
    panel = read_any([tmp_path], now=NOW)
    assert panel.T == 47
    assert np.isfinite(panel["close"]).all()
    assert the(inspect(tmp_path, now=NOW), "cut-short").count == 1


def test_an_archive_in_a_packing_and_a_folder_of_unread_files_say_what_they_are(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        member = tarfile.TarInfo("BTCUSDT-1h.csv")
        member.size = len(text().encode())
        archive.addfile(member, io.BytesIO(text().encode()))
    (tmp_path / "btc.tar.gz").write_bytes(stream.getvalue())
    with pytest.raises(DataFormatError, match="archive of several files"):
        read_any([tmp_path], now=NOW)
    (tmp_path / "btc.tar.gz").unlink()
    (tmp_path / "BTCUSDT.pkl").write_bytes(b"x")
    with pytest.raises(DataFormatError, match=r"BTCUSDT\.pkl ends in \.pkl"):
        read_any([tmp_path], now=NOW)
    cut = zstd(text().encode())
    (tmp_path / "BTCUSDT-1h.csv.zst").write_bytes(cut[: len(cut) // 2])
    with pytest.raises(DataFormatError, match="damaged Zstandard"):
        read_any([tmp_path / "BTCUSDT-1h.csv.zst"], now=NOW)
