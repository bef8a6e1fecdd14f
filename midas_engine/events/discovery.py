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
    """A discovery session began. `destination` names the host that a model's questions and the key go to."""

    goal: str
    researcher: str
    model: str = ""
    regime: str = ""
    max_iterations: int = 0
    candidates_per_iter: int = 0
    destination: str = ""


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
    """A proposed expression was refused before scoring."""

    iteration: int
    expression: str
    reason: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """One agent's verdict, flat, for the scorecard."""

    agent: str
    passed: bool
    score: float
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateScored(SessionEvent):
    """The six agents judged an expression on the research part."""

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
