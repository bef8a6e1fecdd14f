"""The discovery loop. The engine's `loops` under the documented path."""

from typing import TYPE_CHECKING

from midas._face import forward

if TYPE_CHECKING:
    from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig

__all__ = ["OfflineCompoundLoop", "OfflineLoopConfig"]
__getattr__ = forward("midas_engine.loops", __all__)
