"""Typed, versioned, past-tense events: the one stream that terminal, journal, recorder and tests read.

An event whose `replace_key` is not None is latest-wins: a slow subscriber sees only the newest of
its key. All others are never lost. `to_dict` / `from_dict` round-trip through JSON.
"""

from midas_engine.events.base import (
    SCHEMA_VERSION,
    Event,
)
from midas_engine.events.codec import (
    event_types,
    from_dict,
    to_dict,
)
from midas_engine.events.discovery import (
    AgentRow,
    CandidateAccepted,
    CandidateScored,
    ExpressionProposed,
    ExpressionRefused,
    HoldoutLooked,
    ModelCalled,
    PhaseStarted,
    PlanMade,
    SessionEnded,
    SessionEvent,
    SessionStarted,
    TokensStreamed,
)
from midas_engine.events.monitoring import (
    AlertChanged,
    AlertRaised,
    AlertResolved,
    AlertUpdated,
    BarProcessed,
    BarRefused,
    DiagnosisFinished,
    DiagnosisStarted,
    FeatureTicked,
    FeedGapped,
    KillCallbackFailed,
    KillProposed,
    ReportWritten,
    ShadowProposal,
    WatchChanged,
)
from midas_engine.events.pipeline import (
    DocumentChanged,
    FeatureMoved,
    LearningWritten,
)
from midas_engine.events.program import (
    FaultReported,
    QueryAnswered,
    ReplayMoved,
    RuntimeChanged,
    Trouble,
    TroubleChanged,
)

__all__ = [
    "AgentRow",
    "AlertChanged",
    "AlertRaised",
    "AlertResolved",
    "AlertUpdated",
    "BarProcessed",
    "BarRefused",
    "CandidateAccepted",
    "CandidateScored",
    "DiagnosisFinished",
    "DiagnosisStarted",
    "DocumentChanged",
    "Event",
    "ExpressionProposed",
    "ExpressionRefused",
    "FaultReported",
    "FeatureMoved",
    "FeatureTicked",
    "FeedGapped",
    "HoldoutLooked",
    "KillCallbackFailed",
    "KillProposed",
    "ShadowProposal",
    "LearningWritten",
    "ModelCalled",
    "PhaseStarted",
    "PlanMade",
    "QueryAnswered",
    "ReplayMoved",
    "ReportWritten",
    "RuntimeChanged",
    "SCHEMA_VERSION",
    "SessionEnded",
    "SessionEvent",
    "SessionStarted",
    "TokensStreamed",
    "Trouble",
    "TroubleChanged",
    "WatchChanged",
    "event_types",
    "from_dict",
    "to_dict",
]
