"""The bootstrap. The engine's `factory` under the documented path."""

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.factory import Midas, create_midas

__all__ = ["Midas", "create_midas"]
__getattr__, __dir__ = lazy_face(__name__, dict.fromkeys(__all__, "midas_engine.factory"))
