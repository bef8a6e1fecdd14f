"""The online loop. The engine's `monitor` under the documented path."""

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.monitor import (
        AlertEngine,
        DiagnoseAgent,
        DiagnosisLimits,
        MonitorEngine,
        MonitorOptions,
        OnlineMonitor,
        decay_detector,
    )

__all__ = [
    "AlertEngine",
    "DiagnoseAgent",
    "DiagnosisLimits",
    "MonitorEngine",
    "MonitorOptions",
    "OnlineMonitor",
    "decay_detector",
]
__getattr__, __dir__ = lazy_face(__name__, dict.fromkeys(__all__, "midas_engine.monitor"))
