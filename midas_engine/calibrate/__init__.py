"""Calibration: how often the user's own gates are fooled, how much they find, how soon a death is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.calibrate.figures import Calibration
    from midas_engine.calibrate.plan import CalibrationPlan
    from midas_engine.calibrate.report import write_report
    from midas_engine.calibrate.run import calibrate

__all__ = ["Calibration", "CalibrationPlan", "calibrate", "write_report"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "Calibration": ".figures",
        "CalibrationPlan": ".plan",
        "calibrate": ".run",
        "write_report": ".report",
    },
)
