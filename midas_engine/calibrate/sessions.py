"""Whole discovery sessions on targets with known truth: the user's proposer, gates, parts and ledger."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.alive import Scratch
from midas_engine.evaluator import TrialLedger
from midas_engine.events import CandidateAccepted, SessionEnded

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from midas_engine.calibrate.market import Replay
    from midas_engine.calibrate.plan import CalibrationPlan
    from midas_engine.models import MultiAgentResult
    from midas_engine.proposer.protocol import Proposal
    from midas_engine.search.measure import Figures, Finalist
    from midas_engine.settings import Settings
    from midas_engine.stats._jit import Floats

REAL_SHARE = 0.1
"""A promoted feature that holds less than this share of the planted one's strength counts as noise."""


@dataclass(slots=True)
class SessionOutcome:
    """What one replayed session did.

    Attributes:
        kind: How the target was made.
        ic: Planted rank IC, 0 for pure noise.
        planted: Expression of the planted feature.
        scores: Score t of every candidate on research.
        line: The session line.
        research: Candidates that passed every research gate.
        promoted: Expressions that held at their sealed look as well.
        real: For each of them, its correlation with the planted feature (0 on pure noise).
        screened: Raw expressions of its family that met a return.
        error: Why the session failed; empty when it did not.
    """

    kind: str
    ic: float
    planted: str = ""
    scores: list[float] = field(default_factory=list)
    line: float = math.nan
    research: int = 0
    promoted: list[str] = field(default_factory=list)
    real: list[float] = field(default_factory=list)
    screened: int = 0
    error: str = ""

    @property
    def noise_promoted(self) -> int:
        """Promoted features that know nothing of the target."""
        return sum(r < REAL_SHARE for r in self.real)


class ReplayAssessor:
    """Judges proposals on a replay, in this thread: the process has nothing else to do."""

    def __init__(self, replay: Replay, outcome: SessionOutcome) -> None:
        market = replay.market
        panel, settings = market.panel, market.settings
        self._replay, self._outcome = replay, outcome
        self._known = set(market.texts)
        self.columns, self.cross = panel.columns, market.cross
        first, last = (str(t)[:10] for t in (panel.timestamps[0], panel.timestamps[-1]))
        self.market = f"{panel.S} perpetuals, bars of {panel.bar_seconds // 60} minutes, {first} to {last}"
        self.horizons = f"{settings.evaluation.target} bar(s) of {panel.bar_seconds // 60} minutes"
        self.snapshot_id = panel.snapshot_id
        self.bar_seconds = float(panel.bar_seconds)

    async def start(self, existing: Mapping[str, str], waiting: Collection[str] = ()) -> None:
        """Nothing to start."""

    async def judge(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any], accepted: Mapping[str, str]
    ) -> MultiAgentResult:
        """See `midas_engine.loops.assessors.Assessor.judge`."""
        engine = self._replay.market.engine
        for name, text in accepted.items():
            if name not in self._known:
                self._known.add(name)
                self._replay.add_existing(name, engine.values(text))
        verdict = self._replay.judge_proposal(proposal, part, trials, thresholds)
        if part == "research":
            self._outcome.scores.append(verdict.evaluation.score_t)
            self._outcome.line = verdict.line_t
            self._outcome.research += verdict.overall_pass
        return verdict

    async def screen(self, texts: Sequence[str]) -> list[Figures]:
        """See `midas_engine.loops.screening.Screens.screen`."""
        found = self._replay.screen.figures(texts)
        self._outcome.screened += sum(figures.scored for figures in found)
        return found

    async def check_family(self, texts: Sequence[str], level: float) -> list[Finalist]:
        """See `midas_engine.loops.screening.Screens.check_family`."""
        return self._replay.screen.check(texts, level)

    async def promise(self, proposal: Proposal) -> tuple[float | None, float, float]:
        """Not asked of a replay: nothing here goes live."""
        return None, math.nan, 0.0

    async def close(self) -> None:
        """Nothing is held."""


def replay_session(
    replay: Replay,
    plan: CalibrationPlan,
    seed: int,
    thresholds: Mapping[str, Any],
    outcome: SessionOutcome,
    planted: Floats | None = None,
) -> SessionOutcome:
    """Run one session to its end and fill `outcome`.

    Args:
        replay: Market and target.
        plan: Budget and goal.
        seed: Of the proposer.
        thresholds: The user's own.
        outcome: Filled and returned.
        planted: Normal scores of the planted feature [T, S]; None on pure noise.
    """
    settings = dataclasses.replace(replay.market.settings, seed=seed)
    with Scratch("calibrate") as folder, TrialLedger(":memory:") as ledger:
        asyncio.run(_run(replay, plan, settings, thresholds, outcome, folder / "kb", ledger))
    for text in outcome.promoted:
        outcome.real.append(0.0 if planted is None else shared(replay, text, planted))
    return outcome


async def _run(
    replay: Replay,
    plan: CalibrationPlan,
    settings: Settings,
    thresholds: Mapping[str, Any],
    outcome: SessionOutcome,
    folder: Path,
    ledger: TrialLedger,
) -> None:
    from midas_engine.proposer.factory import make_researcher
    from midas_engine.workspace import Workspace

    workspace = Workspace(dataclasses.replace(settings, kb=str(folder), read_only=False))
    # A throwaway base with the user's thresholds: what one replay learns must not help the next.
    (folder / "knowledge" / "thresholds.json").write_text(json.dumps(thresholds), encoding="utf-8")
    config = dataclasses.replace(plan.budget(settings), model=settings.model.model)
    loop = workspace.loop(config, researcher=lambda: make_researcher(settings), ledger=ledger)
    assessor = ReplayAssessor(replay, outcome)
    async for event in loop.stream(plan.goal, assessor, existing=replay.market.texts):
        if isinstance(event, CandidateAccepted):
            outcome.promoted.append(event.expression)
        elif isinstance(event, SessionEnded) and event.result == "error":
            outcome.error = event.reason


def shared(replay: Replay, expression: str, planted: Floats) -> float:
    """Correlation of a feature with the planted one, in normal scores: the share of its strength that it holds."""
    z = replay.market.normal_scores(replay.market.engine.values(expression))
    ok = ~np.isnan(z) & ~np.isnan(planted)
    if not ok.any():
        return 0.0
    x, y = z[ok], planted[ok]
    size = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / size if size > 0.0 else 0.0
