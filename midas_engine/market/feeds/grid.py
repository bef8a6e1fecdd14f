"""Candles and settlements onto a grid: a `Panel` of every bar between two times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.market.funding import align_funding
from midas_engine.market.panel import Panel
from midas_engine.market.vouched import vouched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.market.feeds.base import Candle

CANDLE_COLUMNS = ("open", "high", "low", "close", "volume")


def column_order(seen: set[str]) -> tuple[str, ...]:
    """The usual columns first, in their usual order, then the others by name."""
    return tuple(c for c in CANDLE_COLUMNS if c in seen) + tuple(sorted(seen - set(CANDLE_COLUMNS)))


def panel_between(
    begin: int,
    end: int,
    bar_seconds: int,
    columns: Sequence[str],
    candles: Mapping[str, Mapping[int, Candle]],
    settled: Mapping[str, Mapping[int, float]],
    venue: str = "",
) -> Panel:
    """Bars that open from `begin` to before `end` (ms); NaN where a symbol has none.

    Args:
        begin: Open time of the first bar.
        end: Open time of the bar after the last.
        bar_seconds: Length of a bar.
        columns: Columns of the candles.
        candles: Symbol -> open time -> candle; its order is the panel's.
        settled: Symbol -> instant -> funding rate; where any is known the panel has funding columns.
        venue: Who gave them, where that is a venue; empty: nobody vouches for a column.
    """
    import pandas as pd

    step, symbols = bar_seconds * 1000, tuple(candles)
    count = max(0, (end - begin) // step)
    times = (begin + np.arange(count) * step).astype("datetime64[ms]").astype("datetime64[ns]")
    fields = {name: np.full((count, len(symbols)), np.nan) for name in columns}
    for column, symbol in enumerate(symbols):
        for opened, candle in candles[symbol].items():
            row, rest = divmod(opened - begin, step)
            if rest or not 0 <= row < count:
                continue
            for name, value in candle.values.items():
                if name in fields:
                    fields[name][row, column] = value
    panel = Panel(times, symbols, fields, bar_seconds)
    rows = [(s, t, r) for s in symbols for t, r in sorted(settled.get(s, {}).items())]
    if not rows:
        return vouched(panel, venue)
    frame = pd.DataFrame(rows, columns=["symbol", "at_ms", "funding_rate"])
    frame["timestamp"] = pd.to_datetime(frame["at_ms"], unit="ms", utc=True)
    return vouched(Panel(times, symbols, {**fields, **align_funding(panel, frame)}, bar_seconds), venue)
