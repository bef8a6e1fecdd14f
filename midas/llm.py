"""Model clients. The engine's `llm` under the documented path."""

from typing import TYPE_CHECKING

from midas._face import forward

if TYPE_CHECKING:
    from midas_engine.llm import ModelClient, make_client

__all__ = ["ModelClient", "make_client"]
__getattr__ = forward("midas_engine.llm", __all__)
