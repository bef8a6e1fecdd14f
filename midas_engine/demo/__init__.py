"""The bundled demo: one discovery session and one monitoring session on a market whose truth is known."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.demo.run import DEFAULT_REPORT, DemoResult, demo, run_demo

__all__ = ["DEFAULT_REPORT", "DemoResult", "demo", "run_demo"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use: importing this package stays instant."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.run"), name)
