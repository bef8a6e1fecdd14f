"""What a session says: every event it emits, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine import events as ev
from midas_engine.loops.records import agent_rows, look_words
from midas_engine.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from midas_engine.clock import Clock
    from midas_engine.evaluator.trials.holdout import HoldoutLook
    from midas_engine.llm.client import ModelReply, ModelRequest
    from midas_engine.loops.config import OfflineLoopConfig
    from midas_engine.loops.known import KnownTrial
    from midas_engine.models import MultiAgentResult
    from midas_engine.proposer.protocol import Plan, Proposal, TrialResult
    from midas_engine.settings import Settings


class Voice:
    """Emits a session's events, stamped with its id, the iteration and the phase it is in.

    Args:
        emit: Receives the events; must not block.
        clock: Stamps them.
        session_id: Whose they are.
    """

    def __init__(self, emit: Callable[[ev.Event], None], clock: Clock, session_id: str) -> None:
        self._out, self._clock, self._id = emit, clock, session_id
        self.iteration = 0
        self.phase = "plan"
        self.came_from = ""  # what the expression at hand was to improve

    def _emit(self, event: ev.Event) -> None:
        self._out(redacted(event))  # a goal, a name or a reason may quote a key

    def now(self) -> datetime:
        """Engine time."""
        return self._clock.now()

    def started(
        self, goal: str, researcher: str, regime: str, config: OfflineLoopConfig, settings: Settings, destination: str
    ) -> None:
        """The session begins; what it may spend on models is said where one is asked."""
        model = settings.model if destination else None
        self._emit(
            ev.SessionStarted(
                at=self.now(), session_id=self._id, goal=goal, researcher=researcher, model=config.model,
                regime=regime, max_iterations=config.max_iterations, candidates_per_iter=config.candidates_per_iter,
                destination=destination, planned_trials=config.planned_trials,
                budget_usd=model.session_usd if model is not None else 0.0,
                budget_calls=model.session_calls if model is not None else 0,
                budget_minutes=settings.model.session_minutes, data=settings.data, horizon=settings.evaluation.target,
            )
        )  # fmt: skip

    def begin(self, phase: str) -> None:
        """A phase begins."""
        self.phase = phase
        self._emit(ev.PhaseStarted(at=self.now(), session_id=self._id, iteration=self.iteration, phase=phase))

    def say(self, text: str) -> None:
        """Words, as they come."""
        self._emit(
            ev.TokensStreamed(at=self.now(), session_id=self._id, iteration=self.iteration, phase=self.phase, text=text)
        )

    def model_called(self, request: ModelRequest, reply: ModelReply) -> None:
        """A model answered, and what it cost."""
        self._emit(
            ev.ModelCalled(
                at=self.now(), session_id=self._id, provider=reply.provider, model=reply.model,
                tokens_in=reply.tokens_in, tokens_out=reply.tokens_out, cost_usd=reply.cost_usd, seconds=reply.seconds,
                again=reply.cached,
            )
        )  # fmt: skip

    def planned(self, plan: Plan) -> None:
        """The plan of the iteration."""
        self._emit(
            ev.PlanMade(
                at=self.now(), session_id=self._id, iteration=self.iteration, hypothesis=plan.hypothesis,
                approach=plan.approach,
            )
        )  # fmt: skip

    def proposed(self, proposal: Proposal, came_from: str) -> None:
        """An expression is about to be scored."""
        self._emit(
            ev.ExpressionProposed(
                at=self.now(), session_id=self._id, iteration=self.iteration, name=proposal.name,
                expression=proposal.expression, rationale=proposal.rationale, refined_from=came_from,
                hypothesis=proposal.hypothesis,
            )
        )  # fmt: skip

    def refused(self, proposal: Proposal, reason: str) -> None:
        """An expression was refused before it had a score."""
        self._emit(
            ev.ExpressionRefused(
                at=self.now(), session_id=self._id, iteration=self.iteration, expression=proposal.expression[:500],
                reason=reason, name=proposal.name[:80], refined_from=self.came_from,
            )
        )  # fmt: skip

    def scored(
        self, proposal: Proposal, result: TrialResult, verdict: MultiAgentResult, *,
        accepted: bool, repeated: bool, why: str = "",
    ) -> None:  # fmt: skip
        """The six verdicts on the research part, whether the later parts agreed, and what it was not accepted for."""
        self._emit(
            ev.CandidateScored(
                at=self.now(), session_id=self._id, iteration=self.iteration, name=proposal.name,
                expression=proposal.expression, accepted=accepted, composite=result.composite, rank_ic=result.rank_ic,
                score_t=result.score_t, line_t=result.line_t, trials=verdict.trials, agents=agent_rows(verdict),
                suggestions=result.suggestions, repeated=repeated, why=why,
            )
        )  # fmt: skip

    def known(self, proposal: Proposal, found: KnownTrial) -> None:
        """An expression that was tried before, answered from the record."""
        result = found.result
        self.say(f"{proposal.name} was tried before, {result.known}: answered from the record\n")
        self._emit(
            ev.CandidateScored(
                at=self.now(), session_id=self._id, iteration=self.iteration, name=proposal.name,
                expression=proposal.expression, accepted=False, composite=result.composite, rank_ic=result.rank_ic,
                score_t=result.score_t, line_t=result.line_t, trials=found.trials, agents=found.agents,
                suggestions=result.suggestions, repeated=True, why=f"tried before, {result.known}",
            )
        )  # fmt: skip

    def looked(self, name: str, look: HoldoutLook) -> None:
        """The sealed part was opened: its words, and what the look had to reach."""
        self.say(look_words(look))
        self._emit(
            ev.HoldoutLooked(
                at=self.now(), session_id=self._id, iteration=self.iteration, name=name, passed=look.passed,
                number=look.number, line=look.line, next_line=look.next_line, vetoes=look.vetoes,
                repeated=look.repeated,
            )
        )  # fmt: skip

    def saved(self, name: str, expression: str, path: str) -> None:
        """A candidate is on disk."""
        self._emit(
            ev.CandidateAccepted(at=self.now(), session_id=self._id, name=name, expression=expression, path=path)
        )

    def learned(self, path: str, title: str) -> None:
        """The learning is on disk."""
        self._emit(ev.LearningWritten(at=self.now(), path=path, title=title, loop="offline"))

    def ended(self, result: str, accepted: tuple[str, ...], tried: int, reason: str, learning_path: str) -> None:
        """The session is over; always the last word."""
        self._emit(
            ev.SessionEnded(
                at=self.now(), session_id=self._id, result=result, accepted=accepted, tried=tried, reason=reason,
                learning_path=learning_path,
            )
        )  # fmt: skip
