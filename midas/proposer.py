"""Researchers and the validator. The engine's `proposer` under the documented path."""

from typing import TYPE_CHECKING

from midas._face import forward

if TYPE_CHECKING:
    from midas_engine.proposer import DSLValidator, ExpressionProposer

__all__ = ["DSLValidator", "ExpressionProposer"]
__getattr__ = forward("midas_engine.proposer", __all__)
