"""What a session takes from the loop that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from midas_engine.clock import Clock
    from midas_engine.evaluator.trials.ledger import TrialKey, TrialLedger
    from midas_engine.kb import KnowledgeBase
    from midas_engine.loops.config import OfflineLoopConfig
    from midas_engine.loops.session_record import SessionRecord
    from midas_engine.memory.remember import Memory
    from midas_engine.models import FeatureRecord
    from midas_engine.proposer.protocol import Researcher
    from midas_engine.settings import DslLimits, Settings


class SessionHost(Protocol):
    """The base, the budget and the researcher of a session; `OfflineCompoundLoop` is one."""

    kb: KnowledgeBase
    config: OfflineLoopConfig
    settings: Settings
    clock: Clock
    ledger: TrialLedger | None
    memory: Memory

    def new_researcher(self) -> Researcher:
        """A researcher for one session."""
        ...

    def new_record(self, session_id: str) -> SessionRecord:
        """Where a session keeps what it asks; that of an earlier run of it, where it is repeated or resumed."""
        ...

    async def save_candidate(self, record: FeatureRecord, key: TrialKey, limits: DslLimits) -> Saved:
        """Write an accepted expression of this identity, unless the base has it."""
        ...


@dataclass(frozen=True, slots=True)
class Saved:
    """Where an accepted expression went.

    Attributes:
        name: What it is called.
        path: Its document.
        known: The feature of the base that it is already, with its state; nothing was written then.
    """

    name: str
    path: str = ""
    known: str = ""
