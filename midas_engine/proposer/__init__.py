"""Researchers: they plan, write, refine, learn and diagnose. One protocol for models and for the local search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

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

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "DSLValidator": "midas_engine.dsl.validator",
        "DiagnosisBrief": ".protocol",
        "DiagnosisDraft": ".protocol",
        "ExpressionProposer": ".expression_proposer",
        "LLMResearcher": ".llm_researcher",
        "LearningDraft": ".protocol",
        "LocalResearcher": ".local_researcher",
        "Plan": ".protocol",
        "Proposal": ".protocol",
        "ResearchContext": ".protocol",
        "Researcher": ".protocol",
        "TrialResult": ".protocol",
        "make_researcher": ".factory",
    },
)
