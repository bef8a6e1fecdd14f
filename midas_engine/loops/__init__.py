"""The offline loop: plan, write, assess, refine, learn, as a stream of events."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.loops.assessors import Assessor, PanelAssessor
    from midas_engine.loops.config import OfflineLoopConfig
    from midas_engine.loops.offline import OfflineCompoundLoop
    from midas_engine.loops.user_engine import AdapterAssessor

_HOMES = {
    "AdapterAssessor": "user_engine",
    "Assessor": "assessors",
    "OfflineCompoundLoop": "offline",
    "OfflineLoopConfig": "config",
    "PanelAssessor": "assessors",
}
__all__ = ["AdapterAssessor", "Assessor", "OfflineCompoundLoop", "OfflineLoopConfig", "PanelAssessor"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use: importing this package stays instant."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
