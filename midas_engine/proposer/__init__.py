"""Researchers: they plan, write, refine, learn and diagnose. One protocol for models and for the local search."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.dsl.validator import DSLValidator
    from midas_engine.proposer.expression_proposer import ExpressionProposer
    from midas_engine.proposer.factory import make_researcher
    from midas_engine.proposer.llm_researcher import LLMResearcher
    from midas_engine.proposer.local_researcher import LocalResearcher
    from midas_engine.proposer.protocol import (
        DiagnosisBrief,
        DiagnosisDraft,
        LearningDraft,
        Plan,
        Proposal,
        ResearchContext,
        Researcher,
        TrialResult,
    )

_HOMES = {
    "DSLValidator": "midas_engine.dsl.validator",
    "DiagnosisBrief": "midas_engine.proposer.protocol",
    "DiagnosisDraft": "midas_engine.proposer.protocol",
    "ExpressionProposer": "midas_engine.proposer.expression_proposer",
    "LLMResearcher": "midas_engine.proposer.llm_researcher",
    "LearningDraft": "midas_engine.proposer.protocol",
    "LocalResearcher": "midas_engine.proposer.local_researcher",
    "Plan": "midas_engine.proposer.protocol",
    "Proposal": "midas_engine.proposer.protocol",
    "ResearchContext": "midas_engine.proposer.protocol",
    "Researcher": "midas_engine.proposer.protocol",
    "TrialResult": "midas_engine.proposer.protocol",
    "make_researcher": "midas_engine.proposer.factory",
}
__all__ = [
    "DSLValidator",
    "DiagnosisBrief",
    "DiagnosisDraft",
    "ExpressionProposer",
    "LLMResearcher",
    "LearningDraft",
    "LocalResearcher",
    "Plan",
    "Proposal",
    "ResearchContext",
    "Researcher",
    "TrialResult",
    "make_researcher",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use: importing this package stays instant."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
