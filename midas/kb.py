"""The knowledge base. The engine's `kb` under the documented path."""

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.kb import KnowledgeBase

__all__ = ["KnowledgeBase"]
__getattr__, __dir__ = lazy_face(__name__, dict.fromkeys(__all__, "midas_engine.kb"))
