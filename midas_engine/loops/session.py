"""One discovery session: its steps, its trials, and the learning it leaves whatever happens."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from midas_engine import events as ev
from midas_engine.dsl.expression import parse
from midas_engine.errors import (
    BudgetError,
    EvaluationError,
    ExpressionError,
    KnowledgeBaseError,
    MidasError,
    ModelError,
    NameRefusedError,
)
from midas_engine.kb.names import check_name, slugify
from midas_engine.loops.account import TrialAccount
from midas_engine.loops.records import agent_rows, candidate_record, learning_document, trial_result
from midas_engine.models import FeatureState, LearningDocument
from midas_engine.proposer.protocol import LearningDraft, Plan, Proposal, ResearchContext, TrialResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from midas_engine.evaluator.ledger import TrialKey
    from midas_engine.loops.assessors import Assessor
    from midas_engine.loops.offline import OfflineCompoundLoop
    from midas_engine.models import MultiAgentResult
    from midas_engine.proposer.protocol import Researcher

# Agents that must agree on the confirmation part, at one trial: it asks whether this one effect is
# there again. The others judge the shape of a long history, which a short part does not have.
CONFIRMING = ("predictive_power", "trading_cost", "diversification")
RELATED_LEARNINGS = 6


class Session:
    """Runs the steps and emits events. Built by the loop for one goal."""

    def __init__(
        self,
        loop: OfflineCompoundLoop,
        goal: str,
        assessor: Assessor,
        regime: str,
        existing: Mapping[str, str] | None,
        emit: Callable[[ev.Event], None],
    ) -> None:
        self._loop, self._assessor, self._emit = loop, assessor, emit
        self.goal, self._regime = goal, regime
        self._existing = dict(existing) if existing is not None else None
        stamp = f"{loop.clock.now():%Y%m%d-%H%M%S}"
        self.session_id = f"{stamp}-{secrets.token_hex(2)}"
        self.results: list[TrialResult] = []
        self.accepted: list[str] = []
        self.learning: LearningDocument | None = None
        self._verdicts: dict[TrialKey, tuple[TrialResult, MultiAgentResult]] = {}
        self._unconfirmed = 0
        self._found: dict[str, str] = {}
        self._iteration = 0
        self._phase = "plan"
        self._researcher: Researcher | None = None
        self._learnings: list[LearningDocument] = []
        self._skills: dict[str, str] = {}
        self._thresholds: dict[str, dict[str, object]] = {}
        self._account: TrialAccount | None = None

    # -- the whole -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Everything, with a learning and `SessionEnded` at the end of every path."""
        result, reason = "failed", ""
        try:
            await self._prepare()
            await self._iterate()
            result = "success" if self.accepted else "failed"
        except asyncio.CancelledError:
            result, reason = "cancelled", "cancelled by the operator"
        except BudgetError as error:
            result, reason = ("success" if self.accepted else "failed"), error.message
        except MidasError as error:
            result, reason = "error", f"{error.message}" + (f" ({error.hint})" if error.hint else "")
        except Exception as error:
            result, reason = "error", f"{type(error).__name__}: {error}"
        # A second cancellation must not keep the learning from the disk.
        await asyncio.shield(self._finish(result, reason))

    async def _prepare(self) -> None:
        loop = self._loop
        kb = loop.kb
        self._researcher = loop.new_researcher()
        if self._existing is None:
            deployed = await asyncio.to_thread(kb.features, FeatureState.DEPLOYED)
            self._existing = {r.name: r.expression for r in deployed}
        self._thresholds, problem = await asyncio.to_thread(kb.last_good_thresholds)
        self._skills = await asyncio.to_thread(kb.skills)
        self._learnings = await asyncio.to_thread(kb.related_learnings, self.goal, RELATED_LEARNINGS)
        self._emit(
            ev.SessionStarted(
                at=loop.clock.now(),
                session_id=self.session_id,
                goal=self.goal,
                researcher=self._researcher.name,
                model=loop.config.model,
                regime=self._regime,
                max_iterations=loop.config.max_iterations,
                candidates_per_iter=loop.config.candidates_per_iter,
            )
        )
        if problem:
            self._say(f"thresholds.json was refused, the last good ones are used: {problem}\n")
        await self._assessor.start(self._existing)
        self._account = await TrialAccount.open(
            loop.ledger or kb.journal_path,
            self.session_id,
            self._assessor.snapshot_id,
            loop.settings.evaluation.target,
            loop.config.planned_trials,
            loop.clock,
        )

    async def _iterate(self) -> None:
        config = self._loop.config
        assert self._researcher is not None
        for self._iteration in range(1, config.max_iterations + 1):
            self._begin("plan")
            plan = await self._researcher.plan(self._context(), self._say)
            self._emit(
                ev.PlanMade(
                    at=self._now(),
                    session_id=self.session_id,
                    iteration=self._iteration,
                    hypothesis=plan.hypothesis,
                    approach=plan.approach,
                )
            )
            self._begin("write")
            proposals = await self._researcher.write(self._context(), plan, config.candidates_per_iter, self._say)
            if not proposals:
                self._say("no new expression to try\n")
            for proposal in proposals[: config.candidates_per_iter]:
                await self._try(proposal, plan)
                if config.stop_after and len(self.accepted) >= config.stop_after:
                    return

    async def _try(self, proposal: Proposal, plan: Plan) -> None:
        """Assess one proposal and its refinements."""
        assert self._researcher is not None
        current: Proposal | None = proposal
        came_from = ""
        for attempt in range(self._loop.config.refinements + 1):
            if current is None:
                return
            self._begin("assess")
            result = await self._assess(current, plan, came_from)
            if result is None or result.passed or attempt == self._loop.config.refinements:
                return
            self._begin("refine")
            came_from = current.name
            current = await self._researcher.refine(self._context(), current, result, self._say)

    # -- one trial -------------------------------------------------------------------------------

    async def _assess(self, proposal: Proposal, plan: Plan, came_from: str) -> TrialResult | None:
        assert self._account is not None
        checked = await self._check(proposal)
        if checked is None:
            return None
        proposal, key = checked
        self._emit(
            ev.ExpressionProposed(
                at=self._now(), session_id=self.session_id, iteration=self._iteration, name=proposal.name,
                expression=proposal.expression, rationale=proposal.rationale, refined_from=came_from,
            )
        )  # fmt: skip
        known = self._verdicts.get(key)
        if known is not None:
            self._tell(proposal, known[0], known[1], repeated=True)
            return None
        try:
            verdict = await self._assessor.judge(proposal, "research", self._trials, self._thresholds, self._found)
        except (EvaluationError, ExpressionError) as error:
            await self._refuse(proposal, error.message, "failed")
            return None
        # Charged first: nobody hears a verdict that was not paid for.
        await self._account.charge(key, verdict)
        result = trial_result(self._iteration, proposal, verdict)
        self.results.append(result)
        self._verdicts[key] = (result, verdict)
        accepted = verdict.overall_pass and await self._confirm(proposal, plan, verdict, key)
        self._tell(proposal, result, verdict, accepted=accepted)
        return result

    @property
    def _trials(self) -> int:
        return max(self._loop.config.planned_trials, len(self.results) + 1)

    async def _check(self, proposal: Proposal) -> tuple[Proposal, TrialKey] | None:
        """The proposal with a clean name, and its identity; None (and an event) when it is refused."""
        try:
            expression = parse(
                proposal.expression,
                columns=self._assessor.columns,
                limits=self._loop.settings.dsl,
                features=self._existing,
            )
            gate = ""
            if proposal.gate:
                gate = parse(
                    proposal.gate,
                    columns=self._assessor.columns,
                    limits=self._loop.settings.dsl,
                    features=self._existing,
                ).canonical
        except ExpressionError as error:
            await self._refuse(proposal, str(error), "invalid")
            return None
        try:
            name = check_name(proposal.name)
        except NameRefusedError:
            name = slugify(proposal.name) or "idea"
        clean = Proposal(
            name, proposal.expression, proposal.rationale, proposal.gate, max(0, min(proposal.hold, 10_000))
        )
        assert self._account is not None
        return clean, self._account.key(expression.canonical, gate, clean.hold)

    async def _confirm(self, proposal: Proposal, plan: Plan, research: MultiAgentResult, key: TrialKey) -> bool:
        """The confirmation part, then one look at the holdout. None of their figures reaches the researcher."""
        confirmation = await self._assessor.judge(proposal, "confirmation", 1, self._thresholds, self._found)
        refused = [v.agent for v in confirmation.verdicts if v.agent in CONFIRMING and not v.passed]
        if refused:
            self._unconfirmed += 1
            return False
        holdout: MultiAgentResult | None
        try:
            holdout = await self._assessor.judge(proposal, "holdout", 1, self._thresholds, self._found)
        except EvaluationError:
            holdout = None  # a history too short for a holdout part has none to look at
        if holdout is not None and not await self._holdout_held(key, holdout):
            self._unconfirmed += 1
            return False
        promise = await self._assessor.promise(proposal)
        kb = self._loop.kb
        name = await asyncio.to_thread(kb.free_name, proposal.name)
        record = candidate_record(
            proposal, research, confirmation, holdout, promise,
            name=name, session_id=self.session_id, hypothesis=plan.hypothesis, at=self._now(),
        )  # fmt: skip
        path = await self._loop.save_candidate(record)
        self.accepted.append(name)
        self._found[name] = proposal.expression
        self._emit(
            ev.CandidateAccepted(
                at=self._now(), session_id=self.session_id, name=name, expression=proposal.expression, path=path
            )
        )
        return True

    async def _holdout_held(self, key: TrialKey, holdout: MultiAgentResult) -> bool:
        """Charge the look and say so; the operator sees the line of the lifetime, the researcher nothing."""
        assert self._account is not None
        look = await self._account.look(key, holdout)
        again = ", answered from the ledger" if look.repeated else ""
        fate = "held" if look.passed else "did not hold"
        self._say(f"holdout look {look.number}{again}: {fate} (p had to reach {look.level:.2g})\n")
        return look.passed

    # -- telling ---------------------------------------------------------------------------------

    def _now(self) -> datetime:
        return self._loop.clock.now()

    def _begin(self, phase: str) -> None:
        self._phase = phase
        self._emit(ev.PhaseStarted(at=self._now(), session_id=self.session_id, iteration=self._iteration, phase=phase))

    def _say(self, text: str) -> None:
        self._emit(
            ev.TokensStreamed(
                at=self._now(), session_id=self.session_id, iteration=self._iteration, phase=self._phase, text=text
            )
        )

    async def _refuse(self, proposal: Proposal, reason: str, outcome: str) -> None:
        assert self._account is not None
        await self._account.charge_unscored(proposal, reason, outcome)
        self.results.append(
            TrialResult(
                self._iteration,
                proposal.name[:80],
                proposal.expression[:500],
                refused=reason,
                rationale=proposal.rationale,
            )
        )
        self._emit(
            ev.ExpressionRefused(
                at=self._now(), session_id=self.session_id, iteration=self._iteration,
                expression=proposal.expression[:500], reason=reason, name=proposal.name[:80],
            )
        )  # fmt: skip

    def _tell(
        self,
        proposal: Proposal,
        result: TrialResult,
        verdict: MultiAgentResult,
        *,
        accepted: bool = False,
        repeated: bool = False,
    ) -> None:
        self._emit(
            ev.CandidateScored(
                at=self._now(), session_id=self.session_id, iteration=self._iteration, name=proposal.name,
                expression=proposal.expression, accepted=accepted, composite=result.composite, rank_ic=result.rank_ic,
                score_t=result.score_t, line_t=result.line_t, trials=verdict.trials, agents=agent_rows(verdict),
                suggestions=result.suggestions, repeated=repeated,
            )
        )  # fmt: skip

    def _context(self) -> ResearchContext:
        kb, config, assessor = self._loop.kb, self._loop.config, self._assessor
        return ResearchContext(
            goal=self.goal,
            columns=assessor.columns,
            cross=assessor.cross,
            regime=self._regime,
            market=assessor.market,
            horizons=assessor.horizons,
            iteration=self._iteration,
            limits=self._loop.settings.dsl,
            existing=self._existing or {},
            thresholds=self._thresholds,
            skills=self._skills,
            results=tuple(self.results),
            learnings=self._learnings,
            prompt=kb.prompt,
            max_tokens=config.max_tokens,
        )

    # -- the end ---------------------------------------------------------------------------------

    async def _finish(self, result: str, reason: str) -> None:
        self._begin("learn")
        draft = await self._draft(result, reason)
        document = learning_document(
            draft, goal=self.goal, result=result, reason=reason, results=self.results, accepted=self.accepted,
            researcher=self._researcher.name if self._researcher is not None else "", regime=self._regime,
            session_id=self.session_id, at=self._loop.clock.now(), confirmed_failures=self._unconfirmed,
        )  # fmt: skip
        path = ""
        try:
            saved = await asyncio.to_thread(self._loop.kb.save_learning, document)
            path = self._loop.kb.relative(saved)
            self._emit(ev.LearningWritten(at=self._now(), path=path, title=document.title, loop="offline"))
        except KnowledgeBaseError as error:
            reason = f"{reason}; the learning could not be written: {error.message}".strip("; ")
        self.learning = document
        await self._assessor.close()
        if self._account is not None:
            await self._account.close()
        if self._researcher is not None:
            await self._researcher.close()
        self._emit(
            ev.SessionEnded(
                at=self._now(), session_id=self.session_id, result=result, accepted=tuple(self.accepted),
                tried=len(self.results), reason=reason, learning_path=path,
            )
        )  # fmt: skip

    async def _draft(self, result: str, reason: str) -> LearningDraft | None:
        # After an outage or a cancellation the program's own figures are the learning: no further call.
        if self._researcher is None or result in ("error", "cancelled") or not self.results:
            return None
        outcome = f"{result}: {len(self.accepted)} accepted of {len(self.results)} tried. {reason}"
        try:
            return await self._researcher.learn(self._context(), outcome, self._say)
        except ModelError as error:
            self._say(f"\n(no learning from the model: {error.message})\n")
            return None
