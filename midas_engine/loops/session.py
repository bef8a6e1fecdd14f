"""One discovery session: its steps, its trials, and the learning it leaves whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
from typing import TYPE_CHECKING

from midas_engine.dsl.expression import parse
from midas_engine.errors import (
    BudgetError,
    EvaluationError,
    ExpressionError,
    MidasError,
    NameRefusedError,
)
from midas_engine.kb.names import check_name, slugify
from midas_engine.loops.endurance import Endurance
from midas_engine.loops.for_shadow import unproven_columns, words_for_shadow, words_on_columns
from midas_engine.loops.power_text import power_text
from midas_engine.loops.records import Judged, SessionEnd, candidate_record, learning_document, look_words, trial_result
from midas_engine.loops.session_events import Voice
from midas_engine.loops.trial_account import TrialAccount
from midas_engine.models import FeatureState, LearningDocument
from midas_engine.proposer.protocol import (
    CallsModel,
    GoesSomewhere,
    LearningDraft,
    Plan,
    Proposal,
    ResearchContext,
    TrialResult,
)
from midas_engine.shortage import is_shortage

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from midas_engine.dsl.expression import Expression
    from midas_engine.evaluator.trials.ledger import TrialKey
    from midas_engine.events import Event
    from midas_engine.loops.assessors import Assessor
    from midas_engine.loops.session_parts import SessionHost
    from midas_engine.models import MultiAgentResult
    from midas_engine.proposer.protocol import Researcher
    from midas_engine.settings import DslLimits

RELATED_LEARNINGS = 6


class Session:
    """Runs the steps and emits events. Built by the loop for one goal."""

    def __init__(
        self,
        loop: SessionHost,
        goal: str,
        assessor: Assessor,
        regime: str,
        existing: Mapping[str, str] | None,
        emit: Callable[[Event], None],
    ) -> None:
        self._loop, self._assessor = loop, assessor
        self.goal, self._regime = goal, regime
        self._existing = dict(existing) if existing is not None else None
        stamp = f"{loop.clock.now():%Y%m%d-%H%M%S}"
        self.session_id = f"{stamp}-{secrets.token_hex(2)}"
        self.results: list[TrialResult] = []
        self.accepted: list[str] = []
        self.learning: LearningDocument | None = None
        self._voice = Voice(emit, loop.clock, self.session_id)
        self._verdicts: dict[TrialKey, tuple[TrialResult, MultiAgentResult]] = {}
        self._unconfirmed = 0
        self._found: dict[str, str] = {}
        self._named: dict[str, str] = {}
        self._researcher: Researcher | None = None
        self._learnings: list[LearningDocument] = []
        self._skills: dict[str, str] = {}
        self._thresholds: dict[str, dict[str, object]] = {}
        self._account: TrialAccount | None = None
        self._endurance = Endurance(loop.settings.model, loop.clock, self._voice.say)

    # -- the whole -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Everything, with a learning and `SessionEnded` at the end of every path."""
        result, reason = "failed", ""
        try:
            await self._prepare()
            await self._iterate()
            result, reason = ("success" if self.accepted else "failed"), self._endurance.told()
            if reason and not self.results:
                result = "error"
        except asyncio.CancelledError:
            result, reason = "cancelled", "cancelled by the operator"
        except BudgetError as error:
            result, reason = ("success" if self.accepted else "failed"), error.message
        except MidasError as error:
            result, reason = "error", f"{error.message}" + (f" ({error.hint})" if error.hint else "")
        except Exception as error:
            result, reason = "error", f"{type(error).__name__}: {error}"
            if is_shortage(error):
                reason = f"there is not enough memory ({reason}): give fewer symbols, columns or bars"
        self._voice.begin("learn")
        draft: LearningDraft | None = None
        with contextlib.suppress(asyncio.CancelledError):  # then the program's own figures are the learning
            draft = await self._draft(result, reason)
        await _to_the_end(self._finish(result, reason, draft))

    async def _prepare(self) -> None:
        loop = self._loop
        kb, config = loop.kb, loop.config
        self._researcher = await asyncio.to_thread(loop.new_researcher)
        # Only researchers that call a model have anything to tell.
        if isinstance(self._researcher, CallsModel):
            self._researcher.listen(self._voice.model_called)
        if self._existing is None:
            deployed = await asyncio.to_thread(kb.features, FeatureState.DEPLOYED)
            self._existing = {r.name: r.expression for r in deployed}
        self._thresholds, problem = await asyncio.to_thread(kb.last_good_thresholds)
        self._skills = await asyncio.to_thread(kb.skills)
        if config.use_learnings:
            self._learnings = await asyncio.to_thread(kb.related_learnings, self.goal, RELATED_LEARNINGS)
        destination = self._researcher.destination if isinstance(self._researcher, GoesSomewhere) else ""
        self._voice.started(
            self.goal, self._researcher.name, config.model, self._regime,
            config.max_iterations, config.candidates_per_iter, destination,
        )  # fmt: skip
        if problem:
            self._voice.say(f"thresholds.json was refused, the last good ones are used: {problem}\n")
        candidates = await asyncio.to_thread(kb.features, FeatureState.CANDIDATE)
        self._named = {r.name: r.expression for r in candidates} | self._existing
        self._existing = self._computable(self._existing)
        await self._assessor.start(self._existing)
        # A user's engine says only now which columns it has. What does not parse reaches no prompt either.
        self._existing = self._computable(self._existing)
        self._account = await TrialAccount.open(
            loop.ledger or kb.journal_path,
            self.session_id,
            self._assessor.snapshot_id,
            loop.settings.evaluation.target,
            config.planned_trials,
            loop.clock,
        )
        if text := await power_text(self._assessor, self._account, config.planned_trials, self._thresholds):
            self._voice.say(text)

    def _computable(self, existing: Mapping[str, str]) -> dict[str, str]:
        """The deployed features that this data can speak of; what cannot be computed must not end the session."""
        if not self._assessor.columns:
            return dict(existing)
        found: dict[str, str] = {}
        for name, text in existing.items():
            try:
                parse(text, columns=self._assessor.columns, limits=self._limits, features=existing)
                found[name] = text
            except ExpressionError as error:
                self._voice.say(f"{name} cannot be computed on this data and is left out: {error.message}\n")
        return found

    async def _iterate(self) -> None:
        config, voice, endurance = self._loop.config, self._voice, self._endurance
        assert self._researcher is not None
        researcher = self._researcher
        for voice.iteration in range(1, config.max_iterations + 1):
            voice.begin("plan")
            plan = await endurance.step("plan", lambda: researcher.plan(self._context(), voice.say))
            if plan is None:
                continue
            voice.planned(plan)
            voice.begin("write")
            proposals = await endurance.step("write", functools.partial(self._write, researcher, plan))
            if proposals is not None and not proposals:
                voice.say("no new expression to try\n")
            for proposal in (proposals or [])[: config.candidates_per_iter]:
                endurance.check()
                await self._try(proposal, plan)
                if config.stop_after and len(self.accepted) >= config.stop_after:
                    return

    async def _write(self, researcher: Researcher, plan: Plan) -> list[Proposal]:
        return await researcher.write(self._context(), plan, self._loop.config.candidates_per_iter, self._voice.say)

    async def _try(self, proposal: Proposal, plan: Plan) -> None:
        """Assess one proposal and its refinements."""
        assert self._researcher is not None
        refine = self._researcher.refine
        current: Proposal | None = proposal
        came_from = ""
        for attempt in range(self._loop.config.refinements + 1):
            if current is None:
                return
            self._voice.begin("assess")
            result = await self._assess(current, plan, came_from)
            if result is None or result.passed or attempt == self._loop.config.refinements:
                return
            self._voice.begin("refine")
            came_from = current.name
            change = functools.partial(refine, self._context(), current, result, self._voice.say)
            current = await self._endurance.step("refine", change, optional=True)

    # -- one trial -------------------------------------------------------------------------------

    async def _assess(self, proposal: Proposal, plan: Plan, came_from: str) -> TrialResult | None:
        assert self._account is not None
        checked = await self._check(proposal)
        if checked is None:
            return None
        proposal, key = checked
        self._voice.proposed(proposal, came_from)
        known = self._verdicts.get(key)
        if known is not None:
            self._voice.scored(proposal, known[0], known[1], accepted=False, repeated=True)
            return None
        try:
            verdict = await self._judge(proposal, "research", self._trials)
        except (EvaluationError, ExpressionError) as error:
            await self._refuse(proposal, error.message, "failed")
            return None
        # Charged first: nobody hears a verdict that was not paid for.
        await self._account.charge(key, verdict)
        result = trial_result(self._voice.iteration, proposal, verdict)
        self.results.append(result)
        self._verdicts[key] = (result, verdict)
        accepted = verdict.overall_pass and await self._confirm(proposal, plan, verdict, key)
        self._voice.scored(proposal, result, verdict, accepted=accepted, repeated=False)
        return result

    @property
    def _trials(self) -> int:
        return max(self._loop.config.planned_trials, len(self.results) + 1)

    async def _judge(self, proposal: Proposal, part: str, trials: int) -> MultiAgentResult:
        return await self._assessor.judge(proposal, part, trials, self._thresholds, self._found)

    async def _check(self, proposal: Proposal) -> tuple[Proposal, TrialKey] | None:
        """The proposal with a clean name, and its identity; None (and an event) when it is refused."""
        try:
            parsed = self._parsed(proposal.expression)
            gated = self._parsed(proposal.gate) if proposal.gate else None
        except ExpressionError as error:
            await self._refuse(proposal, str(error), "invalid")
            return None
        try:
            name = check_name(proposal.name)
        except NameRefusedError:
            name = slugify(proposal.name) or "idea"
        # A feature that is built on others is judged and saved in full: it must survive the end of theirs.
        built = f" (built on {', '.join(parsed.lineage)})" if parsed.lineage else ""
        clean = Proposal(
            name,
            parsed.standalone,
            proposal.rationale + built,
            gated.standalone if gated else "",
            max(0, min(proposal.hold, 10_000)),
        )
        assert self._account is not None
        return clean, self._account.key(parsed.canonical, gated.canonical if gated else "", clean.hold)

    @property
    def _limits(self) -> DslLimits:
        """The limits of expressions, in the bars of this data."""
        return self._loop.settings.dsl.at(self._assessor.bar_seconds)

    def _parsed(self, text: str) -> Expression:
        columns, limits = self._assessor.columns, self._limits
        return parse(text, columns=columns, limits=limits, features={**self._named, **self._found})

    async def _refuse(self, proposal: Proposal, reason: str, outcome: str) -> None:
        assert self._account is not None
        await self._account.charge_unscored(proposal, reason, outcome)
        self.results.append(
            TrialResult(
                self._voice.iteration,
                proposal.name[:80],
                proposal.expression[:500],
                refused=reason,
                rationale=proposal.rationale,
            )
        )
        self._voice.refused(proposal, reason)

    async def _confirm(self, proposal: Proposal, plan: Plan, research: MultiAgentResult, key: TrialKey) -> bool:
        """The one look at the sealed part. None of its figures reaches the researcher."""
        assert self._account is not None
        try:
            sealed = await self._judge(proposal, "sealed", 1)
            promise = await self._assessor.promise(proposal)
        except EvaluationError as error:
            # What could not be looked at is not confirmed.
            self._voice.say(f"{proposal.name} could not be confirmed: {error.message}\n")
            self._unconfirmed += 1
            return False
        look = await self._account.look(key, sealed)
        self._voice.say(look_words(look))
        if not look.passed:
            self._unconfirmed += 1
            if not look.sound:
                return False
        name = await asyncio.to_thread(self._loop.kb.free_name, proposal.name)
        parsed = [self._parsed(text) for text in (proposal.expression, proposal.gate) if text]
        record = candidate_record(
            proposal, Judged(research, sealed, look, promise),
            name=name, session_id=self.session_id, hypothesis=plan.hypothesis, at=self._voice.now(),
            measured_on=self._assessor.snapshot_id, unproven=unproven_columns(self._assessor, parsed),
        )  # fmt: skip
        if not look.passed:
            words = await asyncio.to_thread(words_for_shadow, record, self._loop.kb)
            if words:
                await self._loop.save_candidate(record)
                self._voice.say(words)
            return False
        path = await self._loop.save_candidate(record)
        self.accepted.append(name)
        self._found[name] = proposal.expression
        self._voice.saved(name, proposal.expression, path)
        if words := words_on_columns(record):
            self._voice.say(words)
        return True

    def _context(self) -> ResearchContext:
        kb, config, assessor = self._loop.kb, self._loop.config, self._assessor
        return ResearchContext(
            goal=self.goal,
            columns=assessor.columns,
            cross=assessor.cross,
            regime=self._regime,
            market=assessor.market,
            horizons=assessor.horizons,
            iteration=self._voice.iteration,
            limits=self._limits,
            existing=self._existing or {},
            thresholds=self._thresholds,
            skills=self._skills,
            results=tuple(self.results),
            learnings=self._learnings,
            prompt=kb.prompt,
            max_tokens=config.max_tokens,
        )

    # -- the end ---------------------------------------------------------------------------------

    async def _draft(self, result: str, reason: str) -> LearningDraft | None:
        # After an outage or a cancellation the program's own figures are the learning: no further call.
        if self._researcher is None or result in ("error", "cancelled") or not self.results:
            return None
        outcome = f"{result}: {len(self.accepted)} accepted of {len(self.results)} tried. {reason}"
        try:
            return await self._researcher.learn(self._context(), outcome, self._voice.say)
        except Exception as error:
            told = error.message if isinstance(error, MidasError) else f"{type(error).__name__}: {error}"
            self._voice.say(f"\n(no learning in the researcher's words: {told})\n")
            return None

    async def _finish(self, result: str, reason: str, draft: LearningDraft | None) -> None:
        kb, researcher = self._loop.kb, self._researcher
        end = SessionEnd(
            goal=self.goal, result=result, reason=reason, results=self.results, accepted=self.accepted,
            researcher=researcher.name if researcher is not None else "", regime=self._regime,
            session_id=self.session_id, at=self._voice.now(), confirmed_failures=self._unconfirmed,
        )  # fmt: skip
        document = learning_document(draft, end)
        path = ""
        try:
            path = kb.relative(await asyncio.to_thread(kb.save_learning, document))
            self._voice.learned(path, document.title)
        except (MidasError, OSError) as error:
            told = error.message if isinstance(error, MidasError) else str(error)
            reason = f"{reason}; the learning could not be written: {told}".strip("; ")
        self.learning = document
        for part in (self._assessor, self._account, researcher):
            if part is None:
                continue
            try:
                await part.close()
            except Exception as error:
                self._voice.say(f"(closing failed: {type(error).__name__}: {error})\n")
        self._voice.ended(result, tuple(self.accepted), len(self.results), reason, path)


async def _to_the_end(work: Coroutine[object, object, None]) -> None:
    """Await `work` whatever cancellations come meanwhile: a second Ctrl-C must not keep the learning from the disk."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()
