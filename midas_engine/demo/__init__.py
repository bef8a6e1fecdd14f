"""The bundled demo: one discovery session and one monitoring session on a market whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.demo.result import DemoResult
    from midas_engine.demo.run import DEFAULT_REPORT, demo, run_demo

__all__ = ["DEFAULT_REPORT", "DemoResult", "demo", "run_demo"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "DEFAULT_REPORT": ".run",
        "DemoResult": ".result",
        "demo": ".run",
        "run_demo": ".run",
    },
)
