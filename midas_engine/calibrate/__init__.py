"""Calibration: how often the user's own gates are fooled, how much they find, how soon a death is called."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.calibrate.figures import Calibration
    from midas_engine.calibrate.plan import CalibrationPlan
    from midas_engine.calibrate.report import write_report
    from midas_engine.calibrate.run import calibrate

_HOMES = {"Calibration": "figures", "CalibrationPlan": "plan", "calibrate": "run", "write_report": "report"}
__all__ = ["Calibration", "CalibrationPlan", "calibrate", "write_report"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use: importing this package stays instant."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
