"""Researchers and the validator. The engine's `proposer` under the documented path."""

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.proposer import DSLValidator, ExpressionProposer

__all__ = ["DSLValidator", "ExpressionProposer"]
__getattr__, __dir__ = lazy_face(__name__, dict.fromkeys(__all__, "midas_engine.proposer"))
