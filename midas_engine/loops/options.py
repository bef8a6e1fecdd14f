"""`LoopOptions`: what an `OfflineCompoundLoop` may be given besides its base and its researchers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from midas_engine.memory.remember import retrieved

if TYPE_CHECKING:
    import pandas as pd

    from midas_engine.clock import Clock
    from midas_engine.evaluator.trials.ledger import TrialLedger
    from midas_engine.journal import Journal
    from midas_engine.loops.config import OfflineLoopConfig
    from midas_engine.memory.remember import Memory
    from midas_engine.promoter import FeaturePromoter
    from midas_engine.settings import Settings


class LoopKeywords(TypedDict, total=False):
    """The keywords of `OfflineCompoundLoop`, for type checkers; the fields of `LoopOptions`."""

    promoter: FeaturePromoter | None
    config: OfflineLoopConfig | None
    settings: Settings | None
    clock: Clock | None
    ledger: TrialLedger | None
    journal: Journal | None
    existing_features: pd.DataFrame | None
    spread_cost_bps: float | None
    memory: Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOptions:
    """The keywords of `OfflineCompoundLoop`, with what holds where one is not given.

    Attributes:
        promoter: Saves candidates; None writes them through the base.
        config: The session's budget; None takes the defaults.
        settings: Costs, parts, limits; None takes the defaults.
        clock: Engine time; None takes the wall's.
        ledger: Where trials and looks at the sealed part are charged; None takes the base's journal.
        journal: Where events, model calls and the session's summary are kept; None keeps none.
        existing_features: For `run`: deployed features as a frame.
        spread_cost_bps: For `run`: the original's one cost number.
        memory: What a session is given of the base's memory; the lessons that speak to its goal.
    """

    promoter: FeaturePromoter | None = None
    config: OfflineLoopConfig | None = None
    settings: Settings | None = None
    clock: Clock | None = None
    ledger: TrialLedger | None = None
    journal: Journal | None = None
    existing_features: pd.DataFrame | None = None
    spread_cost_bps: float | None = None
    memory: Memory = retrieved
