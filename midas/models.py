"""The shared dataclasses. The engine's `models` under the documented path."""

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.models import (
        AgentVerdict,
        Alert,
        AlertStatus,
        DailyReport,
        DiagnoseResult,
        Estimate,
        EvaluationResult,
        FeatureMetrics,
        FeatureRecord,
        FeatureState,
        FoldScore,
        GateCheck,
        LearningDocument,
        MultiAgentResult,
        PipelineSummary,
        Severity,
    )

__all__ = [
    "AgentVerdict",
    "Alert",
    "AlertStatus",
    "DailyReport",
    "DiagnoseResult",
    "Estimate",
    "EvaluationResult",
    "FeatureMetrics",
    "FeatureRecord",
    "FeatureState",
    "FoldScore",
    "GateCheck",
    "LearningDocument",
    "MultiAgentResult",
    "PipelineSummary",
    "Severity",
]
__getattr__, __dir__ = lazy_face(__name__, dict.fromkeys(__all__, "midas_engine.models"))
