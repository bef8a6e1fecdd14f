"""Dumps, answers and collectors' files, each in its layout, to one panel."""

from __future__ import annotations

import gzip
import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_market import NOW, START, bars, funding, headless, kline_rows, same_bars, write
from midas_engine.market import load_panel, read_any
from midas_engine.market.importers import read_parts
from midas_engine.market.importers.columns import HEADLESS, canonical
from midas_engine.market.importers.names import interval_seconds, name_hints

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def samples(root: Path) -> Path:
    return root / "tests" / "data"


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
