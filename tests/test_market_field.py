"""Files as people have them, of bots and exchanges: names, funding, side files."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from helpers_cli import call_midas
from helpers_field import CLOSES, PAID, VOLUME, case, panel_of, sums
from helpers_market import NOW, bars, codes, epochs, funding, the, write
from midas_engine.errors import DataDefectError, DataFormatError
from midas_engine.market import inspect, read_any
from midas_engine.market.importers import read_parts
from midas_engine.market.importers.names import guessed_symbol, name_hints

if TYPE_CHECKING:
    from pathlib import Path


# -- bots ------------------------------------------------------------------------------------------------


def test_funding_written_as_candles_is_funding(field: Path) -> None:
    panel = panel_of(field, "01")
    assert (panel.symbols, panel.bar_seconds, panel.T) == (("BTCUSDT", "SOLUSDT"), 3600, 240)
    assert sums(panel, "close", "volume", "funding_paid") == pytest.approx((CLOSES, VOLUME, PAID), rel=1e-9)
    assert panel["funding_rate"][7, 0] == 3.421e-05  # settled at 08:00, known to the bar that closes then


@pytest.mark.parametrize("name", ["BTC_USDT_USDT-1h-funding_rate", "BTCUSDT"])
@pytest.mark.parametrize("suffix", ["json", "json.gz", "parquet", "feather"])
def test_rates_as_candles_in_every_format_by_name_and_by_cells(name: str, suffix: str, tmp_path: Path) -> None:
    rates = funding(30, hours=4)
    late = rates["timestamp"] + pd.Timedelta("1ms")
    frame = pd.DataFrame({"date": late, "open": rates["funding_rate"]})
    frame = frame.assign(high=0.0, low=0.0, close=0.0, volume=0.0)
    path = tmp_path / f"{name}.{suffix}"
    if suffix.startswith("json"):
        rows = json.dumps(frame.assign(date=epochs(late)).to_numpy().tolist()).encode()
        path.write_bytes(gzip.compress(rows) if suffix.endswith("gz") else rows)
    else:
        frame.to_parquet(path) if suffix == "parquet" else frame.to_feather(path)
    klines = write(bars(120), tmp_path / "BTC_USDT_USDT-1h-futures.parquet")
    panel = read_any([klines, path], now=NOW)
    inside = rates["funding_rate"][(rates["timestamp"] > rates["timestamp"][0])]
    assert sums(panel, "funding_paid")[0] == pytest.approx(inside.sum())
    assert sums(panel, "close")[0] == pytest.approx(bars(120)["close"].sum())


def test_a_funding_file_without_rows_stops_nothing(field: Path, tmp_path: Path) -> None:
    shutil.copytree(case(field, "01"), tmp_path / "x")
    empty = pd.DataFrame({c: [] for c in ("date", "open", "high", "low", "close", "volume")})
    empty.to_feather(tmp_path / "x" / "XRP_USDT_USDT-8h-funding_rate.feather")
    (tmp_path / "x" / "LTC_USDT_USDT-8h-funding_rate.json").write_text("[]")
    report = inspect(tmp_path / "x", now=NOW)
    assert report.ok
    assert codes(report) == {"set-aside"}
    assert read_any([tmp_path / "x"], now=NOW).symbols == ("BTCUSDT", "SOLUSDT")


FOREIGN = {
    "leverage_tiers_USDT.json": b'{"data": {"BTC/USDT:USDT": [{"minNotional": 0, "maxLeverage": 125}]}}',
    "pairs.json": b'["BTC/USDT", "ETH/USDT"]',
    "manifest.json": b'{"files": 3, "sha": "ab"}',
    "BTCUSDT-trades.csv": b"timestamp,price,qty\n1767596400000,2,1\n",
    "depth.csv": b"timestamp,bid,ask\n1767596400000,2,1\n",
    "broken.parquet": b"PAR1rubbish",
    "error.csv": b"<!DOCTYPE html><html>502</html>",
    "notes.csv": b"hello",
}


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_a_file_that_is_no_market_data_is_set_aside_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    klines = write(bars(), tmp_path / "x" / "BTCUSDT-1h.csv")
    (tmp_path / "x" / name).write_bytes(FOREIGN[name])
    found = the(inspect(tmp_path / "x", now=NOW), "set-aside")
    assert (found.place, found.severity) == (name, "warning")
    assert sums(read_any([tmp_path / "x"], now=NOW), "close")[0] == pytest.approx(bars()["close"].sum())
    # Named itself, or alone, it is refused.
    with pytest.raises(DataFormatError, match=name.split(".")[0]):
        inspect([klines, tmp_path / "x" / name], now=NOW)
    klines.unlink()
    with pytest.raises(DataFormatError, match=name.split(".")[0]):
        inspect(tmp_path / "x", now=NOW)


def test_the_side_file_of_a_collector(field: Path) -> None:
    report = inspect(case(field, "03"), now=NOW)
    assert report.ok
    assert the(report, "set-aside").place == "leverage_tiers_USDT.json"
    assert sums(panel_of(field, "03"), "close")[0] == pytest.approx(CLOSES)


def test_pairs_of_a_collector_have_one_rule(field: Path) -> None:
    assert panel_of(field, "05").symbols == ("BTCUSD", "ETHUSD")
    assert panel_of(field, "06").symbols == ("BTCUSDC", "kPEPEUSDC")


@pytest.mark.parametrize(
    ("stem", "symbol"),
    [
        ("BTC_USD_BTC", "BTCUSD"),
        ("kPEPE_USDC_USDC", "kPEPEUSDC"),
        ("XYZ-TSLA_USDC_USDC", "XYZ-TSLAUSDC"),
        ("\u5e01\u5b89_USDT_USDT", "\u5e01\u5b89USDT"),
        ("1000PEPE_USDT_USDT", "1000PEPEUSDT"),
    ],
)
def test_candles_funding_and_marks_of_a_pair_meet(stem: str, symbol: str) -> None:
    for end in ("1h-futures.feather", "8h-funding_rate.feather", "1h-mark.parquet", "4h-futures.json.gz"):
        assert name_hints(f"data/futures/{stem}-{end}").symbol == symbol


# -- names -----------------------------------------------------------------------------------------------


def test_what_a_file_name_says_of_the_symbol(field: Path) -> None:
    with open(case(field, "66") / "names.csv", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            name, right = row["file name"], row["symbol right"].split(" ")[0]
            assert name_hints(name).symbol == right, name
    assert name_hints("BTC-USDT-SWAP_1H.csv").bar_seconds == 3600


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTC_1h.csv", "BTC"),
        ("btc-funding.csv", "BTC"),
        ("BTCUSDT - Copy (2).csv", "BTCUSDT"),
        ("solusdc_15m.parquet", "SOLUSDC"),
        ("kline_ETH_USDT_1h.csv", "ETHUSDT"),
        ("Bybit_SOL-USDC_4h.csv", "SOLUSDC"),
        ("ETH-PERPETUAL.json", "ETH-PERPETUAL"),
        ("PF_XBTUSD_1h.csv", "PF_XBTUSD"),
        ("BTCUSDT60.csv", "BTCUSDT"),
        ("coin=ETH/part-3.parquet", "ETH"),
        ("data/ethusdt/2026-01.csv", "ETHUSDT"),
    ],
)
def test_names_of_the_same_kind(name: str, symbol: str) -> None:
    assert (name_hints(name).symbol or guessed_symbol(name)) == symbol


def test_lower_case_names_meet_their_funding(field: Path) -> None:
    panel = panel_of(field, "46")
    assert panel.symbols == ("1000PEPEUSDT", "BTCUSDT")
    assert sums(panel, "funding_paid", symbol=1)[0] == pytest.approx(PAID)


def test_folders_name_the_symbol(field: Path) -> None:
    panel = panel_of(field, "43")
    assert panel.symbols == ("1000PEPEUSDT", "BTCUSDT")
    assert sums(panel, "close", symbol=1)[0] == pytest.approx(CLOSES)
    two = panel_of(field, "44")
    assert two.symbols == ("BTCUSDT", "ETHUSDT")
    assert np.isfinite(two["close"]).sum(axis=0).tolist() == [120, 120]


def test_two_files_with_one_guessed_name_are_not_one_symbol(field: Path, tmp_path: Path) -> None:
    for i, found in enumerate(sorted(case(field, "44").rglob("*.parquet"))):
        (tmp_path / f"run{i}").mkdir()
        shutil.copy(found, tmp_path / f"run{i}" / "part-0.parquet")
    with pytest.raises(DataDefectError, match="both called PART_0"):
        read_any([tmp_path], now=NOW)


def test_inverse_and_linear_are_never_one_symbol(tmp_path: Path) -> None:
    later = bars(40, start=pd.Timestamp("2026-01-10", tz="UTC"))
    write(later.drop(columns="symbol"), tmp_path / "BTC_USD_USD-1h-futures.parquet")
    write(bars(40).drop(columns="symbol"), tmp_path / "BTC_USD_BTC-1h-futures.parquet")
    assert the(inspect(tmp_path, now=NOW), "shared-name").symbol == "BTCUSD"


# -- funding ---------------------------------------------------------------------------------------------


def test_a_current_rate_is_paid_once_at_its_settlement(field: Path) -> None:
    panel = panel_of(field, "08")
    assert sums(panel, "funding_paid")[0] == pytest.approx(PAID)
    assert np.count_nonzero(panel["funding_paid"][:, 0]) == 30
    assert panel["open_interest"][0, 0] == 80000.5  # what else the stream says is kept


@pytest.mark.parametrize("clock", ["time", "ts"])
@pytest.mark.parametrize("settles", ["nextFundingTime", "funding_timestamp"])
def test_polled_rates_are_the_same_kind(clock: str, settles: str, tmp_path: Path) -> None:
    times = pd.date_range("2026-01-05", periods=600, freq="15min", tz="UTC")
    at = times.ceil("8h")
    rate = np.where(times == at, 1e-4, 3e-4)  # only the last rate before the settlement is paid
    rows = pd.DataFrame({clock: epochs(times), "symbol": "BTCUSDT", "lastFundingRate": rate, settles: epochs(at)})
    paths = [write(bars(120), tmp_path / "k.csv"), write(rows, tmp_path / "polled.csv")]
    panel = read_any(paths, now=NOW)
    paid = panel["funding_paid"][:, 0]
    assert np.count_nonzero(np.nan_to_num(paid)) == 15
    assert set(paid[np.nan_to_num(paid) != 0]) == {1e-4}


def test_rates_every_minutes_without_a_settlement_are_refused(tmp_path: Path) -> None:
    times = pd.date_range("2026-01-05", periods=600, freq="5min", tz="UTC")
    rows = pd.DataFrame({"timestamp": times, "symbol": "BTCUSDT", "funding_rate": np.linspace(1e-5, 2e-5, 600)})
    assert "current rate" in the(inspect(write(rows, tmp_path / "f.csv"), now=NOW), "funding-running").detail


def test_a_rate_carried_on_is_paid_once(field: Path) -> None:
    report = inspect(case(field, "10"), now=NOW)
    assert report.ok
    assert codes(report) == {"funding-carried"}
    # The last settlement, at the end of the last bar, is not in the file.
    assert sums(panel_of(field, "10"), "funding_paid")[0] == pytest.approx(-0.00086109)


def test_hourly_settlements_are_not_taken_for_carried_ones(tmp_path: Path) -> None:
    rates = funding(100, hours=1).assign(funding_rate=lambda f: f["funding_rate"] / 8)
    paths = [write(bars(120), tmp_path / "k.csv"), write(rates, tmp_path / "f.csv")]
    assert codes(inspect(paths, now=NOW)) == set()
    assert sums(read_any(paths, now=NOW), "funding_paid")[0] == pytest.approx(rates["funding_rate"][1:].sum())


@pytest.mark.parametrize(("number", "a_year"), [("11", "10.8"), ("12", "41"), ("13", "6.79")])
def test_rates_in_an_unknown_unit_are_refused_with_what_they_would_mean(field: Path, number: str, a_year: str) -> None:
    report = inspect(case(field, number), now=NOW)
    found = the(report, "funding-percent")
    assert not report.ok
    assert f"{a_year} times the notional a year" in found.detail
    assert "unit is unknown" in found.detail
    assert "divide by 100" not in found.fix


def test_candles_of_a_rate_are_no_prices(field: Path) -> None:
    (part,) = read_parts([case(field, "13")])
    assert part.kind == "funding"
    assert part.frame["funding_rate"].iloc[0] == 0.0062  # its close, at its end
    assert str(part.frame["timestamp"].iloc[0])[:16] == "2026-02-01 08:00"


def test_a_symbol_without_settlements_is_told_and_unknown(field: Path) -> None:
    found = the(inspect(case(field, "15"), now=NOW), "funding-missing")
    assert (found.symbol, found.count) == ("SOLUSDT", 240)
    panel = panel_of(field, "15")
    assert np.isnan(panel["funding_paid"][:, panel.symbols.index("SOLUSDT")]).all()


def test_unknown_funding_is_not_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(bars(1500, ("BTCUSDT", "ETHUSDT")), tmp_path / "bars.parquet")
    out = tmp_path / "market"
    assert call_midas(capsys, "data", "import", str(tmp_path / "bars.parquet"), "--out", str(out)).code == 0
    result = call_midas(capsys, "evaluate", "-delta(close, 3)", "--data", str(out), "--json")
    assert '"funding_bps": null' in result.out


def test_an_archive_calls_the_symbol_its_own_way(field: Path) -> None:
    panel = panel_of(field, "21")
    assert panel.symbols == ("BTC-USDT-SWAP",)
    assert sums(panel, "funding_paid")[0] == pytest.approx(PAID)
