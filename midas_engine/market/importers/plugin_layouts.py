"""Layouts that plug-ins add. Asked for once a process."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from midas_engine.market.importers.layouts import LAYOUTS, Layout
from midas_engine.plugins import use

if TYPE_CHECKING:
    from midas_engine.plugins import Plugin


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
