"""Live bars against the venue's final ones: the first field that differs, and the decisions that would be others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.clock import WallClock
from midas_engine.evaluator.reports.decision_flips import decision_flips
from midas_engine.market.fetch.reconcile import recorded
from midas_engine.market.provenance import Provenance
from midas_engine.market.store import MarketStore
from tests.helpers_cli import Ran, call_midas
from tests.helpers_exchange import HOUR
from tests.helpers_venue import FakeVenue, InThread, truth

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

pytest.importorskip("ccxt")
NOW_MS = int(WallClock().now().timestamp() * 1000)
END = NOW_MS // HOUR * HOUR
BEGIN = END - 40 * HOUR
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
CROWD = "cs_rank(volume)"


def keep(store: MarketStore, change: Any = None, how: str = "recorded") -> None:
    """What a live feed would have written down."""
    frames = {}
    for symbol in SYMBOLS:
        frame = truth(symbol, BEGIN, END)
        if change is not None:
            change(symbol, frame)
        frames[symbol] = frame.set_axis(frame.index.tz_localize(None))
    given = Provenance(how, "binance", "candles", datetime(2026, 1, 1, tzinfo=UTC))
    store.append("binance", "1h", frames, given)


def reconcile(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *more: str) -> Ran:
    with InThread(FakeVenue(SYMBOLS, lambda: NOW_MS)) as venue:
        monkeypatch.setenv("MIDAS_VENUE_URL", venue.base)
        monkeypatch.setenv("MIDAS_STORE", str(folder))
        monkeypatch.setenv("MIDAS_KB", str(folder / "kb"))
        return call_midas(capsys, "data", "reconcile", "binance", *more)


def odd(symbol: str, frame: pd.DataFrame) -> None:
    if symbol == "ETHUSDT":
        frame.iloc[7, frame.columns.get_loc("volume")] = 99.0  # a trade that the venue took back
        frame.iloc[9, frame.columns.get_loc("close")] += 0.5
        frame.iloc[11, frame.columns.get_loc("open_interest")] = np.nan


def test_the_first_field_that_differs_and_the_decisions_that_flip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(MarketStore(tmp_path), odd)
    done = reconcile(tmp_path, monkeypatch, capsys, "--json", "--expr", CROWD, "--expr", "cs_rank(open)")
    assert done.code == 1, done.err
    said = done.document
    assert (said["bars"], said["differing"], said["unanswered"]) == (120, 3, 0)
    at = f"{datetime.fromtimestamp((BEGIN + 7 * HOUR) / 1000, UTC):%Y-%m-%d %H:%M}"
    first = said["first"]
    assert (first["symbol"], first["column"], first["at"], first["live"]) == ("ETHUSDT", "volume", at, 99.0)
    assert {c["column"]: (c["bars"], c["lacked"]) for c in said["columns"]} == {
        "volume": (1, 0), "close": (1, 0), "open_interest": (1, 1),
    }  # fmt: skip
    flips = said["features"]
    assert flips["cs_rank(open)"]["flips"] == 0
    assert flips[CROWD]["decisions"] == 120
    assert flips[CROWD]["share"] == flips[CROWD]["flips"] / 120
    assert flips[CROWD]["flips"] >= 1


def test_equal_bars_are_said_to_be_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(MarketStore(tmp_path))
    done = reconcile(tmp_path, monkeypatch, capsys)
    assert done.code == 0, done.err
    assert "120 live bars compared with the venue's final ones, 0 differ" in done.out


def test_what_a_fetch_restated_is_compared_as_the_live_path_saw_it(tmp_path: Path) -> None:
    store = MarketStore(tmp_path)
    keep(store, odd)
    keep(store, how="fetched")  # the final bars, as `midas data fetch --again` brings them
    assert store.panel("store:binance:ETHUSDT@1h")["volume"][7, 0] != 99.0
    assert recorded(store, "binance@1h")["ETHUSDT"]["volume"].iloc[7] == 99.0


def test_without_live_bars_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(MarketStore(tmp_path), how="fetched")
    done = reconcile(tmp_path, monkeypatch, capsys)
    assert done.code == 3
    assert "holds no live bar of binance@1h" in done.err


def test_a_side_that_is_lost_or_changes_is_a_flip() -> None:
    one = np.array([[1.0, 2.0, 3.0], [1.0, np.nan, 3.0]])
    other = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    found = decision_flips(one, other, np.ones((2, 3), dtype=bool))
    assert (found.decisions, found.flips) == (6, 3)
