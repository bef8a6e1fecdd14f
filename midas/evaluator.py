"""Metrics and the six agents. The engine's `evaluator` under the documented path."""

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.evaluator import DEFAULT_THRESHOLDS, AlphaEvaluator, MultiAgentEvaluator, ScoringOptions

__all__ = ["DEFAULT_THRESHOLDS", "AlphaEvaluator", "MultiAgentEvaluator", "ScoringOptions"]
__getattr__, __dir__ = lazy_face(__name__, dict.fromkeys(__all__, "midas_engine.evaluator"))
