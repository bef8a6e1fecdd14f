"""Funding rates aligned to bars: as-of, never ahead of their settlement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataFormatError
from midas_engine.market.asof import as_of, usual_spacing

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from midas_engine.market.panel import Panel

# A settlement older than this many usual intervals no longer describes the market. The interval itself differs by
# symbol and changes over time (8 h, 4 h, 1 h in stress): eight hours, the longest, is the least that counts.
STALE_INTERVALS = 3
LONGEST_INTERVAL = np.timedelta64(8 * 3600, "s")


def align_funding(panel: Panel, settlements: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Two fields [T, S] from settlement rows.

    `funding_rate` is the newest rate already settled when the bar CLOSES (a settlement at 08:00
    is known to the bar that opens at 07:00 and closes at 08:00, and to none before).
    `funding_paid` is the sum of rates settled inside the bar, (open, close]: what a long held
    through the bar pays, as a fraction of notional; zero between settlements.

    Both depend on settlements up to the close only, how old a rate may be included.

    Args:
        panel: The bars.
        settlements: Rows of `timestamp` (UTC), `symbol`, `funding_rate` (fraction a settlement).

    Raises:
        DataFormatError: A column is missing.
    """
    missing = {"timestamp", "symbol", "funding_rate"} - set(settlements.columns)
    if missing:
        raise DataFormatError(f"funding rows lack {', '.join(sorted(missing))}")
    known = set(panel.symbols)
    settled = {
        str(name): (_utc64(rows["timestamp"]), rows["funding_rate"].to_numpy(dtype=np.float64))
        for name, rows in settlements.groupby("symbol", sort=False, observed=True)
        if str(name) in known
    }
    return align_rates(panel, settled)


def align_rates(
    panel: Panel, settled: Mapping[str, tuple[NDArray[np.datetime64], NDArray[np.float64]]]
) -> dict[str, NDArray[np.float64]]:
    """`align_funding` for arrays: times (UTC) and rates by symbol, in any order; of equal times the last counts."""
    rate = np.full(panel.shape, np.nan)
    paid = np.full(panel.shape, np.nan)
    closes: NDArray[np.datetime64] = panel.closes
    columns = {name: i for i, name in enumerate(panel.symbols)}
    for name, (times, rates) in settled.items():
        column = columns.get(name)
        if column is None:
            continue
        times, rates = times[~np.isnan(rates)], rates[~np.isnan(rates)]
        order = np.argsort(times, kind="stable")
        times, rates = times[order], rates[order]
        last = np.append(times[1:] != times[:-1], True) if times.size else np.zeros(0, bool)
        times, rates = times[last], rates[last]
        oldest = STALE_INTERVALS * np.maximum(usual_spacing(times, LONGEST_INTERVAL), LONGEST_INTERVAL)
        rate[:, column] = as_of(times, rates, closes, oldest)
        paid[:, column] = _paid(times, rates, closes, panel.bar_seconds, rate[:, column])
    return {"funding_rate": rate, "funding_paid": paid}


def _utc64(times: pd.Series[Any]) -> NDArray[np.datetime64]:
    import pandas as pd

    stamps: NDArray[np.datetime64] = (
        pd.to_datetime(times, utc=True).dt.tz_localize(None).to_numpy().astype("datetime64[ns]")
    )
    return stamps


def _paid(
    times: NDArray[np.datetime64],
    rates: NDArray[np.float64],
    closes: NDArray[np.datetime64],
    bar_seconds: int,
    known_rate: NDArray[np.float64],
) -> NDArray[np.float64]:
    upto = np.searchsorted(times, closes, side="right")
    before = np.searchsorted(times, closes - np.timedelta64(bar_seconds, "s"), side="right")
    paid = np.zeros(len(closes))
    # Summed bar by bar, not as differences of a running total: one settlement is paid to the last digit. The bars
    # follow each other, so each one's settlements end where the next one's begin.
    paying = np.flatnonzero(upto > before)
    if paying.size:
        paid[paying] = np.add.reduceat(rates[: upto[paying[-1]]], before[paying])
    return np.where(np.isfinite(known_rate), paid, np.nan)
