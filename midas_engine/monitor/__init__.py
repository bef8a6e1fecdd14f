"""The online loop: figures, alerts, diagnoses and kills of live features. Names are imported when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.monitor.alerts.engine import AlertEngine
    from midas_engine.monitor.alerts.thresholds import AlertThresholds, merge_thresholds
    from midas_engine.monitor.detector import DecayDetector, decay_detector
    from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
    from midas_engine.monitor.figures.engine import EngineConfig, MonitorEngine
    from midas_engine.monitor.kill.switch import KillSwitch
    from midas_engine.monitor.online import OnlineMonitor
    from midas_engine.stats.sequential import Reference

_HOMES = {
    "AlertEngine": "midas_engine.monitor.alerts.engine",
    "AlertThresholds": "midas_engine.monitor.alerts.thresholds",
    "DecayDetector": "midas_engine.monitor.detector",
    "DiagnoseAgent": "midas_engine.monitor.diagnosis.agent",
    "EngineConfig": "midas_engine.monitor.figures.engine",
    "KillSwitch": "midas_engine.monitor.kill.switch",
    "MonitorEngine": "midas_engine.monitor.figures.engine",
    "OnlineMonitor": "midas_engine.monitor.online",
    "Reference": "midas_engine.stats.sequential",
    "decay_detector": "midas_engine.monitor.detector",
    "merge_thresholds": "midas_engine.monitor.alerts.thresholds",
}

__all__ = [
    "AlertEngine",
    "AlertThresholds",
    "DecayDetector",
    "DiagnoseAgent",
    "EngineConfig",
    "KillSwitch",
    "MonitorEngine",
    "OnlineMonitor",
    "Reference",
    "decay_detector",
    "merge_thresholds",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
