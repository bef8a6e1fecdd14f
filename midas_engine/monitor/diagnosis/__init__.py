"""Diagnosis before narration: tests find the cause, a researcher explains it, every claim is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
    from midas_engine.monitor.diagnosis.classify import CAUSES, Finding, classify
    from midas_engine.monitor.diagnosis.limits import DiagnosisLimits
    from midas_engine.monitor.diagnosis.snapshot import Snapshot, take_snapshot


__all__ = ["CAUSES", "DiagnoseAgent", "DiagnosisLimits", "Finding", "Snapshot", "classify", "take_snapshot"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "CAUSES": ".classify",
        "DiagnoseAgent": ".agent",
        "DiagnosisLimits": ".limits",
        "Finding": ".classify",
        "Snapshot": ".snapshot",
        "classify": ".classify",
        "take_snapshot": ".snapshot",
    },
)
