"""The bundled demo. The engine's `demo` under the documented path."""

from typing import TYPE_CHECKING

from midas._face import forward

if TYPE_CHECKING:
    from midas_engine.demo import run_demo

__all__ = ["run_demo"]
__getattr__ = forward("midas_engine.demo", __all__)
