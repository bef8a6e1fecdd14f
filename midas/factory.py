"""The bootstrap. The engine's `factory` under the documented path."""

from typing import TYPE_CHECKING

from midas._face import forward

if TYPE_CHECKING:
    from midas_engine.factory import Midas, create_midas

__all__ = ["Midas", "create_midas"]
__getattr__ = forward("midas_engine.factory", __all__)
