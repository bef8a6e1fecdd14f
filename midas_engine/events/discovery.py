"""Events of discovery sessions."""

from __future__ import annotations

from dataclasses import dataclass

from midas_engine.events.base import Event
from midas_engine.hypothesis import Hypothesis


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEvent(Event):
    """An event of a discovery session."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(SessionEvent):
    """A discovery session began.

    Attributes:
        destination: The host that a model's questions and the key go to.
        planned_trials: The most expressions it may try: what its line is drawn for; 0 where it was not told.
        budget_usd: Dollars it may spend; 0: no model is asked, or it was not told.
        budget_calls: Model calls it may make; 0 likewise.
        budget_minutes: Wall time it may take; 0: no limit.
        data: The data that it searches.
        horizon: Bars ahead that the gates are judged on.
        replays: The session whose record this repeats; empty for one that searches.
    """

    goal: str
    researcher: str
    model: str = ""
    regime: str = ""
    max_iterations: int = 0
    candidates_per_iter: int = 0
    destination: str = ""
    planned_trials: int = 0
    budget_usd: float = 0.0
    budget_calls: int = 0
    budget_minutes: float = 0.0
    data: str = ""
    horizon: int = 0
    replays: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted(SessionEvent):
    """A phase began: plan, write, assess, refine or learn."""

    iteration: int
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensStreamed(SessionEvent):
    """The researcher produced text. Untrusted: show it as data."""

    iteration: int
    phase: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMade(SessionEvent):
    """The plan of one iteration was read."""

    iteration: int
    hypothesis: str
    approach: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionProposed(SessionEvent):
    """An expression was proposed and passed validation, with what it claims; nothing of it is scored yet."""

    iteration: int
    name: str
    expression: str
    rationale: str = ""
    refined_from: str = ""
    hypothesis: Hypothesis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionRefused(SessionEvent):
    """A proposed expression was refused before scoring. `refined_from` is what it was to improve."""

    iteration: int
    expression: str
    reason: str
    name: str = ""
    refined_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """One agent's verdict, flat, for the scorecard."""

    agent: str
    passed: bool
    score: float
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateScored(SessionEvent):
    """The six agents judged an expression on the research part. `why` says what it was not accepted for."""

    iteration: int
    name: str
    expression: str
    accepted: bool
    composite: float
    rank_ic: float
    score_t: float
    line_t: float
    trials: int
    agents: tuple[AgentRow, ...] = ()
    suggestions: tuple[str, ...] = ()
    repeated: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutLooked(SessionEvent):
    """The sealed part was opened for an expression. No figure of it is told, only what it had to reach and cost.

    Attributes:
        number: Which look of the lifetime this was, from 1.
        line: The p it had to reach.
        next_line: The p the next look will have to reach.
        vetoes: What stood against it besides its p.
        repeated: Answered from the ledger: it cost nothing.
    """

    iteration: int
    name: str
    passed: bool
    number: int
    line: float
    next_line: float
    vetoes: tuple[str, ...] = ()
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateAccepted(SessionEvent):
    """A candidate passed every part and was saved."""

    name: str
    expression: str
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCalled(SessionEvent):
    """A model call ended and was charged; `again` where a record gave the reply, and it was charged before."""

    provider: str
    model: str
    tokens_in: int
    tokens_out: int
    cost_usd: float
    seconds: float
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(SessionEvent):
    """A discovery session ended: success, failed, cancelled, error, or interrupted (its process died)."""

    result: str
    accepted: tuple[str, ...] = ()
    tried: int = 0
    reason: str = ""
    learning_path: str = ""
