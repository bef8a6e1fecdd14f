"""A panel with a word on who gave its columns."""

from __future__ import annotations

import copy
from types import MappingProxyType
from typing import TYPE_CHECKING

from midas_engine.market.instants import as_utc
from midas_engine.market.provenance import CANDLES, Provenance

if TYPE_CHECKING:
    from midas_engine.market.panel import Panel


def vouched(panel: Panel, venue: str, kind: str = "") -> Panel:
    """The same panel, every column of it given by `venue`; as it is where nobody is named or it has no bar.

    Args:
        panel: The bars; nothing is copied.
        venue: Who gave them.
        kind: What they are; empty takes candles, and of any other column what the venue calls it.
    """
    if not venue or not panel.T:
        return panel
    at = as_utc(panel.timestamps[-1])
    kinds = {name: kind or ("candles" if name in CANDLES else name) for name in panel.fields}
    found = copy.copy(panel)
    found.provenance = MappingProxyType({n: (Provenance("fetched", venue, k, at),) for n, k in kinds.items()})
    return found
