"""The offline loop: plan, write, assess, refine, learn, as a stream of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.loops.assessors import Assessor, PanelAssessor
    from midas_engine.loops.config import OfflineLoopConfig
    from midas_engine.loops.offline import OfflineCompoundLoop
    from midas_engine.loops.user_engine import AdapterAssessor

__all__ = ["AdapterAssessor", "Assessor", "OfflineCompoundLoop", "OfflineLoopConfig", "PanelAssessor"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "AdapterAssessor": ".user_engine",
        "Assessor": ".assessors",
        "OfflineCompoundLoop": ".offline",
        "OfflineLoopConfig": ".config",
        "PanelAssessor": ".assessors",
    },
)
