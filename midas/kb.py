"""The knowledge base. The engine's `kb` under the documented path."""

from typing import TYPE_CHECKING

from midas._face import forward

if TYPE_CHECKING:
    from midas_engine.kb import KnowledgeBase

__all__ = ["KnowledgeBase"]
__getattr__ = forward("midas_engine.kb", __all__)
