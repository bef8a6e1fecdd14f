"""The runtime: everything supervised in one event loop; the object the terminal holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.runtime.runtime import Runtime

__all__ = ["Runtime"]

__getattr__, __dir__ = lazy_face(__name__, {"Runtime": ".runtime"})
