"""A layout of files: bars whose close is called `last_px`."""

from midas_engine.market.importers.layouts import Layout, Rows
from midas_engine.market.raw_rows import BARS

LAST_PRICES = Layout(
    name="bars with last_px",
    fits=lambda e: e.has("last_px") and not e.has("close"),
    read=lambda e: [Rows(BARS, e.frame.rename(columns={"last_px": "close"}))],
)
