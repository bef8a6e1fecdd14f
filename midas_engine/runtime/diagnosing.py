"""Diagnosis in the runtime: the agent that explains live episodes, and the operator's own question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.errors import MidasError, MonitorError
from midas_engine.events import RuntimeChanged
from midas_engine.models import FeatureState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
    from midas_engine.monitor.diagnosis.protocols import Diagnostician
    from midas_engine.runtime.open_base import OpenBase
    from midas_engine.runtime.supervisor import Supervisor
    from midas_engine.runtime.watched import Watched
    from midas_engine.settings import Settings


class Diagnosing:
    """Makes the agent when it is first needed. It writes papers and candidate versions only where the runtime may.

    Args:
        settings: The model, and how features are scored.
        base: Where papers and versions go.
        watched: What is explained.
        supervisor: Told where diagnoses are asked.
    """

    def __init__(self, settings: Settings, base: OpenBase, watched: Watched, supervisor: Supervisor) -> None:
        self._settings, self._base, self._watched = settings, base, watched
        self._supervisor = supervisor
        self._agent: DiagnoseAgent | None = None

    @property
    def agent(self) -> DiagnoseAgent:
        """What explains critical episodes."""
        if self._agent is None:
            self._agent = self._make()
        return self._agent

    def proposals(self) -> Mapping[str, str]:
        """Features that a diagnosis would stop, and why."""
        return {} if self._agent is None else self._agent.proposals

    async def ask(self, feature: str) -> str:
        """Start a diagnosis of `feature` in the background; says so.

        Raises:
            MonitorError: It is not watched, or its diagnosis is under way.
            BudgetError: The day's diagnoses are spent.
        """
        stage, panel, kb = self._watched.needed, self._watched.panel, self._base.kb
        if feature not in stage.fleet.names:
            raise MonitorError(f"feature {feature!r} is not watched", hint="watched: " + ", ".join(stage.fleet.names))
        if not self.agent.columns and panel is not None:
            self.agent.columns = tuple(panel.fields)
        expressions = self._watched.expressions
        if feature not in expressions and kb.path.is_dir():
            expressions |= {r.name: r.expression for r in kb.features(FeatureState.DEPLOYED)}
        self.agent.ask(stage.fleet, feature, expressions)
        return f"diagnosing {feature}"

    async def close(self) -> None:
        """Let go of what is under way."""
        if self._agent is not None:
            await self._agent.close()

    def _make(self) -> DiagnoseAgent:
        from midas_engine.monitor.diagnosis.fixes import PanelMender

        base, watched, supervisor = self._base, self._watched, self._supervisor
        writing = not watched.replaying and not base.read_only and base.journal is not None
        mender = PanelMender(
            lambda: watched.panel,
            self._settings,
            supervisor.clock,
            promoter=base.promoter if writing else None,
            ledger=base.kb.journal_path if writing else None,
            expressions=lambda: watched.expressions,
        )
        return base.opened.diagnostics(
            supervisor.bus,
            researcher=self._researcher() if writing else None,
            mender=mender,
            columns=tuple(watched.panel.fields) if watched.panel is not None else (),
            writing=writing,
        )

    def _researcher(self) -> Diagnostician | None:
        """The settings' researcher; the local templates, and a word about it, when it cannot be had."""
        from midas_engine.proposer.factory import make_researcher
        from midas_engine.proposer.protocol import GoesSomewhere

        supervisor = self._supervisor
        if self._settings.model.provider in ("local", "mock"):
            return None
        try:
            probe = make_researcher(self._settings)  # a key that is missing is told now, not with the first alarm
        except MidasError as error:
            supervisor.fault("diagnosis", f"explained by the local templates: {error.message}", error.hint)
            return None
        if isinstance(probe, GoesSomewhere) and probe.destination:
            told = f"diagnoses ask {probe.destination}"
            supervisor.announce(RuntimeChanged(at=supervisor.clock.now(), phase=supervisor.phase, detail=told))
        return self._base.workspace.explainer()
