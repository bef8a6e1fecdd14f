"""One discovery session: its steps, its trials, and the learning it leaves whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import secrets
from typing import TYPE_CHECKING, Any

from midas_engine.dsl.expression import parse
from midas_engine.errors import (
    BudgetError,
    EvaluationError,
    ExpressionError,
    MidasError,
    SessionError,
    SessionInterruptedError,
)
from midas_engine.llm.recorded import RecordedClient
from midas_engine.loops.confirming import Confirmation
from midas_engine.loops.endurance import Endurance
from midas_engine.loops.expressions import cleaned, computable
from midas_engine.loops.for_book import only_costs
from midas_engine.loops.inputs import SessionInputs, gather
from midas_engine.loops.interrupted import RESULT as INTERRUPTED
from midas_engine.loops.interrupted import RESUMABLE, drop_earlier
from midas_engine.loops.known import KnownTrial, Lookup, rules_mark
from midas_engine.loops.likeness import Beside
from midas_engine.loops.power_text import power_text
from midas_engine.loops.records import SessionEnd, learning_document, refusal_words, trial_result
from midas_engine.loops.research_context import fixed_context
from midas_engine.loops.screening import SessionScreen
from midas_engine.loops.session_digest import SessionDigest
from midas_engine.loops.session_events import Voice
from midas_engine.loops.to_the_end import to_the_end
from midas_engine.loops.trial_account import TrialAccount
from midas_engine.memory.untriable import only_triable
from midas_engine.proposer.protocol import (
    AsksModel,
    CallsModel,
    GoesSomewhere,
    LearningDraft,
    Plan,
    Proposal,
    ResearchContext,
    TrialResult,
)
from midas_engine.shortage import SHORTAGE_HINT, is_shortage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from midas_engine.dsl.expression import Expression
    from midas_engine.evaluator.trials.ledger import TrialKey
    from midas_engine.events import Event
    from midas_engine.loops.assessors import Assessor
    from midas_engine.loops.session_parts import SessionHost
    from midas_engine.models import LearningDocument, MultiAgentResult
    from midas_engine.proposer.protocol import Researcher
    from midas_engine.settings import DslLimits


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
        session_id: str = "",
    ) -> None:
        self._loop, self._assessor = loop, assessor
        self.goal, self._regime = goal, regime
        self._existing = dict(existing) if existing is not None else None
        self.session_id = session_id or f"{loop.clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        self._record, self._digest = loop.new_record(self.session_id), SessionDigest()
        self.results: list[TrialResult] = []
        self.learning: LearningDocument | None = None
        self._voice = Voice(self._heard_by(emit), loop.clock, self.session_id)
        self._verdicts: dict[TrialKey, tuple[TrialResult, MultiAgentResult]] = {}
        self._confirming = Confirmation(
            loop, self.session_id, assessor, self._record, self._voice, self._judge, self._parsed
        )  # fmt: skip
        self.accepted, self._found = self._confirming.accepted, self._confirming.found
        self._given: SessionInputs | None = None
        self._researcher: Researcher | None = None
        self._account: TrialAccount | None = None
        self._screen: SessionScreen | None = None
        self._rules = ""
        self._plan: Plan | None = None
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
        except SessionInterruptedError as error:
            result, reason = INTERRUPTED, f"{error.message}" + (f" ({error.hint})" if error.hint else "")
        except MidasError as error:
            result, reason = "error", f"{error.message}" + (f" ({error.hint})" if error.hint else "")
        except Exception as error:
            result, reason = "error", f"{type(error).__name__}: {error}"
            if is_shortage(error):  # with more memory it goes on from here
                result, reason = INTERRUPTED, f"there is not enough memory ({reason}): {SHORTAGE_HINT}"
        self._voice.begin("learn")
        draft: LearningDraft | None = None
        with contextlib.suppress(asyncio.CancelledError):  # then the program's own figures are the learning
            draft = await self._draft(result, reason)
        await to_the_end(self._finish(result, reason, draft))

    def _heard_by(self, emit: Callable[[Event], None]) -> Callable[[Event], None]:
        def heard(event: Event) -> None:
            self._digest.add(event)
            emit(event)

        return heard

    async def _prepare(self) -> None:
        loop, config, record = self._loop, self._loop.config, self._record
        researcher = self._researcher = await asyncio.to_thread(loop.new_researcher)
        # Only researchers that call a model have anything to tell.
        if isinstance(researcher, CallsModel):
            researcher.listen(self._voice.model_called)
        model = None
        if isinstance(researcher, AsksModel):
            model = researcher.through(lambda client: RecordedClient(client, record))
        read = functools.partial(
            gather, loop.kb, loop.settings, config, self.goal, self._regime, self._existing, model,
            only_triable(loop.memory, cross=self._assessor.cross),
        )  # fmt: skip
        given = self._given = await record.answer("inputs", SessionInputs, lambda: asyncio.to_thread(read))
        destination = researcher.destination if isinstance(researcher, GoesSomewhere) else ""
        self._voice.started(self.goal, researcher.name, self._regime, config, loop.settings, destination)
        if given.problem:
            self._voice.say(f"thresholds.json was refused, the last good ones are used: {given.problem}\n")
        for line in given.retired:
            self._voice.say(f"a lesson is retired, {line}\n")
        if given.recall.forms and given.recall.told:
            self._voice.say(given.recall.told + "\n")
        self._existing = self._computable(given.existing)
        await self._assessor.start(self._computable(given.beside) | self._existing, tuple(given.beside))
        # A user's engine says only now which columns it has. What does not parse reaches no prompt either.
        self._existing = self._computable(self._existing)
        snapshot = await record.answer("data", str, self._snapshot)
        if snapshot != (here := self._assessor.snapshot_id):
            raise SessionError(
                f"session {self.session_id} was of other data ({snapshot[:12]}) than this ({here[:12]})",
                hint="give the data it was of with --data",
            )
        self._account = await TrialAccount.open(
            loop.ledger or loop.kb.journal_path,
            self.session_id,
            self._assessor.snapshot_id,
            loop.settings.evaluation.target,
            config.planned_trials,
            loop.clock,
        )
        self._rules = rules_mark(loop.settings, given.thresholds)
        self._account.about = {"rules": self._rules, "proposer": researcher.name}
        power = functools.partial(
            power_text, self._assessor, self._account, config.planned_trials, given.thresholds
        )  # fmt: skip
        if text := await record.answer("power", str, power):
            self._voice.say(text)
        self._screen = await SessionScreen.open(
            self._assessor, self._account, config, given.thresholds,
            shown=model is not None, voice=self._voice, kb=loop.kb, record=record,
        )  # fmt: skip

    async def _snapshot(self) -> str:
        return self._assessor.snapshot_id

    def _computable(self, existing: Mapping[str, str]) -> dict[str, str]:
        return computable(existing, self._assessor.columns, self._limits, self._voice.say)

    async def _iterate(self) -> None:
        config, voice, endurance = self._loop.config, self._voice, self._endurance
        assert self._researcher is not None
        researcher = self._researcher
        for voice.iteration in range(1, config.max_iterations + 1):
            voice.begin("plan")
            self._plan = None
            plan = await endurance.step("plan", lambda: researcher.plan(self._context(), voice.say))
            if plan is None:
                continue
            self._plan = plan
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
            self._voice.came_from = came_from
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
            self._voice.scored(proposal, *known, accepted=False, repeated=True, why="tried before in this session")
            return None
        if (before := await self._known(proposal, key)) is not None:
            self.results.append(before.result)
            self._voice.known(proposal, before)
            return before.result
        try:
            verdict = await self._judge(proposal, "research", self._trials)
        except (EvaluationError, ExpressionError) as error:
            await self._refuse(proposal, error.message, "failed")
            return None
        # Charged first: nobody hears a verdict that was not paid for.
        await self._account.charge(key, verdict, proposal.hypothesis, self._beside)
        result = trial_result(self._voice.iteration, proposal, verdict)
        self.results.append(result)
        self._verdicts[key] = (result, verdict)
        accepted = verdict.overall_pass and await self._confirming.confirm(
            proposal, plan.hypothesis, verdict, key, self._account
        )  # fmt: skip
        why = "" if accepted else self._confirming.why if verdict.overall_pass else refusal_words(verdict)
        self._voice.scored(proposal, result, verdict, accepted=accepted, repeated=False, why=why)
        if self._screen is not None:
            await self._screen.enter(proposal, result, "model" if isinstance(self._researcher, AsksModel) else "")
        if only_costs(verdict):
            await self._confirming.offer(proposal, verdict, key)
        return result

    async def _known(self, proposal: Proposal, key: TrialKey) -> KnownTrial | None:
        """The answer of the record: another session of this base paid for the very same trial."""
        return await self._record.answer_if(
            "known", key.digest, KnownTrial, lambda: self._looked_up(proposal, key)
        )  # fmt: skip

    async def _looked_up(self, proposal: Proposal, key: TrialKey) -> KnownTrial | None:
        assert self._account is not None
        lookup = Lookup(self._loop.kb, self._account, self._rules, self._beside, self._limits)
        return await lookup.known(proposal, key, self._voice.iteration)

    @property
    def _beside(self) -> Beside:
        """What a find must differ from."""
        assert self._given is not None
        return Beside(self._existing or {}, {**self._given.beside, **self._found})

    @property
    def _trials(self) -> int:
        return max(self._loop.config.planned_trials, len(self.results) + 1)

    async def _judge(self, proposal: Proposal, part: str, trials: int) -> MultiAgentResult:
        assert self._given is not None
        return await self._assessor.judge(proposal, part, trials, self._given.thresholds, self._found)

    async def _check(self, proposal: Proposal) -> tuple[Proposal, TrialKey] | None:
        """The proposal with a clean name, and its identity; None (and an event) when it is refused."""
        assert self._account is not None
        try:
            clean, canonical, gate = cleaned(proposal, self._parsed, self._loop.settings.evaluation.target)
        except ExpressionError as error:
            await self._refuse(proposal, str(error), "invalid")
            return None
        return clean, self._account.key(canonical, gate, clean.hold, clean.horizon)

    @property
    def _limits(self) -> DslLimits:
        """The limits of expressions, in the bars of this data."""
        return self._loop.settings.dsl.at(self._assessor.bar_seconds)

    def _parsed(self, text: str) -> Expression:
        assert self._given is not None
        columns, limits = self._assessor.columns, self._limits
        return parse(text, columns=columns, limits=limits, features={**self._given.named, **self._found})

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

    def _context(self) -> ResearchContext:
        assert self._given is not None
        fixed = fixed_context(self._given, self._assessor, self._loop.settings, self._limits)
        return dataclasses.replace(
            fixed, iteration=self._voice.iteration, results=tuple(self.results), current_plan=self._plan,
            existing={**(self._existing or {}), **self._given.beside}, prompt=self._prompt, screen=self._screen,
        )  # fmt: skip

    def _prompt(self, name: str) -> str:
        """The template as it is now: an edit counts from the next call on. Called in a thread."""
        assert self._given is not None
        known = self._given.prompts.get(name, "")
        read = self._loop.kb.prompt
        return self._record.answer_now(f"prompt {name}", lambda: "" if (now := read(name)) == known else now) or known

    # -- the end ---------------------------------------------------------------------------------

    async def _draft(self, result: str, reason: str) -> LearningDraft | None:
        # After an outage or a cancellation the program's own figures are the learning: no further call.
        if self._researcher is None or result in ("error", "cancelled", INTERRUPTED) or not self.results:
            return None
        outcome = f"{result}: {len(self.accepted)} accepted of {len(self.results)} tried. {reason}"
        try:
            return await self._researcher.learn(self._context(), outcome, self._voice.say)
        except Exception as error:
            self._endurance.over |= isinstance(error, BudgetError) and error.of_day
            told = error.message if isinstance(error, MidasError) else f"{type(error).__name__}: {error}"
            self._voice.say(f"\n(no learning in the researcher's words: {told})\n")
            return None

    async def _finish(self, result: str, reason: str, draft: LearningDraft | None) -> None:
        kb, researcher = self._loop.kb, self._researcher
        end = SessionEnd(
            goal=self.goal, result=result, reason=reason, results=self.results, accepted=self.accepted,
            researcher=researcher.name if researcher is not None else "", regime=self._regime,
            session_id=self.session_id, at=self._voice.now(), confirmed_failures=self._confirming.unconfirmed,
        )  # fmt: skip
        document = learning_document(draft, end)
        path = ""
        try:
            if self._record.resumed:
                await asyncio.to_thread(drop_earlier, kb, self.session_id)
            path = kb.relative(await asyncio.to_thread(kb.save_learning, document))
            self._voice.learned(path, document.title)
        except (MidasError, OSError) as error:
            told = error.message if isinstance(error, MidasError) else str(error)
            reason = f"{reason}; the learning could not be written: {told}".strip("; ")
        self.learning = document
        if self._screen is not None:
            await self._screen.end(resumable=result in RESUMABLE)
        for part in (self._assessor, self._account, researcher):
            if part is None:
                continue
            try:
                await part.close()
            except Exception as error:
                self._voice.say(f"(closing failed: {type(error).__name__}: {error})\n")
        self._voice.ended(result, tuple(self.accepted), len(self.results), reason, path)
        if self._given is not None:
            ended: dict[str, Any] = {"result": result, "digest": self._digest.value, "marks": self._digest.marks}
            # What a campaign notes of it: killed a moment later, it finds that here.
            ended |= {"reason": reason, "tried": len(self.results), "accepted": list(self.accepted)}
            await self._record.keep("end", ended | {"cut": self._endurance.over, "calls": self._record.calls})
