"""Metrics and the six agents. The engine's `evaluator` under the documented path."""

from typing import TYPE_CHECKING

from midas._face import forward

if TYPE_CHECKING:
    from midas_engine.evaluator import DEFAULT_THRESHOLDS, AlphaEvaluator, MultiAgentEvaluator

__all__ = ["DEFAULT_THRESHOLDS", "AlphaEvaluator", "MultiAgentEvaluator"]
__getattr__ = forward("midas_engine.evaluator", __all__)
