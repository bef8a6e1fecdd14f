"""Many files to one panel: as it was known at each close, mended where that needs no guess, whole on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_market import NOW, START, bars, codes, funding, headless, same_bars, write
from midas_engine.errors import DataDefectError, DataFormatError
from midas_engine.market import import_panel, inspect, load_panel, read_any

if TYPE_CHECKING:
    from pathlib import Path


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
        timeout=110,
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
        import_panel([good], bad, now=NOW)
    with pytest.raises(DataFormatError, match="lies inside what is imported"):
        import_panel([good], good, now=NOW)


def test_funding_alone_is_no_panel(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="no klines"):
        read_any([write(funding(), tmp_path / "f.csv")], now=NOW)
