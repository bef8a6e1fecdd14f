"""`OfflineCompoundLoop`: Plan -> Write -> Assess -> Refine -> Learn, as an async stream of typed events."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import multiprocessing
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Unpack

from midas_engine import events as ev
from midas_engine.clock import WallClock
from midas_engine.errors import JournalError, ReadOnlyError, SessionError
from midas_engine.journal.transcript import Transcripts
from midas_engine.loops.config import OfflineLoopConfig
from midas_engine.loops.interrupted import end_interrupted
from midas_engine.loops.known import same_feature
from midas_engine.loops.options import LoopKeywords, LoopOptions
from midas_engine.loops.session import Session
from midas_engine.loops.session_journal import SessionScribe
from midas_engine.loops.session_parts import Saved
from midas_engine.loops.session_record import SessionRecord
from midas_engine.proposer.blocking import run_blocking

if TYPE_CHECKING:
    from midas_engine.clock import Clock
    from midas_engine.evaluator.trials.ledger import TrialKey
    from midas_engine.kb import KnowledgeBase
    from midas_engine.loops.assessors import Assessor
    from midas_engine.models import FeatureRecord, LearningDocument
    from midas_engine.proposer.protocol import Researcher
    from midas_engine.settings import DslLimits


class OfflineCompoundLoop:
    """Discovers features. `stream` yields events as they happen; `run` is the original's blocking form.

    Args:
        kb: Where candidates and learnings go.
        make_researcher: Called with every session: a researcher remembers within one.
        keywords: The fields of `LoopOptions`: `promoter`, `config`, `settings`, `clock`, `ledger`, `journal`,
            `existing_features`, `spread_cost_bps`, `memory`.
    """

    def __init__(
        self, kb: KnowledgeBase, make_researcher: Callable[[], Researcher], **keywords: Unpack[LoopKeywords]
    ) -> None:
        from midas_engine.settings import Settings

        options = LoopOptions(**keywords)
        self.kb = kb
        self.config = options.config or OfflineLoopConfig()
        self.settings = options.settings or Settings()
        self.clock: Clock = options.clock or WallClock()
        self.ledger = options.ledger
        self.memory = options.memory
        self._journal = options.journal
        self._make_researcher = make_researcher
        self._promoter = options.promoter
        self._existing_features = options.existing_features
        self._spread = options.spread_cost_bps
        self._task: asyncio.Task[None] | None = None
        self._begun = self._cancel_early = False
        self._record: SessionRecord | None = None
        self.last_learning: LearningDocument | None = None

    @property
    def running(self) -> bool:
        """Whether a session runs."""
        return self._task is not None and not self._task.done()

    async def stream(
        self,
        goal: str,
        assessor: Assessor,
        *,
        regime: str = "",
        existing: Mapping[str, str] | None = None,
        record: SessionRecord | None = None,
    ) -> AsyncGenerator[ev.Event, None]:
        """Run one session; ends with `SessionEnded`, whatever happens.

        Cancelling through `cancel` (or leaving the iteration) writes the learning of what was tried.

        Args:
            goal: What to look for.
            assessor: Judges the expressions.
            regime: Regime of interest, for the prompts.
            existing: Deployed features, name -> expression; None reads them from the knowledge base.
            record: Of an earlier run of this session, which is repeated as far as it goes.

        Raises:
            SessionError: A session runs already, or the goal is empty.
            ReadOnlyError: The knowledge base may not be written.
        """
        self.check_start(goal)
        if self._journal is not None:
            await asyncio.to_thread(end_interrupted, self.kb, self._journal, self.clock)
            with contextlib.suppress(JournalError):  # a journal that cannot be written never stops a session
                await asyncio.to_thread(self._tidy, Transcripts(self._journal))
        queue: asyncio.Queue[ev.Event | None] = asyncio.Queue()
        self._record = record
        session_id = record.session_id if record is not None else ""
        session = Session(self, goal.strip()[:500], assessor, regime, existing, queue.put_nowait, session_id)
        self._begun = self._cancel_early = False
        self._task = asyncio.get_running_loop().create_task(self._guard(session, queue), name="discovery")
        scribe = SessionScribe(self._journal) if self._journal is not None else None
        try:
            while (event := await queue.get()) is not None:
                if scribe is not None:
                    await scribe.take(event)
                yield event
            await self._task
        finally:
            if not self._task.done():
                self.cancel()
                await asyncio.gather(self._task, return_exceptions=True)
            if scribe is not None:
                while not queue.empty():  # what was said after the reader left
                    if (late := queue.get_nowait()) is not None:
                        await scribe.take(late)
                await scribe.close()

    def _tidy(self, transcripts: Transcripts) -> None:
        transcripts.expire(self.settings.model.transcripts_days)
        transcripts.fit(self.settings.model.transcripts_mb * 1_000_000)

    def check_start(self, goal: str) -> None:
        """Refuse what could not run.

        Raises:
            SessionError: A session runs already, the goal is empty, or a worker of another session reads the script
                that starts it.
            ReadOnlyError: The knowledge base may not be written.
        """
        if self.running:
            raise SessionError("a session runs already", hint="cancel it, or wait for its end")
        # What multiprocessing asks before it refuses, once a session of nobody would have written its learning.
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise SessionError(
                "a worker process read the script again and would have started its session a second time",
                hint='put what the script does under `if __name__ == "__main__":`',
            )
        if not goal.strip():
            raise SessionError(
                "the research goal is empty", hint='say what to look for, such as "funding carry on majors"'
            )
        if self.kb.read_only:
            raise ReadOnlyError(
                f"a session writes candidates and learnings, and the knowledge base is read-only: "
                f"{self.kb.read_only_reason}",
                hint="leave read_only out, or give another knowledge base",
            )

    async def _guard(self, session: Session, queue: asyncio.Queue[ev.Event | None]) -> None:
        task = asyncio.current_task()
        self._begun = True
        if self._cancel_early and task is not None:
            task.cancel()  # felt at the session's first wait: it ends as any cancelled one, with a learning
        try:
            await session.run()
        finally:
            self.last_learning = session.learning
            queue.put_nowait(None)

    def cancel(self) -> bool:
        """Stop the running session; it still writes its learning. False when none runs."""
        if not self.running or self._task is None:
            return False
        if self._begun:
            self._task.cancel()
        else:
            self._cancel_early = True  # a task that is cancelled before its first step would leave no trace
        return True

    # -- for sessions ----------------------------------------------------------------------------

    def new_researcher(self) -> Researcher:
        """A researcher for one session."""
        return self._make_researcher()

    def new_record(self, session_id: str) -> SessionRecord:
        """Where a session keeps what it asks."""
        return self._record or SessionRecord(session_id, journal=self._journal)

    async def save_candidate(self, record: FeatureRecord, key: TrialKey, limits: DslLimits) -> Saved:
        """Write an accepted expression under a free name, unless the base has one of its identity."""
        return await asyncio.to_thread(self._save_once, record, key, limits)

    def _save_once(self, record: FeatureRecord, key: TrialKey, limits: DslLimits) -> Saved:
        """Look and write under the base's lock: of two sessions with one find, one saves it."""
        with self.kb.lock():
            there = same_feature(self.kb.features(), key, limits)
            if there is not None:
                ours = there.session_id == record.session_id  # saved before this session was interrupted
                return Saved(there.name, there.path, "" if ours else f"{there.name} ({there.state.value})")
            fresh = dataclasses.replace(record, name=self.kb.free_name(record.name))
            if self._promoter is None:
                return Saved(fresh.name, str(self.kb.write_feature(fresh)))
            return Saved(fresh.name, self._promoter.save_candidate(fresh).path)

    # -- the original's form ---------------------------------------------------------------------

    def run(
        self,
        research_goal: str,
        existing_factors: Sequence[str] | Mapping[str, str] | None = None,
        data_fn: Callable[[], Any] | None = None,
        regime: str = "",
    ) -> LearningDocument:
        """One session, blocking; returns its learning. May also be called where an event loop runs already.

        Args:
            research_goal: What to look for.
            existing_factors: Names (or name -> expression) of the features to be different from; None takes the
                deployed ones.
            data_fn: Returns (compute, forward_returns, regime_labels); None uses the settings' data.
            regime: Regime of interest.

        Returns:
            The learning; its `result` is "success", "failed", "cancelled" or "error". It is on disk already.

        Raises:
            SessionError: The session could not start.
            MidasError: What was given cannot be used; says what.
        """
        return run_blocking(lambda: self.run_async(research_goal, existing_factors, data_fn, regime))

    async def run_async(
        self,
        research_goal: str,
        existing_factors: Sequence[str] | Mapping[str, str] | None = None,
        data_fn: Callable[[], Any] | None = None,
        regime: str = "",
    ) -> LearningDocument:
        """`run`, awaited: the event loop stays free."""
        known = await asyncio.to_thread(self._expressions, existing_factors)
        assessor = await asyncio.to_thread(self._assessor_for, data_fn)
        ended: ev.SessionEnded | None = None
        async with aclosing(self.stream(research_goal, assessor, regime=regime, existing=known)) as events:
            async for event in events:
                if self.config.verbose:
                    _print_event(event)
                if isinstance(event, ev.SessionEnded):
                    ended = event
        if self.last_learning is None:
            raise SessionError(f"the session left no learning: {ended.reason if ended else 'it did not start'}")
        return self.last_learning

    def _assessor_for(self, data_fn: Callable[[], Any] | None) -> Assessor:
        from midas_engine.loops.assessors import PanelAssessor
        from midas_engine.loops.user_engine import AdapterAssessor

        if data_fn is not None:
            return AdapterAssessor(
                data_fn, self.settings, existing=self._existing_features, spread_cost_bps=self._spread
            )
        from midas_engine.market import load_panel

        return PanelAssessor(load_panel(self.settings.data, store=self.settings.store), self.settings)

    def _expressions(self, factors: Sequence[str] | Mapping[str, str] | None) -> dict[str, str] | None:
        if factors is None:
            return None
        if isinstance(factors, Mapping):
            return dict(factors)
        if isinstance(factors, str):
            factors = [factors]
        return {name: self.kb.feature(name).expression for name in factors}


def _print_event(event: ev.Event) -> None:
    """One line an event; what a model wrote is shown as text, never obeyed by the terminal."""
    if isinstance(event, ev.TokensStreamed):
        sys.stdout.write(printable(event.text))
    elif isinstance(event, ev.CandidateScored):
        fate = "accepted" if event.accepted else "refused"
        sys.stdout.write(f"{fate} {event.name}: rank IC {event.rank_ic:+.4f}, t {event.score_t:+.2f}\n")
    elif isinstance(event, ev.PhaseStarted):
        sys.stdout.write(f"-- {event.iteration}. {event.phase}\n")
    elif isinstance(event, ev.SessionEnded):
        sys.stdout.write(f"{event.result}: {event.tried} tried, accepted: {', '.join(event.accepted) or 'none'}\n")


def printable(text: str) -> str:
    """`text` with every character that could act on a terminal replaced."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
