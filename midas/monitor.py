"""The online loop. The engine's `monitor` under the documented path."""

from typing import TYPE_CHECKING

from midas._face import forward

if TYPE_CHECKING:
    from midas_engine.monitor import AlertEngine, DiagnoseAgent, MonitorEngine, OnlineMonitor, decay_detector

__all__ = ["AlertEngine", "DiagnoseAgent", "MonitorEngine", "OnlineMonitor", "decay_detector"]
__getattr__ = forward("midas_engine.monitor", __all__)
