"""The online loop: figures, alerts, diagnoses and kills of live features. Names are imported when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.monitor.alerts.engine import AlertEngine
    from midas_engine.monitor.alerts.thresholds import AlertThresholds, merge_thresholds
    from midas_engine.monitor.detector import DecayDetector, decay_detector
    from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
    from midas_engine.monitor.diagnosis.limits import DiagnosisLimits
    from midas_engine.monitor.figures.engine import EngineConfig, MonitorEngine
    from midas_engine.monitor.kill.switch import KillSwitch
    from midas_engine.monitor.online import OnlineMonitor
    from midas_engine.monitor.options import MonitorOptions
    from midas_engine.stats.sequential import Reference


__all__ = [
    "AlertEngine",
    "AlertThresholds",
    "DecayDetector",
    "DiagnoseAgent",
    "DiagnosisLimits",
    "EngineConfig",
    "KillSwitch",
    "MonitorEngine",
    "MonitorOptions",
    "OnlineMonitor",
    "Reference",
    "decay_detector",
    "merge_thresholds",
]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "AlertEngine": ".alerts.engine",
        "AlertThresholds": ".alerts.thresholds",
        "DecayDetector": ".detector",
        "DiagnoseAgent": ".diagnosis.agent",
        "DiagnosisLimits": ".diagnosis.limits",
        "EngineConfig": ".figures.engine",
        "KillSwitch": ".kill.switch",
        "MonitorEngine": ".figures.engine",
        "MonitorOptions": ".options",
        "OnlineMonitor": ".online",
        "Reference": "midas_engine.stats.sequential",
        "decay_detector": ".detector",
        "merge_thresholds": ".alerts.thresholds",
    },
)
