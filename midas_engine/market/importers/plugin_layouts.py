"""Which layout reads a table: those that plug-ins add, asked for once a process, and Midas's own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DataFormatError
from midas_engine.market.importers.layouts import LAYOUTS, Layout
from midas_engine.plugins import use

if TYPE_CHECKING:
    from midas_engine.market.importers.layouts import Evidence, Rows
    from midas_engine.plugins import Plugin

NEEDS = (
    "klines need a time, a close, and better open, high, low and volume; funding a time and a funding rate; "
    "open interest a time and an open interest. Say what a column is with --column NAME=FIELD, the rows with --kind"
)


@cache
def all_layouts() -> tuple[Layout, ...]:
    """Those of plug-ins first, for they know one kind of file; then Midas's own, the last of which take nearly any.

    A plug-in that cannot be used is one warning.
    """
    found: list[Layout] = []

    def adopt(plugin: Plugin, given: Any) -> None:
        if not isinstance(given, Layout):
            raise TypeError(f"{type(given).__name__} is no Layout")
        if given.name in {known.name for known in (*LAYOUTS, *found)}:
            raise ValueError(f"there is a layout {given.name!r} already")
        found.append(given)

    use("midas.importers", adopt)
    return (*found, *LAYOUTS)


def read_layout(evidence: Evidence) -> list[Rows]:
    """The rows of a table, by the first layout that fits.

    Raises:
        DataFormatError: None does.
    """
    for layout in all_layouts():
        if layout.fits(evidence):
            return layout.read(evidence)
    named = [str(c)[:30] for c in evidence.raw.columns]
    listed = ", ".join(named[:12]) + (f" and {len(named) - 12} more" if len(named) > 12 else "")
    raise DataFormatError(f"{evidence.source} has no price, funding or open interest; it has {listed}", hint=NEEDS)
