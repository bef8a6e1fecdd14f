"""The runtime: everything supervised in one event loop; the object the terminal holds."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.runtime.runtime import Runtime

__all__ = ["Runtime"]


def __getattr__(name: str) -> Any:
    """Load `Runtime` on first use: importing this package stays instant."""
    if name != "Runtime":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # What watching needs is heavy (compiled kernels): import it here, where the caller chose the moment and the
    # thread, not in the event loop at the first bar.
    importlib.import_module("midas_engine.runtime.recording")
    from midas_engine.runtime.runtime import Runtime

    return Runtime
