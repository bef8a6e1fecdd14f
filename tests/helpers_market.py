"""Sound bars to spoil: long frames, and files in the layouts of exchanges."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from midas_engine.market import Panel
from midas_engine.market.importers.columns import KLINE

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.market import Defect, DoctorReport

START = pd.Timestamp("2026-01-05", tz="UTC")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def bars(
    count: int = 60,
    symbols: tuple[str, ...] = ("BTCUSDT",),
    seconds: int = 3600,
    start: pd.Timestamp = START,
    seed: int = 1,
) -> pd.DataFrame:
    """Consistent klines, sorted by symbol and time."""
    rng = np.random.default_rng(seed)
    frames = []
    for symbol in symbols:
        close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.004, count)))
        opened = np.concatenate([[100.0], close[:-1]])
        high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
        volume = rng.uniform(10, 20, count)
        frames.append(
            pd.DataFrame(
                {
                    "timestamp": start + pd.to_timedelta(np.arange(count) * seconds, unit="s"),
                    "symbol": symbol,
                    "open": opened,
                    "high": high,
                    "low": low,
                    "close": close,
                    "volume": volume,
                    "quote_volume": volume * (opened + close) / 2,
                    "taker_buy_volume": volume * 0.4,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def epochs(times: Any, unit: str = "ms") -> np.ndarray[Any, np.dtype[np.int64]]:
    """UTC times as epoch numbers."""
    divisor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    return pd.DatetimeIndex(times).as_unit("ns").asi8 // divisor


def funding(count: int = 30, symbol: str = "BTCUSDT", hours: int = 8, start: pd.Timestamp = START) -> pd.DataFrame:
    """Settlements of everyday size."""
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "timestamp": start + pd.to_timedelta(np.arange(count) * hours, unit="h"),
            "symbol": symbol,
            "funding_rate": 1e-4 + rng.normal(0, 5e-5, count),
        }
    )


def write(frame: pd.DataFrame, path: Path) -> Path:
    """The frame as CSV (or Parquet by its suffix), its file dated long after the data."""
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


def codes(report: DoctorReport) -> set[str]:
    """The defects of a report by name, without remarks."""
    return {d.code for d in report.defects if d.severity != "info"}


def the(report: DoctorReport, code: str) -> Defect:
    """The one defect of a name."""
    found = [d for d in report.defects if d.code == code]
    assert len(found) == 1, [d.code for d in report.defects]
    return found[0]


def kline_rows(frame: pd.DataFrame, unit: str = "ms") -> pd.DataFrame:
    """The twelve columns of a kline dump."""
    opened = epochs(frame["timestamp"], unit)
    step = {"ms": 3_600_000, "us": 3_600_000_000}[unit]
    rows = frame.assign(
        timestamp=opened,
        close_time=opened + step - 1,
        trades=7,
        taker_buy_quote_volume=frame["quote_volume"] * 0.4,
        ignore=0,
    )
    return rows[list(KLINE)]


def headless(frame: pd.DataFrame, path: Path, unit: str = "ms") -> Path:
    """A kline dump without a header."""
    kline_rows(frame, unit).to_csv(path, index=False, header=False)
    return path


def same_bars(panel: Panel, frame: pd.DataFrame, columns: tuple[str, ...] = ("open", "high", "low", "close")) -> None:
    """The panel says what the frame says."""
    expected = Panel.from_frame(frame)
    assert panel.symbols == expected.symbols
    np.testing.assert_array_equal(panel.timestamps, expected.timestamps)
    for column in columns:
        np.testing.assert_allclose(panel[column], expected[column], rtol=1e-12)
