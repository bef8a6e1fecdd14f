"""Diagnosis in the runtime: the agent that explains live episodes, and the operator's own question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.errors import MidasError, MonitorError
from midas_engine.events import RuntimeChanged
from midas_engine.models import FeatureState

if TYPE_CHECKING:
    from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
    from midas_engine.monitor.diagnosis.protocols import Diagnostician
    from midas_engine.runtime.live import LiveWatch
    from midas_engine.runtime.recorded_bars import FleetStage
    from midas_engine.runtime.runtime import Runtime


def make_agent(runtime: Runtime) -> DiagnoseAgent:
    """The agent of this runtime: it writes papers and candidate versions only where the runtime may."""
    from midas_engine.monitor.diagnosis.fixes import PanelMender

    writing = runtime.mode != "REPLAY" and not runtime.read_only and runtime.journal is not None
    settings = runtime.settings
    mender = PanelMender(
        lambda: runtime.panel,
        settings,
        runtime.clock,
        promoter=runtime.promoter if writing else None,
        ledger=runtime.kb.journal_path if writing else None,
        expressions=lambda: _expressions(runtime),
    )
    panel = runtime.panel
    return runtime.opened.diagnostics(
        runtime.bus,
        researcher=_researcher(runtime) if writing else None,
        mender=mender,
        columns=tuple(panel.fields) if panel is not None else (),
        writing=writing,
    )


def _researcher(runtime: Runtime) -> Diagnostician | None:
    """The settings' researcher; the local templates, and a word about it, when it cannot be had."""
    from midas_engine.proposer.factory import make_researcher

    settings = runtime.settings
    if settings.model.provider in ("local", "mock"):
        return None
    try:
        probe = make_researcher(settings)  # a key that is missing is told now, not with the first alarm
    except MidasError as error:
        runtime.fault("diagnosis", f"explained by the local templates: {error.message}", error.hint)
        return None
    if destination := str(getattr(probe, "destination", "")):
        told = f"diagnoses ask {destination}"
        runtime.announce(RuntimeChanged(at=runtime.clock.now(), phase=runtime.phase, detail=told))
    return runtime.workspace.explainer()


def _expressions(runtime: Runtime) -> dict[str, str]:
    stage = runtime.watched_stage
    return dict(stage.expressions) if stage is not None else {}


async def begin_diagnosis(runtime: Runtime, stage: FleetStage | LiveWatch, feature: str) -> str:
    """Start a diagnosis of `feature` in the background; says so.

    Raises:
        MonitorError: It is not watched, or its diagnosis is under way.
        BudgetError: The day's diagnoses are spent.
    """
    if feature not in stage.fleet.names:
        raise MonitorError(f"feature {feature!r} is not watched", hint="watched: " + ", ".join(stage.fleet.names))
    agent = runtime.diagnostics
    if not agent.columns and runtime.panel is not None:
        agent.columns = tuple(runtime.panel.fields)
    expressions = dict(stage.expressions)
    if feature not in expressions and runtime.kb.path.is_dir():
        expressions |= {r.name: r.expression for r in runtime.kb.features(FeatureState.DEPLOYED)}
    agent.ask(stage.fleet, feature, expressions)
    return f"diagnosing {feature}"
