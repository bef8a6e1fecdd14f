"""`MultiAgentEvaluator`: the original's second entry point: metrics, then six verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from midas_engine.evaluator.gates.thresholds import validate_thresholds
from midas_engine.evaluator.gates.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from midas_engine.evaluator.pandas_input.alpha import AlphaEvaluator
    from midas_engine.models import MultiAgentResult


class TrialCounter(Protocol):
    """What the evaluator needs of a trial ledger."""

    def trials(self, session: str) -> int:
        """Candidates tried in the session so far."""
        ...


class MultiAgentEvaluator:
    """Runs the six agents on what `AlphaEvaluator` measures.

    Args:
        base: Measures the feature.
        thresholds: Replaces the base's thresholds.
        ledger: Counts trials when `evaluate` is not told their number.
        session: The session whose trials count.

    Raises:
        SettingsError: A threshold is wrong.
    """

    def __init__(
        self,
        base: AlphaEvaluator,
        *,
        thresholds: Mapping[str, Any] | None = None,
        ledger: TrialCounter | None = None,
        session: str = "",
    ) -> None:
        self.base = base
        self.thresholds = base.thresholds if thresholds is None else validate_thresholds(thresholds)
        self.ledger = ledger
        self.session = session

    def evaluate(
        self,
        feature: pd.Series[Any],
        forward_returns: pd.DataFrame | pd.Series[Any],
        regime_labels: pd.Series[Any] | None = None,
        *,
        trials: int | None = None,
    ) -> MultiAgentResult:
        """Metrics and verdicts of a feature.

        Args:
            feature: Values by timestamp or by (timestamp, symbol).
            forward_returns: One column a horizon, named after it.
            regime_labels: One label a timestamp.
            trials: Candidates tried in the session, this one included; None asks the ledger, and is 1 without one.

        Returns:
            `overall_pass` when every gate held, `statistical_pass` when all but the economic ones did.
        """
        result = self.base.evaluate(feature, forward_returns, regime_labels)
        if trials is None:
            trials = max(1, self.ledger.trials(self.session)) if self.ledger is not None else 1
        return judge(result, self.thresholds, trials)
