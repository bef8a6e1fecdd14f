"""Market data: panels, stores, importers, the data doctor, synthetic markets and feeds."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.market.forward import forward_return_frame, forward_returns, horizon_name
    from midas_engine.market.panel import Panel

__all__ = ["Panel", "forward_return_frame", "forward_returns", "horizon_name"]

_HOMES = {
    "Panel": "panel",
    "forward_return_frame": "forward",
    "forward_returns": "forward",
    "horizon_name": "forward",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use: importing this package stays instant."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
