"""Model clients. The engine's `llm` under the documented path."""

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.llm import ModelClient, make_client

__all__ = ["ModelClient", "make_client"]
__getattr__, __dir__ = lazy_face(__name__, dict.fromkeys(__all__, "midas_engine.llm"))
