"""Diagnosis on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.errors import MonitorError

if TYPE_CHECKING:
    from midas_engine.runtime.runtime import Runtime
    from midas_engine.runtime.stage import FleetStage


async def begin_diagnosis(runtime: Runtime, stage: FleetStage, feature: str) -> str:
    """Start a diagnosis of `feature` in the background; says so."""
    if feature not in stage.fleet.names:
        raise MonitorError(f"feature {feature!r} is not watched", hint="watched: " + ", ".join(stage.fleet.names))
    raise MonitorError("diagnosis is not available in this view yet")
