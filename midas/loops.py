"""The discovery loop. The engine's `loops` under the documented path."""

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig

__all__ = ["OfflineCompoundLoop", "OfflineLoopConfig"]
__getattr__, __dir__ = lazy_face(__name__, dict.fromkeys(__all__, "midas_engine.loops"))
