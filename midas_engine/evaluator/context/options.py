"""`ScoringOptions`: how candidates are scored, wherever values and returns come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midas_engine.evaluator.context.byte_cache import ByteCache
    from midas_engine.settings import CostSettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringOptions:
    """What an `EvaluationContext` or an `AlphaEvaluator` is told besides its data.

    Attributes:
        target: The horizon in bars that the gates are judged on; None takes the first that is given.
        costs: Fee, half spread and slippage; None takes the defaults.
        part: "research", "sealed" or "forward": which part of the history the data are.
        embargo_bars: Bars left out between folds, at most a tenth of one; None: two days.
        ranks: Where ranks of returns are kept, when several contexts are to share one budget; None: its own.
        waiting: Names among the existing features that are candidates: nobody trades them yet.
        mode: "time", "cross-section", or "auto": a cross-section where half of the bars have ten symbols.

    Example:
        >>> ScoringOptions(target=24).mode
        'auto'
    """

    target: int | None = None
    costs: CostSettings | None = None
    part: str = "research"
    embargo_bars: int | None = None
    mode: str = "auto"
    ranks: ByteCache | None = None
    waiting: frozenset[str] = frozenset()

    @classmethod
    def from_settings(
        cls, settings: Settings, part: str = "research", ranks: ByteCache | None = None
    ) -> ScoringOptions:
        """The settings' target, costs and mode, for one part of the history."""
        chosen = settings.evaluation
        return cls(target=chosen.target, costs=settings.costs, part=part, mode=chosen.mode, ranks=ranks)
