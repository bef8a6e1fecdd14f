"""What runs inside a worker process: one market, jobs by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.calibrate.features import LEAST_MEMORY, FeatureOutcome, judge_planted, memory, planted_target
from midas_engine.calibrate.market import Market, Replay
from midas_engine.calibrate.sessions import SessionOutcome, replay_session
from midas_engine.calibrate.targets import make_target
from midas_engine.errors import EvaluationError, MidasError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from midas_engine.calibrate.plan import CalibrationPlan, Job
    from midas_engine.market import Panel
    from midas_engine.market.shared_panel import SharedPanel
    from midas_engine.settings import Settings

Outcome = SessionOutcome | FeatureOutcome
_TRIES = 40


class Worker:
    """Does jobs on one market."""

    def __init__(
        self,
        panel: Panel,
        settings: Settings,
        existing: Mapping[str, str],
        thresholds: Mapping[str, Any],
        plan: CalibrationPlan,
    ) -> None:
        self.market = Market(panel, settings, existing)
        self.thresholds, self.plan = thresholds, plan

    def do(self, job: Job) -> Outcome:
        """One job. The random numbers are those of the job, whichever process does it."""
        seed = [self.plan.seed, job.number, round(1000 * job.ic), len(job.task), len(job.kind)]
        return self._session(job, seed) if job.task == "session" else self._feature(job, seed)

    def _session(self, job: Job, seed: list[int]) -> SessionOutcome:
        proposer_seed = int(np.random.default_rng([*seed, 1]).integers(2**31))
        if job.ic == 0.0:
            rng = np.random.default_rng(seed)
            target = make_target(job.kind, self.market.returns, rng, self.market.panel.hours_per_bar)
            outcome = SessionOutcome(job.kind, 0.0)
            return replay_session(Replay(self.market, target), self.plan, proposer_seed, self.thresholds, outcome)
        expression = self._idea(seed)
        values = self.market.engine.values(expression)
        z = self.market.normal_scores(values)
        planted = planted_target(self.market, job.kind, job.ic, values, z, seed)
        outcome = SessionOutcome(job.kind, job.ic, expression)
        replay = Replay(self.market, planted.alive)
        return replay_session(replay, self.plan, proposer_seed, self.thresholds, outcome, z)

    def _feature(self, job: Job, seed: list[int]) -> FeatureOutcome:
        planned = self.plan.budget(self.market.settings).planned_trials
        return judge_planted(self.market, self._idea(seed), job.ic, job.kind, planned, self.thresholds, seed)

    def _idea(self, seed: list[int]) -> str:
        """A feature to plant: the first slow enough for the half-life gate, or the slowest where none is."""
        hours = float(self.thresholds["decay_analysis"]["min_half_life_hours"])
        slowest, found = -1.0, ""
        for expression in self._ideas(seed):
            own = memory(self.market, self.market.normal_scores(self.market.engine.values(expression)), hours)
            if own >= LEAST_MEMORY:
                return expression
            if own > slowest:
                slowest, found = own, expression
        if not found:
            raise EvaluationError(
                "no feature could be planted in this data", hint="use a longer history, or a market with more columns"
            )
        return found

    def _ideas(self, seed: list[int]) -> Iterator[str]:
        """Expressions of the kind that the local search writes first: what is planted must be something to find."""
        import asyncio

        from midas_engine.proposer.local_researcher import LocalResearcher
        from midas_engine.proposer.protocol import Plan, ResearchContext

        market = self.market
        context = ResearchContext(
            goal=self.plan.goal, columns=market.panel.columns, cross=market.cross, limits=market.engine.limits
        )
        researcher = LocalResearcher(int(np.random.default_rng([*seed, 2]).integers(2**31)))
        for _ in range(_TRIES):
            for proposal in asyncio.run(researcher.write(context, Plan(""), 1, lambda _: None)):
                yield proposal.expression


def open_worker(shared: SharedPanel, *args: Any) -> Worker:
    """What a worker makes before its first job; `args` are those of `Worker` after the panel."""
    return Worker(shared.open(), *args)


def do_job(worker: Worker, job: Job) -> Outcome | str:
    """One job; the text of the error when it cannot be done."""
    try:
        return worker.do(job)
    except MidasError as error:
        return error.message
