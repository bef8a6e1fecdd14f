"""From files as people have them to a verdict in two commands and to a running monitor in three."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from midas_engine.clock import WallClock
from tests.helpers_cli import ROOT, Ran, call_midas, run_midas
from tests.helpers_market import bars, epochs

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BARS, EXPRESSION = 240, "-ts_zscore(close, 24)"
OPENED = ["open", "high", "low", "close", "volume"]


def fresh(symbols: int) -> dict[str, pd.DataFrame]:
    """Hours up to the last that closed: a monitor begins where its bars end."""
    last = pd.Timestamp(WallClock().now()).floor("h") - pd.Timedelta("1h")
    start = last - pd.Timedelta(hours=BARS - 1)
    names = [f"{coin}USDT" for coin in ("BTC", "ETH", "SOL", *(f"C{i:02}" for i in range(symbols - 3)))]
    return {name: bars(BARS, (name,), start=start, seed=i) for i, name in enumerate(names)}


def bot(folder: Path) -> Path:
    """A bot's futures folder: candles, marks, and funding as candles whose open is the rate."""
    home = folder / "user_data/data/binance/futures"
    home.mkdir(parents=True)
    for name, frame in fresh(3).items():
        pair = f"{name.removesuffix('USDT')}_USDT_USDT"
        rows = frame[["timestamp", *OPENED]].rename(columns={"timestamp": "date"})
        rows.to_feather(home / f"{pair}-1h-futures.feather")
        rows.assign(volume=0.0).to_feather(home / f"{pair}-1h-mark.feather")
        paid = rows[rows["date"].dt.hour % 8 == 0].assign(open=1e-4, high=0.0, low=0.0, close=0.0, volume=0.0)
        paid.reset_index(drop=True).to_feather(home / f"{pair}-8h-funding_rate.feather")
    (home / "leverage_tiers_USDT.json").write_text('{"BTC/USDT:USDT": [{"minNotional": 0}]}')
    return folder / "user_data"


def zips(folder: Path) -> Path:
    """Twenty symbols of a venue's public archive, a zip a month, with their checksums."""
    for name, frame in fresh(20).items():
        home = folder / "data/futures/um/monthly/klines" / name / "1h"
        home.mkdir(parents=True)
        for month, rows in frame.groupby(frame["timestamp"].dt.strftime("%Y-%m")):
            cells = rows[OPENED].assign(open_time=epochs(rows["timestamp"]))
            cells = cells.assign(close_time=cells["open_time"] + 3_599_999, quote_volume=rows["quote_volume"], count=7)
            order = ["open_time", *OPENED, "close_time", "quote_volume", "count"]
            stream, stem = io.BytesIO(), f"{name}-1h-{month}"
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(f"{stem}.csv", cells[order].to_csv(index=False))
            path = home / f"{stem}.zip"
            path.write_bytes(stream.getvalue())
            digest = hashlib.sha256(stream.getvalue()).hexdigest()
            path.with_name(f"{path.name}.CHECKSUM").write_text(f"{digest}  {path.name}\n")
    return folder / "data"


def test_a_bots_folder_to_a_verdict_in_two_commands_and_to_a_monitor_in_three(tmp_path: Path) -> None:
    source = bot(tmp_path)
    imported = run_midas("data", "import", str(source.relative_to(tmp_path)), "--venue", "mine", cwd=tmp_path)
    assert_imported(imported, 3)
    assert "leverage_tiers_USDT.json" in imported.out, "what is no market data is named"
    judged = run_midas("evaluate", EXPRESSION, "--data", "store:mine", "--json", cwd=tmp_path)
    found = assert_judged(judged, 3)
    assert found["extra"]["funding_bps"] is not None
    seen = watched(tmp_path, "monitor", "--expr", EXPRESSION, "--data", "store:mine", "--json")
    assert seen["features"] == 1


def test_twenty_symbols_of_public_zips_to_a_verdict_in_two_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = zips(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert_imported(call_midas(capsys, "data", "import", str(source), "--venue", "mine"), 20)
    found = assert_judged(call_midas(capsys, "evaluate", EXPRESSION, "--data", "store:mine", "--json"), 20)
    assert found["extra"]["funding_bps"] is None, "unknown is not zero"


def assert_imported(ran: Ran, symbols: int) -> None:
    assert ran.code == 0, ran.out + ran.err
    assert f"{symbols} symbols" in ran.out
    assert "mine@1h" in ran.out


def assert_judged(ran: Ran, symbols: int) -> Any:
    assert ran.code in (0, 1), ran.err
    verdict = ran.document
    assert len(verdict["verdicts"]) == 6
    assert verdict["evaluation"]["symbols"] == symbols
    assert np.isfinite(verdict["evaluation"]["rank_ic"]["value"])
    return verdict["evaluation"]


def watched(folder: Path, *args: str) -> Any:
    """The last bar that a monitor caught up with, once it says that it runs."""
    command = [sys.executable, "-m", "midas", *args]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert running.stdout is not None
    last: Any = None
    try:
        for line in running.stdout:
            event = json.loads(line)
            if event["type"] == "BarProcessed":
                last = event
            elif event["type"] == "RuntimeChanged" and event["phase"] in ("running", "degraded"):
                break
    finally:
        running.terminate()
        running.wait(30)
        running.stdout.close()
    return last
