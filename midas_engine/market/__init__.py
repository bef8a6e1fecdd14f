"""Market data: panels, stores, importers, the data doctor, synthetic markets and feeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.market.doctor.report import Defect, DoctorReport
    from midas_engine.market.forward import forward_return_frame, forward_returns, horizon_name
    from midas_engine.market.funding import align_funding
    from midas_engine.market.importers import import_panel, read_any
    from midas_engine.market.importers.reading import inspect
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

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "Defect": ".doctor.report",
        "DoctorReport": ".doctor.report",
        "Panel": ".panel",
        "PlantedFeature": ".synthetic",
        "SyntheticMarket": ".synthetic",
        "align_funding": ".funding",
        "forward_return_frame": ".forward",
        "forward_returns": ".forward",
        "horizon_name": ".forward",
        "import_panel": ".importers",
        "inspect": ".importers.reading",
        "load_panel": ".sources",
        "read_any": ".importers",
        "regime_labels": ".regimes",
        "trend_labels": ".regimes",
    },
)
