"""What every door does before a feature goes live: terminal, command line and service alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.errors import EvaluationError, MidasError

if TYPE_CHECKING:
    from midas_engine.market import Panel
    from midas_engine.promoter import FeaturePromoter
    from midas_engine.settings import Settings

# Actions after which a feature is watched: what it promises is measured first, where nothing did.
MEASURED = ("promote", "shadow", "redeploy")


def calibrate_from_data(promoter: FeaturePromoter, name: str, panel: Panel, settings: Settings) -> str:
    """Measure a feature's promise on the confirmation part and store it; says what was found.

    The confirmation part is the one its gates were judged on but no prompt ever saw.
    """
    from midas_engine.dsl import FeatureEngine
    from midas_engine.evaluator.context.history_split import split_history
    from midas_engine.evaluator.metrics.reference_score import measure_reference

    record = promoter.feature_status(name)
    if record.expected_score is not None:
        return f"expected score {record.expected_score:+.4f}"
    try:
        values = FeatureEngine(panel, limits=settings.dsl).values(record.expression)
        parts = split_history(panel.timestamps, settings, max(settings.evaluation.horizons))
        reference, _ = measure_reference(panel, values, parts.confirmation)
    except (MidasError, EvaluationError) as error:
        return f"uncalibrated: {error.message}"
    if reference is None:
        return "uncalibrated: its score on the confirmation part is not positive"
    promoter.calibrate(name, reference.score, 1.0 / reference.variance)
    return f"expected score {reference.score:+.4f}"
