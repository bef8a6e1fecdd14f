"""Imported files into the market store, with who gave each column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.market.provenance import Provenance
from midas_engine.market.raw_rows import OTHER_PRICES

if TYPE_CHECKING:
    from datetime import datetime

    from midas_engine.market.doctor.examine import Examined
    from midas_engine.market.panel import Panel

_FUNDING = ("funding_rate", "funding_paid")
_NAMES = 3


def provenance_of(examined: Examined, panel: Panel, at: datetime) -> dict[str, Provenance]:
    """Who gave each column of an imported panel: the files, and what kind of rows they were read as.

    What a file calls its snapshots proves nothing of them: their kind stays empty.
    """
    sources = list(dict.fromkeys(examined.report.sources))
    named = ", ".join(sources[:_NAMES]) + (f" and {len(sources) - _NAMES} more" if len(sources) > _NAMES else "")
    kinds = {column: kind for kind, column in OTHER_PRICES.items()} | dict.fromkeys(_FUNDING, "funding")
    candles = set() if examined.bars is None else set(examined.bars.frame.columns)
    kinds |= dict.fromkeys(candles & set(panel.fields) - set(kinds), "candles")
    return {column: Provenance("imported", named, kinds.get(column, ""), at) for column in panel.fields}
