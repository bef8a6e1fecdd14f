"""Files of exchanges and collectors to panels."""

from __future__ import annotations

from midas_engine.market.importers.reading import import_panel, read_any, read_parts

__all__ = ["import_panel", "read_any", "read_parts"]
