"""Examined rows on one grid: klines, and beside them what was known at each bar's close."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import DataFormatError
from midas_engine.market.asof import as_of, usual_spacing
from midas_engine.market.funding import align_funding
from midas_engine.market.panel import Panel
from midas_engine.market.raw_rows import OTHER_PRICES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas_engine.market.doctor.examine import Examined
    from midas_engine.market.doctor.gather import Gathered

# A snapshot older than three usual spacings is no longer the state of the market.
STALE_SNAPSHOTS = 3


def build_panel(examined: Examined) -> Panel:
    """The panel of examined files.

    Klines set the grid. Funding, open interest, ratios and mark prices stand at each bar with the newest value known
    when the bar CLOSES: a snapshot taken inside the next bar is never seen.

    Raises:
        DataFormatError: There are no klines.
    """
    if examined.bars is None or not len(examined.bars.frame):
        raise DataFormatError(
            "there are no klines in these files", hint="funding and open interest need the bars they belong to"
        )
    frame = examined.bars.frame.drop(columns=["close_time"], errors="ignore")
    panel = Panel.from_frame(frame, examined.bars.bar_seconds)
    fields = dict(panel.fields)
    for kind, rows in examined.prices.items():
        if rows.bar_seconds is not None:
            fields[OTHER_PRICES[kind]] = _prices(panel, rows, rows.bar_seconds)
    if examined.snapshots is not None:
        fields |= _snapshots(panel, examined.snapshots)
    if examined.funding is not None:
        fields |= align_funding(panel, examined.funding.frame)
    return Panel(panel.timestamps, panel.symbols, fields, panel.bar_seconds)


def _prices(panel: Panel, prices: Gathered, price_seconds: int) -> NDArray[np.float64]:
    out = np.full(panel.shape, np.nan)
    span = np.timedelta64(price_seconds, "s")
    # Younger than one bar of the longer kind: of the same length, that is the very same bar.
    oldest = np.timedelta64(max(price_seconds, panel.bar_seconds) * 1_000_000_000 - 1, "ns")
    for rows in prices.by_symbol():
        if rows.symbol in panel.symbols and "close" in rows.values:
            known = rows.times + span
            ages = np.full(len(known), oldest)
            out[:, panel.symbols.index(rows.symbol)] = as_of(known, rows.values["close"], panel.closes, ages)
    return out


def _snapshots(panel: Panel, snapshots: Gathered) -> dict[str, NDArray[np.float64]]:
    bar = np.timedelta64(panel.bar_seconds, "s")
    out: dict[str, NDArray[np.float64]] = {}
    for rows in snapshots.by_symbol():
        if rows.symbol not in panel.symbols:
            continue
        column = panel.symbols.index(rows.symbol)
        for name, values in rows.values.items():
            there = np.isfinite(values)
            times = rows.times[there]
            oldest = np.maximum(STALE_SNAPSHOTS * usual_spacing(times, bar), bar)
            field = out.setdefault(name, np.full(panel.shape, np.nan))
            field[:, column] = as_of(times, values[there], panel.closes, oldest)
    return out
