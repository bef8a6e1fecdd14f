"""The face of Midas: `from midas import create_midas`, `python -m midas ...` and the documented module paths.

The engine lives in `midas_engine`, the terminal in `midas_tui`.
"""

from typing import TYPE_CHECKING

from midas._face import forward

if TYPE_CHECKING:
    from midas_engine.factory import Midas, create_midas

__all__ = ["Midas", "create_midas"]
__getattr__ = forward("midas_engine.factory", __all__)
