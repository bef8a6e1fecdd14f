"""Files as people have them, of exchanges, vendors and spreadsheets: columns, clocks, units, dead markets."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from helpers_cli import call_midas
from helpers_field import CLOSES, QUOTE, VOLUME, case, panel_of, sums
from helpers_market import NOW, bars, codes, epochs, the, write
from midas_engine.errors import DataDefectError, DataFormatError
from midas_engine.market import inspect, read_any
from midas_engine.market.importers.options import import_options

if TYPE_CHECKING:
    from pathlib import Path

PRICES = ["open", "high", "low", "close"]


def rows_of(frame: pd.DataFrame, *columns: str) -> list[list[Any]]:
    return frame.assign(timestamp=epochs(frame["timestamp"]))[["timestamp", *columns]].to_numpy().tolist()


# -- contracts and coins ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["18", "19"])
def test_volume_is_in_coins_where_a_column_has_them(field: Path, number: str) -> None:
    panel = panel_of(field, number)
    assert sums(panel, "close", "volume", "quote_volume") == pytest.approx((CLOSES, VOLUME, QUOTE), rel=1e-6)
    assert set(panel.fields) == {*PRICES, "volume", "quote_volume"}
    assert ((panel["vwap"] >= panel["low"] * 0.998) & (panel["vwap"] <= panel["high"] * 1.002)).all()
    assert the(inspect(case(field, number), now=NOW), "mended-volume").count == 240


def test_a_row_that_says_its_bar_is_not_over_is_left_out(field: Path, tmp_path: Path) -> None:
    text = (case(field, "19") / "BTC-USDT-SWAP.csv").read_text()
    lines = text.splitlines()
    lines[-1] = lines[-1][:-1] + "0"
    (tmp_path / "BTC-USDT-SWAP.csv").write_text("\n".join(lines))
    assert the(inspect(tmp_path, now=NOW), "unfinished").count == 1
    assert read_any([tmp_path], now=NOW).T == 239


@pytest.mark.parametrize("factor", [100.0, 0.1, 1000.0])
def test_contracts_of_unknown_size_are_refused(factor: float, tmp_path: Path) -> None:
    path = write(bars().assign(volume=lambda f: f["volume"] * factor), tmp_path / "BTCUSDT-1h.csv")
    assert f"{1 / factor:.3g} times the price" in the(inspect(path, now=NOW), "contracts").detail
    with pytest.raises(DataDefectError, match="contracts"):
        read_any([path], now=NOW)


def test_contracts_that_settle_in_coin_are_told_apart(tmp_path: Path) -> None:
    sound = bars(200)
    # As the dumps of coin-margined futures: contracts of 100 in money, then coins.
    inverse = sound.assign(volume=sound["quote_volume"] / 100, quote_volume=sound["volume"])
    panel = read_any([write(inverse.drop(columns="taker_buy_volume"), tmp_path / "BTCUSD_PERP-1h.csv")], now=NOW)
    np.testing.assert_allclose(panel["volume"][:, 0], sound["volume"])
    np.testing.assert_allclose(panel["quote_volume"][:, 0], sound["quote_volume"])


# -- rows without names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seventh", "column"),
    [(lambda f: f["quote_volume"], "quote_volume"), (lambda f: f["volume"].mul(99).round(), "trades")],
)
def test_seven_columns_without_names_are_decided_by_their_figures(seventh: Any, column: str, tmp_path: Path) -> None:
    frame = bars(60).assign(x=seventh)
    (tmp_path / "BTCUSDT-1h.json").write_text(json.dumps(rows_of(frame, *PRICES, "volume", "x")))
    panel = read_any([tmp_path], now=NOW)
    np.testing.assert_allclose(panel[column][:, 0], frame["x"])
    assert set(panel.fields) == {*PRICES, "volume", column}


def test_seven_columns_that_nothing_tells_are_refused_with_the_way_out(tmp_path: Path) -> None:
    frame = bars(60).assign(x=np.random.default_rng(3).normal(0, 1, 60))
    (tmp_path / "BTCUSDT-1h.json").write_text(json.dumps(rows_of(frame, *PRICES, "volume", "x")))
    with pytest.raises(DataFormatError, match="seventh column") as caught:
        inspect(tmp_path, now=NOW)
    assert "--column 7=" in str(caught.value.hint)
    panel = read_any([tmp_path], now=NOW, options=import_options(columns=["7=basis"]))
    np.testing.assert_allclose(panel["basis"][:, 0], frame["x"])


def test_prices_in_another_order_are_refused_and_named(field: Path) -> None:
    report = inspect(case(field, "17"), now=NOW)
    assert not report.ok
    assert "the order low, high, open, close" in the(report, "column-order").detail
    said = ["2=low", "3=high", "4=open", "5=close"]
    assert sums(panel_of(field, "17", columns=said), *PRICES)[3] == pytest.approx(CLOSES)
    assert inspect(case(field, "17"), now=NOW, options=import_options(columns=said)).ok


@pytest.mark.parametrize("order", [["open", "close", "high", "low"], ["close", "open", "low", "high"]])
def test_any_wrong_order_is_seen(order: list[str], tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT-1h.json").write_text(json.dumps(rows_of(bars(60), *order, "volume")))
    assert ", ".join(order) in the(inspect(tmp_path, now=NOW), "column-order").detail


# -- answers and exports ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "symbol", "columns"),
    [
        ("22", "BTC", {"trades"}),
        ("23", "BTC-PERPETUAL", {"quote_volume"}),
        ("26", "BTCUSDT_PERP.A", {"trades", "taker_buy_volume", "btx"}),
        ("27", "BTCUSDT", set()),
        ("28", "BTCUSDT", {"tickvol", "spread"}),
        ("31", "BTCUSDT", {"trades", "quote_volume"}),
        ("35", "BTCUSDT", set()),
        ("39", "BTCUSDT", set()),
    ],
)
def test_a_layout_is_read(field: Path, number: str, symbol: str, columns: set[str]) -> None:
    panel = panel_of(field, number)
    assert (panel.symbols, panel.T, str(panel.timestamps[0])[:13]) == ((symbol,), 240, "2026-02-01T00")
    assert set(panel.fields) == {*PRICES, "volume"} | columns
    assert sums(panel, "close", "volume") == pytest.approx((CLOSES, VOLUME), rel=1e-9)
    if "quote_volume" in columns:
        assert sums(panel, "quote_volume")[0] == pytest.approx(QUOTE, rel=1e-6)


def test_the_vendors_table_without_its_first_line(field: Path, tmp_path: Path) -> None:
    (found,) = case(field, "31").glob("*.csv")
    (tmp_path / found.name).write_text(found.read_text().split("\n", 1)[1])
    assert sums(read_any([tmp_path], now=NOW), "volume")[0] == pytest.approx(VOLUME)


WRAPPERS = {
    "columns": lambda f: {"s": "ok", "t": epochs(f["timestamp"]).tolist()} | {c[0]: f[c].tolist() for c in PRICES},
    "data.list": lambda f: {"data": {"list": rows_of(f, *PRICES, "volume")}},
    "result by symbol": lambda f: {"error": [], "result": {"ETHUSDT": rows_of(f, *PRICES, "volume"), "last": 5}},
    "candles": lambda f: {"candles": rows_of(f, *PRICES, "volume")},
    "under the symbol": lambda f: [{"symbol": "ETHUSDT", "rows": [dict(zip("tohlc", r, strict=True))
                                                                for r in rows_of(f, *PRICES)]}],
    "stream": lambda f: [{"t": t, "T": t + 3_599_999, "s": "ETHUSDT", "i": "1h", "o": o, "h": h, "l": low, "c": c}
                         for t, o, h, low, c in rows_of(f, *PRICES)],
}  # fmt: skip


@pytest.mark.parametrize("wrapper", sorted(WRAPPERS))
def test_answers_however_deep_their_rows_lie(wrapper: str, tmp_path: Path) -> None:
    (tmp_path / "ETHUSDT.json").write_text(json.dumps(WRAPPERS[wrapper](bars(40))))
    panel = read_any([tmp_path], now=NOW)
    assert panel.symbols == ("ETHUSDT",)
    np.testing.assert_allclose(panel["low"][:, 0], bars(40)["low"])


def test_bars_stamped_with_their_close(field: Path, tmp_path: Path) -> None:
    report = inspect(case(field, "30"), now=NOW)
    assert report.ok
    assert codes(report) == set()  # its own settlement hours are no fault
    panel = panel_of(field, "30")
    assert (str(panel.timestamps[0])[:16], str(panel.timestamps[-1])[:16]) == ("2026-02-01T00:00", "2026-02-10T23:00")
    assert sums(panel, "volume", "quote_volume") == pytest.approx((VOLUME, QUOTE), rel=1e-6)
    assert panel["funding_paid"][3, 0] == 0.0001  # settled at 04:00, when the bar of 03:00 closes
    for late in (pd.Timedelta(0), pd.Timedelta("1ms"), pd.Timedelta("1s")):
        frame = bars(40).assign(timestamp=lambda f, late=late: f["timestamp"] + pd.Timedelta("1h") - late)
        path = write(frame, tmp_path / "BTCUSDT-1h.csv")
        moved = read_any([path], now=NOW, options=import_options(stamps="close"))
        assert str(moved.timestamps[0])[:16] == "2026-01-05T00:00"


# -- tables ----------------------------------------------------------------------------------------------


def test_one_column_a_symbol_is_named_and_read_when_told(field: Path) -> None:
    with pytest.raises(DataFormatError, match="one column a symbol") as caught:
        inspect(case(field, "37"), now=NOW)
    assert "--column '*=close'" in str(caught.value.hint)
    panel = panel_of(field, "37", columns=["*=close"])
    assert panel.symbols == ("1000PEPEUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT")
    assert sums(panel, "close", symbol=1)[0] == pytest.approx(CLOSES)


def test_levels_of_an_index_are_symbol_and_time(field: Path, tmp_path: Path) -> None:
    panel = panel_of(field, "40")
    assert panel.symbols[1] == "BTCUSDT"
    assert sums(panel, "close", symbol=1)[0] == pytest.approx(CLOSES)
    frame = bars(40, ("BTCUSDT", "ETHUSDT")).set_index(["symbol", "timestamp"]).rename_axis([None, None])
    frame.to_csv(tmp_path / "panel.csv")
    assert read_any([tmp_path], now=NOW).symbols == ("BTCUSDT", "ETHUSDT")


def test_symbols_under_an_unknown_name_are_asked_for(field: Path) -> None:
    report = inspect(case(field, "42"), now=NOW)
    assert {d.code for d in report.defects if d.severity == "error"} == {"unknown-symbol"}
    assert "Asset_ID would tell them apart" in the(report, "unknown-symbol").detail
    panel = panel_of(field, "42", columns=["Asset_ID=symbol"])
    assert panel.symbols == ("1", "6")
    assert sums(panel, "close")[0] == pytest.approx(CLOSES)


def test_rounded_times_are_named_and_nothing_else(field: Path) -> None:
    report = inspect(case(field, "47"), now=NOW)
    assert {d.code for d in report.defects if d.severity == "error"} == {"rounded-times"}
    assert "rounded to 167 minutes" in the(report, "rounded-times").detail


def test_of_two_clocks_the_one_with_a_zone_counts(field: Path) -> None:
    panel = panel_of(field, "49")
    assert str(panel.timestamps[0])[:13] == "2026-02-01T00"
    assert set(panel.fields) == {*PRICES, "volume"}
    assert "date is +8 h from unix" in the(inspect(case(field, "49"), now=NOW), "two-clocks").detail


def test_months_are_named(field: Path) -> None:
    report = inspect(case(field, "59"), now=NOW)
    assert {d.code for d in report.defects if d.severity == "error"} == {"monthly-bars"}


def test_the_last_bar_of_an_older_file_gives_way(field: Path, tmp_path: Path) -> None:
    panel = panel_of(field, "61")
    assert sums(panel, "close", "volume") == pytest.approx((CLOSES, VOLUME))
    assert codes(inspect(case(field, "61"), now=NOW)) == set()
    # A conflict anywhere else stays one.
    for i, found in enumerate(sorted(case(field, "61").glob("*.csv"))):
        frame = pd.read_csv(found)
        write(frame if i else pd.concat([frame, frame.tail(1).assign(timestamp="2026-02-06 01:00:00+00:00")]),
              tmp_path / found.name)  # fmt: skip
    assert "conflict" in codes(inspect(tmp_path, now=NOW))


def test_a_panel_beside_its_dumps_is_no_dump(field: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, count in (("first-half.csv", 120), ("second-half.csv", 240)):
        shutil.copy(case(field, "65") / name, tmp_path / name)
        out = tmp_path.with_name("made")
        done = call_midas(capsys, "data", "import", str(tmp_path), "--out", str(out), "--json")
        assert (done.code, done.document["panel"]["bars"]) == (0, count)
        shutil.copy(out / "panel.parquet", tmp_path)
    for inside in (tmp_path, tmp_path / "deep" / "er", tmp_path / ".." / tmp_path.name):
        refused = call_midas(capsys, "data", "import", str(tmp_path), "--out", str(inside))
        assert refused.code == 3
        assert "inside what is imported" in refused.err


def test_the_command_line_says_what_files_do_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    late = bars(60).drop(columns="symbol").assign(timestamp=lambda f: f["timestamp"] + pd.Timedelta("1h"))
    path = write(late.rename(columns={"close": "settle"}), tmp_path / "export.csv")
    said = ("--symbol", "XAUUSDT", "--stamps", "close", "--column", "settle=close", "--kind", "candles")
    done = call_midas(capsys, "data", "import", str(path), "--out", str(tmp_path / "m"), *said, "--json")
    assert done.document["symbols"] == ["XAUUSDT"]
    assert done.document["panel"]["from"] == "2026-01-05T00:00"
    assert call_midas(capsys, "data", "check", str(path), "--kind", "weather").code == 2
    for word in ("--symbol", "--kind", "--stamps", "--column", "--bar"):
        assert word in call_midas(capsys, "data", "import", "--help").out


# -- markets ---------------------------------------------------------------------------------------------


def test_zero_open_interest_between_large_figures_is_none(field: Path) -> None:
    assert the(inspect(case(field, "52"), now=NOW), "zero-figure").count == 100
    interest = panel_of(field, "52")["open_interest"]
    assert not (interest == 0).any()


def test_a_new_denomination_makes_no_return(field: Path) -> None:
    found = the(inspect(case(field, "55"), now=NOW), "price-jump")
    assert (found.symbol, f"{found.first_at:%Y-%m-%d %H}") == ("SOLUSDT", "2026-02-06 00")
    panel = panel_of(field, "55")
    returns = np.diff(np.log(panel["close"]), axis=0)
    assert np.nanmax(np.abs(returns)) < 0.2


def test_dead_bars_are_cut(field: Path) -> None:
    found = the(inspect(case(field, "57"), now=NOW), "delisted")
    assert (found.symbol, found.count) == ("SOLUSDT", 140)
    assert "2026-02-05T03:00" in found.detail
    panel = panel_of(field, "57")
    assert np.isfinite(panel["close"]).sum(axis=0).tolist() == [240, 100]


def test_columns_that_know_the_next_bars_are_warned_of(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    frame = bars(1200, ("BTCUSDT", "ETHUSDT", "SOLUSDT"))
    by_symbol = frame.groupby("symbol")["close"]
    past = by_symbol.transform(lambda c: np.log(c / c.shift(12)))
    frame = frame.assign(
        dpo=by_symbol.transform(lambda c: c / c.rolling(24, center=True).mean() - 1),
        chikou=by_symbol.transform(lambda c: c.shift(-26) / c - 1),
        next_bar=by_symbol.transform(lambda c: c.shift(-1) / c - 1) + rng.normal(0, 0.004, len(frame)),
        momentum=past,
        noise=rng.normal(size=len(frame)),
        mean=by_symbol.transform(lambda c: c / c.rolling(24).mean() - 1),
    )
    report = inspect(write(frame, tmp_path / "bars.parquet"), now=NOW.replace(month=6))
    assert {d.column for d in report.defects if d.code == "knows-future"} == {"dpo", "chikou", "next_bar"}
