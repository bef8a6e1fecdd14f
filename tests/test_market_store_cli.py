"""The market store by its verbs: import, info, verify, compact, prune; and `--data store:NAME`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from midas_engine.market import Panel, load_panel
from tests.helpers_cli import ROOT, call_midas

if TYPE_CHECKING:
    from pathlib import Path


def candles(bars: int) -> pd.DataFrame:
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, bars)))
    return pd.DataFrame(
        {
            "timestamp": pd.date_range("2026-01-05", periods=bars, freq="h", tz="UTC"),
            "symbol": "BTCUSDT",
            "open": close,
            "high": close * 1.01,
            "low": close * 0.99,
            "close": close,
            "volume": close + 1.0,
        }
    )


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDAS_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)


def test_import_appends_and_says_what_was_known_and_restated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    candles(48).to_csv(dumps / "first.csv", index=False)
    first = call_midas(capsys, "data", "import", str(dumps), "--venue", "Binance", "--json")
    assert (first.code, first.document["source"], first.document["added"]) == (0, "store:binance@1h", 48)
    later = candles(60)
    later.loc[10, "close"] *= 1.001
    later.to_csv(dumps / "first.csv", index=False)
    again = call_midas(capsys, "data", "import", str(dumps), "--venue", "binance")
    assert "12 bars added, 47 known already, 1 RESTATED (close 1)" in again.out
    assert "restated: BTCUSDT 2026-01-05T10:00:00 close" in again.out
    said = call_midas(capsys, "data", "info", "store:binance@1h", "--json").document
    assert (said["bars"], said["restated"], said["empty_bars"]) == (60, 1, 0)
    assert said["columns"][0]["from"][0]["how"] == "imported"
    assert said["columns"][0]["coverage"] == 1.0
    panel = load_panel("store:binance@1h", store=tmp_path / "store")
    assert said["snapshot"] == panel.snapshot_id
    assert panel.provenance["close"][0].kind == "candles"
    replaced = call_midas(capsys, "data", "import", str(dumps), "--venue", "binance", "--replace", "--json").document
    assert (replaced["replaced"], replaced["added"]) == (60, 60)


def test_the_store_inside_a_folder_of_dumps_is_no_dump(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIDAS_STORE")
    candles(48).to_csv(tmp_path / "bars.csv", index=False)
    for _ in range(2):
        done = call_midas(capsys, "data", "import", ".", "--json").document
        assert (done["source"], done["files"]) == ("store:local@1h", 1)
    assert (tmp_path / "midas-store" / "manifest.json").is_file()


def test_out_and_the_store_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    candles(48).to_csv(tmp_path / "bars.csv", index=False)
    both = call_midas(capsys, "data", "import", "bars.csv", "--out", "m", "--venue", "x")
    assert both.code == 2
    assert "one of them" in both.err
    bad = call_midas(capsys, "data", "import", "bars.csv", "--venue", "../x")
    assert bad.code == 3
    assert "cannot name a venue" in bad.err


def test_upkeep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing yet" in call_midas(capsys, "data", "info", "store").out
    for verb in ("verify", "compact", "prune"):
        assert call_midas(capsys, "data", verb).code == 3
    assert not (tmp_path / "store").exists()
    candles(24 * 40).to_csv(tmp_path / "bars.csv", index=False)
    call_midas(capsys, "data", "import", "bars.csv", "--venue", "x")
    call_midas(capsys, "evaluate", "ts_zscore(close, 24)", "--part", "all", "--data", "store:x")
    assert call_midas(capsys, "data", "verify", "--json").document["ok"] is True
    assert "store:x@1h" in call_midas(capsys, "data", "info", "store").out
    stray = tmp_path / "store" / "bars" / "mine.parquet"
    stray.write_bytes(b"PAR1")
    file = next((tmp_path / "store" / "bars").rglob("month=2026-01/0*.parquet"))
    file.write_bytes(file.read_bytes()[:-1] + b"X")
    wrong = call_midas(capsys, "data", "verify")
    assert wrong.code == 1
    assert "mine.parquet" in wrong.out
    assert file.name in wrong.out
    assert "SHA-256" in wrong.out
    cut = call_midas(capsys, "data", "prune", "store:x", "--before", "2026-02-01", "--json").document
    assert cut["rows"] == 24 * 27
    assert stray.exists(), "what is not ours is not removed"
    assert call_midas(capsys, "data", "prune", "--before", "2026-02-01").code == 2
    assert call_midas(capsys, "data", "prune", "store:x", "--before", "2027-02-01").code == 3
    assert call_midas(capsys, "data", "compact", "store:x", "--json").document["files_after"] == 1
    assert call_midas(capsys, "data", "info", "store:x:ETHUSDT").code == 4
    assert call_midas(capsys, "data", "info", "store:../x").code == 3


def test_the_store_is_data_as_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    panel = load_panel("synthetic:3")
    some = panel.select(symbols=panel.symbols[:6], start=panel.timestamps[-2000])
    Panel(some.timestamps, some.symbols, some.fields, some.bar_seconds).save(tmp_path / "panel.parquet")
    call_midas(capsys, "data", "import", "panel.parquet", "--venue", "world")

    def verdict(data: str) -> dict[str, Any]:
        document = call_midas(capsys, "evaluate", "ts_zscore(returns, 24)", "--data", data, "--json").document
        return {k: v for k, v in document.items() if k in ("rank_ic", "score_t", "bars_scored")}

    assert verdict("store:world@1h") == verdict(str(tmp_path / "panel.parquet"))


def test_info_opens_no_file_of_bars_and_imports_nothing_that_could(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    candles(24 * 40).to_csv(tmp_path / "bars.csv", index=False)
    call_midas(capsys, "data", "import", "bars.csv", "--venue", "x")
    for file in (tmp_path / "store" / "bars").rglob("*.parquet"):
        file.write_bytes(b"")
    command = [sys.executable, "-X", "importtime", "-m", "midas", "data", "info", "store:x"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert "960 bars" in done.stdout
    slow = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not slow & {"numpy", "pandas", "pyarrow"}
