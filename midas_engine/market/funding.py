"""Funding rates aligned to bars: as-of, never ahead of their settlement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataFormatError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from midas_engine.market.panel import Panel

# A settlement older than this many of its own intervals no longer describes the market.
STALE_INTERVALS = 3


def align_funding(panel: Panel, settlements: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Two fields [T, S] from settlement rows.

    `funding_rate` is the newest rate already settled when the bar CLOSES (a settlement at 08:00
    is known to the bar that opens at 07:00 and closes at 08:00, and to none before).
    `funding_paid` is the sum of rates settled inside the bar, (open, close]: what a long held
    through the bar pays, as a fraction of notional; zero between settlements.

    Args:
        panel: The bars.
        settlements: Rows of `timestamp` (UTC), `symbol`, `funding_rate` (fraction a settlement).

    Raises:
        DataFormatError: A column is missing.
    """
    missing = {"timestamp", "symbol", "funding_rate"} - set(settlements.columns)
    if missing:
        raise DataFormatError(f"funding rows lack {', '.join(sorted(missing))}")
    rate = np.full(panel.shape, np.nan)
    paid = np.full(panel.shape, np.nan)
    closes = panel.timestamps + np.timedelta64(panel.bar_seconds, "s")
    for name, rows in settlements.groupby("symbol", sort=False):
        if name not in panel.symbols:
            continue
        column = panel.symbols.index(str(name))
        rows = rows.sort_values("timestamp").drop_duplicates("timestamp", keep="last")
        times = _utc64(rows["timestamp"])
        rates = rows["funding_rate"].to_numpy(dtype=np.float64)
        rate[:, column] = _as_of(times, rates, closes)
        paid[:, column] = _paid(times, rates, closes, panel.bar_seconds, rate[:, column])
    return {"funding_rate": rate, "funding_paid": paid}


def _utc64(times: pd.Series[Any]) -> NDArray[np.datetime64]:
    import pandas as pd

    stamps: NDArray[np.datetime64] = (
        pd.to_datetime(times, utc=True).dt.tz_localize(None).to_numpy().astype("datetime64[ns]")
    )
    return stamps


def _as_of(
    times: NDArray[np.datetime64], rates: NDArray[np.float64], closes: NDArray[np.datetime64]
) -> NDArray[np.float64]:
    newest = np.searchsorted(times, closes, side="right") - 1
    known = newest >= 0
    spacing = np.median(np.diff(times)) if len(times) > 1 else np.timedelta64(8, "h")
    age = closes - times[np.maximum(newest, 0)]
    fresh = known & (age <= STALE_INTERVALS * spacing)
    return np.where(fresh, rates[np.maximum(newest, 0)], np.nan)


def _paid(
    times: NDArray[np.datetime64],
    rates: NDArray[np.float64],
    closes: NDArray[np.datetime64],
    bar_seconds: int,
    known_rate: NDArray[np.float64],
) -> NDArray[np.float64]:
    total = np.concatenate([[0.0], np.cumsum(rates)])
    upto = total[np.searchsorted(times, closes, side="right")]
    before = total[np.searchsorted(times, closes - np.timedelta64(bar_seconds, "s"), side="right")]
    return np.where(np.isfinite(known_rate), upto - before, np.nan)
