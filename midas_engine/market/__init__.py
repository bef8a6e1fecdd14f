"""Market data: panels, stores, importers, the data doctor, synthetic markets and feeds."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.market.doctor.examine import inspect
    from midas_engine.market.doctor.report import Defect, DoctorReport
    from midas_engine.market.forward import forward_return_frame, forward_returns, horizon_name
    from midas_engine.market.funding import align_funding
    from midas_engine.market.importers import import_panel, read_any
    from midas_engine.market.panel import Panel
    from midas_engine.market.regimes import regime_labels, trend_labels
    from midas_engine.market.sources import load_panel
    from midas_engine.market.synthetic import PlantedFeature, SyntheticMarket

__all__ = [
    "Defect",
    "DoctorReport",
    "Panel",
    "PlantedFeature",
    "SyntheticMarket",
    "align_funding",
    "forward_return_frame",
    "forward_returns",
    "horizon_name",
    "import_panel",
    "inspect",
    "load_panel",
    "read_any",
    "regime_labels",
    "trend_labels",
]

_HOMES = {
    "Defect": "doctor.report",
    "DoctorReport": "doctor.report",
    "Panel": "panel",
    "PlantedFeature": "synthetic",
    "SyntheticMarket": "synthetic",
    "align_funding": "funding",
    "forward_return_frame": "forward",
    "forward_returns": "forward",
    "horizon_name": "forward",
    "import_panel": "importers",
    "inspect": "doctor.examine",
    "read_any": "importers",
    "load_panel": "sources",
    "regime_labels": "regimes",
    "trend_labels": "regimes",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use: importing this package stays instant."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
