"""A venue's public archive read in place: zips by market, kind and symbol, with their checksums beside them."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.errors import DataDefectError, DataFormatError
from midas_engine.market import inspect, load_panel
from midas_engine.market.importers import read_any
from tests.helpers_cli import ROOT, call_midas

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2025, 3, 1, tzinfo=UTC)
HOUR = 3_600_000
JANUARY = 1_704_067_200_000
REAL = ROOT / "tests" / "data" / "binance_um_klines_BTCUSDT-1h-2024-10-28.zip"
HEAD = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def klines(begin: int, bars: int, base: float = 100.0) -> str:
    rng = np.random.default_rng(int(begin // HOUR) % 2**32)
    rows = [HEAD]
    for i in range(bars):
        t, c = begin + i * HOUR, base + round(float(rng.normal()), 2)
        rows.append(f"{t},{c},{c + 2},{c - 2},{c + 1},5.5,{t + HOUR - 1},{5.5 * c},9,2.5,{2.5 * c},0")
    return "\n".join(rows)


def put(folder: Path, name: str, text: str, *, checksum: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.csv", text)
    if checksum:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (folder / f"{name}.zip.CHECKSUM").write_text(f"{digest}  {name}.zip\n")
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two months of two symbols with marks, funding and open interest, as data.binance.vision lays them out."""
    month = tmp_path / "data" / "futures" / "um" / "monthly"
    for symbol, base in (("BTCUSDT", 100.0), ("ETHUSDT", 50.0)):
        for name, begin, bars in (("2024-01", JANUARY, 744), ("2024-02", JANUARY + 744 * HOUR, 696)):
            put(month / "klines" / symbol / "1h", f"{symbol}-1h-{name}", klines(begin, bars, base))
            put(month / "markPriceKlines" / symbol / "1h", f"{symbol}-1h-{name}", klines(begin, bars, base))
        times = range(JANUARY, JANUARY + 1440 * HOUR, 8 * HOUR)
        rates = "\n".join(f"{t},8,{0.0001 * (1 + t // HOUR % 3)}" for t in times)
        text = f"calc_time,funding_interval_hours,last_funding_rate\n{rates}"
        put(month / "fundingRate" / symbol, f"{symbol}-fundingRate-2024-01", text)
    return tmp_path / "data"


def test_an_archive_is_read_in_place(archive: Path) -> None:
    panel = load_panel(archive)
    assert panel.symbols == ("BTCUSDT", "ETHUSDT")
    assert panel.T == 1440
    assert {"close", "taker_buy_volume", "trades", "mark_close", "funding_rate", "funding_paid"} <= set(panel.columns)
    assert np.isfinite(panel.values("close")).all()
    assert (panel.values("funding_paid") != 0).sum(axis=0).tolist() == [
        179,
        179,
    ]  # the first settles as the first bar opens


def test_a_real_zip_of_the_archive_with_its_checksum(tmp_path: Path) -> None:
    shutil.copy(REAL, tmp_path / "BTCUSDT-1h-2024-10-28.zip")
    digest = hashlib.sha256(REAL.read_bytes()).hexdigest()
    (tmp_path / "BTCUSDT-1h-2024-10-28.zip.CHECKSUM").write_text(f"{digest.upper()} *BTCUSDT-1h-2024-10-28.zip")
    assert read_any([tmp_path], now=NOW).symbols == ("BTCUSDT",)


@pytest.mark.parametrize("how", ["changed", "swapped", "cut"])
def test_a_file_that_is_not_what_its_checksum_says_is_never_read(archive: Path, how: str) -> None:
    folder = archive / "futures" / "um" / "monthly" / "klines" / "BTCUSDT" / "1h"
    first, second = (folder / f"BTCUSDT-1h-2024-0{n}.zip" for n in (1, 2))
    if how == "swapped":
        shutil.copy(first, second)
    elif how == "changed":  # a zip that is whole, with other figures in it
        put(folder, "BTCUSDT-1h-2024-02", klines(JANUARY + 744 * HOUR, 696, 777.0), checksum=False)
    else:
        second.write_bytes(second.read_bytes()[:-30])
    with pytest.raises(DataFormatError, match=r"BTCUSDT-1h-2024-02.zip is not what its checksum says"):
        read_any([second], now=NOW)
    found = {d.place: d for d in inspect(archive, now=NOW).defects if d.code == "set-aside"}
    assert "is not what its checksum says" in found["BTCUSDT-1h-2024-02.zip"].detail
    panel = load_panel(archive)  # the others are read; the hole is a hole
    assert np.isnan(panel.values("close")[744:, panel.symbols.index("BTCUSDT")]).all()


def test_a_checksum_that_is_none_and_one_without_its_file_are_told(archive: Path) -> None:
    folder = archive / "futures" / "um" / "monthly" / "klines" / "BTCUSDT" / "1h"
    (folder / "BTCUSDT-1h-2024-01.zip.CHECKSUM").write_text("<html>not found</html>")
    (folder / "BTCUSDT-1h-2024-02.zip").unlink()
    told = [d.detail for d in inspect(archive, now=NOW).defects if d.code == "set-aside"]
    assert any("holds no SHA-256 checksum" in t for t in told)
    assert any("only the checksum of BTCUSDT-1h-2024-02.zip is here" in t for t in told)


@pytest.mark.parametrize("market", ["spot", "futures/cm"])
def test_markets_of_an_archive_are_never_mixed(archive: Path, market: str) -> None:
    symbol = "BTCUSDT" if market == "spot" else "BTCUSD_PERP"
    folder = archive / market / "daily" / "klines" / symbol / "1h"
    put(folder, f"{symbol}-1h-2024-03-01", klines(JANUARY + 1440 * HOUR, 24))
    with pytest.raises(DataDefectError, match="several-markets.*they are never mixed"):
        load_panel(archive)
    assert load_panel(archive / "futures" / "um").symbols == ("BTCUSDT", "ETHUSDT")


def test_trades_and_books_of_an_archive_are_set_aside_unread(archive: Path) -> None:
    folder = archive / "futures" / "um" / "daily" / "aggTrades" / "BTCUSDT"
    folder.mkdir(parents=True)
    (folder / "BTCUSDT-aggTrades-2024-01-01.zip").write_bytes(b"never opened")
    told = [d for d in inspect(archive, now=NOW).defects if d.code == "set-aside"]
    assert [d.detail for d in told] == ["not read: BTCUSDT-aggTrades-2024-01-01.zip holds trades"]


def test_the_command_line_imports_it(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = call_midas(capsys, "data", "import", str(archive), "--out", str(tmp_path / "out"), "--json")
    assert done.code == 0
    assert done.document["panel"]["bars"] == 1440
