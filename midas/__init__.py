"""The face of Midas: `from midas import create_midas`, `python -m midas ...` and the documented module paths.

The engine lives in `midas_engine`, the terminal in `midas_tui`.
"""

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.factory import Midas, create_midas

__all__ = ["Midas", "create_midas"]
__getattr__, __dir__ = lazy_face(__name__, dict.fromkeys(__all__, "midas_engine.factory"))
