"""The one look at the sealed part, and the candidate that comes of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from midas_engine.errors import EvaluationError, MidasError
from midas_engine.evaluator.trials.holdout import HoldoutLook
from midas_engine.loops.for_book import KnowsWorth, book_candidate, only_costs, words_for_book
from midas_engine.loops.for_shadow import unproven_columns, words_for_shadow, words_on_columns
from midas_engine.loops.records import Judged, candidate_record, look_words
from midas_engine.loops.session_parts import Saved

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from midas_engine.dsl.expression import Expression
    from midas_engine.evaluator.trials.ledger import TrialKey
    from midas_engine.loops.assessors import Assessor
    from midas_engine.loops.session_events import Voice
    from midas_engine.loops.session_parts import SessionHost
    from midas_engine.loops.session_record import SessionRecord
    from midas_engine.loops.trial_account import TrialAccount
    from midas_engine.models import FeatureRecord, MultiAgentResult
    from midas_engine.proposer.protocol import Proposal
    from midas_engine.settings import DslLimits


@dataclass(slots=True)
class Confirmation:
    """Looks at the sealed part and saves what holds, once. None of its figures reaches the researcher.

    Attributes:
        host: Saves candidates.
        judge: Verdicts on a part, for a number of trials.
        parsed: Reads an expression of this session.
        accepted: Names of the candidates that were saved.
        found: Those, name -> expression.
        unconfirmed: How many passed research and no more.
        why: What the last one was not confirmed for.
    """

    host: SessionHost
    session_id: str
    assessor: Assessor
    record: SessionRecord
    voice: Voice
    judge: Callable[[Proposal, str, int], Awaitable[MultiAgentResult]]
    parsed: Callable[[str], Expression]
    accepted: list[str] = field(default_factory=list)
    found: dict[str, str] = field(default_factory=dict)
    unconfirmed: int = 0
    why: str = ""

    async def confirm(
        self, proposal: Proposal, hypothesis: str, research: MultiAgentResult, key: TrialKey, account: TrialAccount
    ) -> bool:
        """Whether `proposal` held and was saved as a candidate of this session."""
        try:
            sealed = await self.judge(proposal, "sealed", 1)
            promise = await self.assessor.promise(proposal)
        except EvaluationError as error:
            # What could not be looked at is not confirmed.
            self.voice.say(f"{proposal.name} could not be confirmed: {error.message}\n")
            self.why = f"could not be confirmed: {error.message}"
            self.unconfirmed += 1
            return False
        look = await self.record.answer("look", HoldoutLook, functools.partial(account.look, key, sealed))
        self.voice.looked(proposal.name, look)
        if not look.passed:
            self.unconfirmed += 1
            self.why = f"passed research, {look_words(look).strip()}"
            if only_costs(research, look):
                await self.offer(proposal, research, key)
            if not look.sound:
                return False
        record = candidate_record(
            proposal, Judged(research, sealed, look, promise),
            name=proposal.name, session_id=self.session_id, hypothesis=hypothesis, at=self.voice.now(),
            data=(key.snapshot, key.horizon), unproven=self._unproven(proposal),
        )  # fmt: skip
        if not look.passed:
            if words := words_for_shadow(record):
                saved = await self._saved(record, key)
                self.voice.say(words if not saved.known else f"{record.name} is {saved.known} already\n")
            return False
        saved = await self._saved(record, key)
        if saved.known:
            self.voice.say(f"{record.name} is {saved.known} already: nothing is saved twice\n")
            self.why = f"it is {saved.known} already: nothing is saved twice"
            return False
        self.accepted.append(saved.name)
        self.found[saved.name] = proposal.expression
        self.voice.saved(saved.name, proposal.expression, saved.path)
        if words := words_on_columns(record):
            self.voice.say(words)
        return True

    async def offer(self, proposal: Proposal, research: MultiAgentResult, key: TrialKey) -> None:
        """Keep for the book what costs alone stand against, where research says that it would add to it."""
        if not isinstance(self.assessor, KnowsWorth):
            return
        record = book_candidate(
            proposal, research, session_id=self.session_id, at=self.voice.now(), data=(key.snapshot, key.horizon),
            unproven=self._unproven(proposal),
        )  # fmt: skip
        worth = await self.record.answer("worth", str, functools.partial(self._worth, self.assessor, record))
        if worth:
            saved = await self._saved(record, key)
            self.voice.say(worth if not saved.known else f"{record.name} is {saved.known} already\n")

    async def _worth(self, assessor: KnowsWorth, record: FeatureRecord) -> str:
        try:
            return words_for_book(record.name, await assessor.worth(record, self.host.kb))
        except MidasError as error:
            self.voice.say(f"what {record.name} would add to the book is unknown: {error.message}\n")
            return ""

    def _unproven(self, proposal: Proposal) -> tuple[str, ...]:
        parsed = [self.parsed(text) for text in (proposal.expression, proposal.gate) if text]
        return unproven_columns(self.assessor, parsed)

    async def _saved(self, record: FeatureRecord, key: TrialKey) -> Saved:
        save = functools.partial(self.host.save_candidate, record, key, self._limits)
        return await self.record.answer("saved", Saved, save)

    @property
    def _limits(self) -> DslLimits:
        return self.host.settings.dsl.at(self.assessor.bar_seconds)
