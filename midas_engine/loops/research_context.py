"""What a researcher may know that is the same in every step of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.loops.assessors import KnowsWidth, NotesColumns, costs_text
from midas_engine.proposer.protocol import ResearchContext

if TYPE_CHECKING:
    from midas_engine.loops.assessors import Assessor
    from midas_engine.loops.inputs import SessionInputs
    from midas_engine.settings import DslLimits, Settings


LEAST_RELATIVE = 3
"""Symbols from which what one does beside the others is worth asking."""


def fixed_context(given: SessionInputs, assessor: Assessor, settings: Settings, limits: DslLimits) -> ResearchContext:
    """The context before anything was tried.

    Args:
        given: What the session was given.
        assessor: Knows the data.
        settings: Costs.
        limits: Of expressions, in the bars of this data.
    """
    config = given.config
    return ResearchContext(
        goal=given.goal,
        columns=assessor.columns,
        cross=assessor.cross,
        relative=not assessor.cross and isinstance(assessor, KnowsWidth) and assessor.symbols >= LEAST_RELATIVE,
        regime=given.regime,
        market=assessor.market,
        horizons=assessor.horizons,
        limits=limits,
        thresholds=given.thresholds,
        skills=given.skills,
        learnings=given.learnings,
        max_tokens=config.max_tokens,
        costs=costs_text(settings.costs, assessor),
        column_notes=assessor.notes() if isinstance(assessor, NotesColumns) else {},
        iterations=config.max_iterations,
        planned_trials=config.planned_trials,
        memory=given.memory,
        recall=given.recall,
        snapshot=assessor.snapshot_id,
        tried=given.tried.get(assessor.snapshot_id, ()),
    )
