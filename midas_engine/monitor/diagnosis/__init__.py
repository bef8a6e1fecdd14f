"""Diagnosis before narration: tests find the cause, a researcher explains it, every claim is checked."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
    from midas_engine.monitor.diagnosis.classify import CAUSES, Finding, classify
    from midas_engine.monitor.diagnosis.snapshot import Snapshot, take_snapshot

_HOMES = {
    "CAUSES": "midas_engine.monitor.diagnosis.classify",
    "DiagnoseAgent": "midas_engine.monitor.diagnosis.agent",
    "Finding": "midas_engine.monitor.diagnosis.classify",
    "Snapshot": "midas_engine.monitor.diagnosis.snapshot",
    "classify": "midas_engine.monitor.diagnosis.classify",
    "take_snapshot": "midas_engine.monitor.diagnosis.snapshot",
}

__all__ = ["CAUSES", "DiagnoseAgent", "Finding", "Snapshot", "classify", "take_snapshot"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
