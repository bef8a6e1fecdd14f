"""What each column of a panel is, and how much of it is there, in words for prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from midas_engine.market.panel import Panel

UNITS = {
    "open": "quote currency", "high": "quote currency", "low": "quote currency", "close": "quote currency",
    "mark_close": "quote currency", "vwap": "quote currency", "volume": "base units a bar",
    "quote_volume": "quote currency a bar", "trades": "count a bar", "cap": "quote currency",
    "bid_volume": "base units", "ask_volume": "base units", "taker_buy_volume": "base units a bar",
    "taker_buy_quote_volume": "quote currency a bar", "open_interest": "contracts, a level",
    "funding_rate": "fraction of notional at each settlement, carried on", "sector": "label",
}  # fmt: skip
# Cells that are looked at for each column: a coverage in percent needs no more.
_CELLS = 500_000


def column_notes(panel: Panel, columns: Iterable[str], rows: slice) -> dict[str, str]:
    """Unit and share of finite cells by column, on `rows` (T x S)."""
    bars = max(rows.stop - rows.start, 1)
    step = max(1, bars * panel.S // _CELLS)
    notes = {}
    for name in columns:
        values = panel.fields.get(name)
        if values is None:  # made from others
            notes[name] = UNITS.get(name, "unit not known")
            continue
        part = np.asarray(values)[rows.start : rows.stop : step]
        share = float(np.isfinite(part.astype(np.float64, copy=False)).mean()) if part.size else 0.0
        notes[name] = f"{UNITS.get(name, 'unit not known')}, {100 * share:.1f} % of bars"
    return notes
