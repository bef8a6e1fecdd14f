"""What one file holds once it is read: canonical columns, and what was odd while reading."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from midas_engine.market.doctor.report import Defect

BARS, FUNDING, SNAPSHOTS = "bars", "funding", "snapshots"
# No rows: a file that was set aside, and why.
ASIDE = "aside"
# Klines of other prices than the last trade: their close becomes a column of the panel.
OTHER_PRICES = {"mark": "mark_close", "index": "index_close", "premium": "premium_close"}


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one file, as they stand in it: nothing sorted, dropped or filled.

    Attributes:
        source: The file, and the member of an archive, as a person would name it.
        kind: "bars", "funding", "snapshots" (open interest, ratios, mark prices at an instant), "mark", "index" or
            "premium" (klines of those prices); "aside" is a file that is none of it, without rows.
        frame: `timestamp` (datetime64[ns], UTC, NaT where unreadable), `symbol` (text), and float64 columns; for klines
            with a close time also `close_time` (datetime64[ns]).
        bar_seconds: Length of a bar from its spacing or the file's name; None where neither says.
        written_ns: When the file was last written, ns since the epoch; None where that is not known.
        defects: What reading found.
        contract: What of the file's name its symbol was read from; empty where the rows name it themselves.
        market: Which market the folders around it say it is of; empty where they do not say.
    """

    source: str
    kind: str
    frame: pd.DataFrame
    bar_seconds: int | None = None
    written_ns: int | None = None
    defects: tuple[Defect, ...] = field(default=())
    contract: str = ""
    market: str = ""

    def with_defects(self, defects: tuple[Defect, ...]) -> Part:
        """The same part with what reading found."""
        return replace(self, defects=defects)
