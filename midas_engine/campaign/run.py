"""`Campaign`: session after session on one budget, until it is spent or somebody says stop.

One process writes: the ledger, verdicts and documents are its own, and workers only compute. What a session is given
and what it is told comes in the order it asked in, whoever computed it, so that the ledger is the same for any number
of workers. A campaign that is killed goes on with the session it was in: what that had charged is answered from its
record.
"""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from midas_engine.campaign.assessor import CampaignAssessor
from midas_engine.campaign.progress import SCREENED, TRIED, Pace, Progress
from midas_engine.campaign.report import write_report
from midas_engine.campaign.state import CampaignState, LegDone, under_another_plan
from midas_engine.campaign.turns import Turns
from midas_engine.errors import EvaluationError, SessionError, SessionInterruptedError
from midas_engine.events import CandidateScored, SessionEnded
from midas_engine.loops.interrupted import RESUMABLE, session_mark
from midas_engine.loops.session_record import SessionRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.campaign.plan import CampaignPlan, Leg
    from midas_engine.events import Event
    from midas_engine.loops import OfflineCompoundLoop
    from midas_engine.market.panel import Panel
    from midas_engine.proposer.protocol import Researcher
    from midas_engine.settings import Settings
    from midas_engine.workspace import Workspace

LOCKS = ".midas/campaigns"
_FAILED_IN_A_ROW = 2


class Campaign:
    """A campaign on a base.

    Args:
        workspace: The base, opened for writing. It stays the caller's to close.
        plan: What is searched.
        panel: The data; None loads what the plan, or the settings, name.
        tell: Told of every event of every session.
        progress: Told how far it is, after each batch of candidates.
        notes: Told in a line of what a person should know: a wait, a session that failed.

    Attributes:
        state: How far it is.
        first_verdict: Seconds from the start of `run` to the first verdict; None before there is one.
    """

    def __init__(
        self,
        workspace: Workspace,
        plan: CampaignPlan,
        *,
        panel: Panel | None = None,
        tell: Callable[[Event], None] = lambda event: None,
        progress: Callable[[Progress], None] = lambda progress: None,
        notes: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.plan, self._workspace = plan, workspace
        self._panel, self._tell, self._progress, self._notes = panel, tell, progress, notes
        self._settings = dataclasses.replace(workspace.settings, data=plan.data or workspace.settings.data)
        self.state = CampaignState.load(workspace.kb, plan)
        self.first_verdict: float | None = None
        self._leg: Leg | None = None
        self._loop: OfflineCompoundLoop | None = None
        self._assessor: CampaignAssessor | None = None
        self._cancelled = False
        self._pace, self._begun, self._told = Pace(), 0.0, 0.0
        self._here = {SCREENED: 0, TRIED: 0}  # in this session

    def cancel(self) -> bool:
        """Stop after what the running session must still write; it goes on where it was when started again."""
        self._cancelled = True
        return self._loop is not None and self._loop.cancel()

    async def run(self) -> CampaignState:
        """Every session that is left.

        Returns:
            How far it came: `finished` unless it was cancelled.

        Raises:
            LockTimeoutError: Another process runs this campaign.
            SettingsError: There is no such proposer.
            ModelKeyError: A proposer has no key.
            EvaluationError: The data is too short for a horizon.
            SessionInterruptedError: Nobody computes any more; the session goes on at the next start.
            SessionError: Sessions of one proposer fail one after the other; says why.
        """
        kb = self._workspace.kb
        self._begun = self._told = self._workspace.clock.monotonic()
        kb.check_writable()
        if not self.state.finished:
            await asyncio.to_thread(self._check)
        if not self.state.done and (other := await asyncio.to_thread(under_another_plan, kb, self.plan)):
            self._notes(other)
        turns = await asyncio.to_thread(Turns, kb.path / LOCKS, self.plan.id)
        try:
            failures = dict.fromkeys(self.plan.proposers, 0)
            while not self.state.finished and not self._cancelled:
                async with turns.turn(self._notes):
                    done = await self._one(self.plan.legs[len(self.state.done)])
                    if done is None:
                        break
                    self.state = dataclasses.replace(self.state, done=(*self.state.done, done))
                    await asyncio.to_thread(write_report, kb, self.state)
                    await asyncio.to_thread(self.state.save, kb)  # last: who is killed here does both again
                # Each proposer by itself: where two take turns, one that always fails is never seen twice in a row.
                failed = failures[done.proposer] = failures[done.proposer] + 1 if done.result == "error" else 0
                if failed:
                    self._notes(f"session {done.session} failed: {done.reason}")
                if failed >= _FAILED_IN_A_ROW:
                    raise SessionError(
                        f"{failed} sessions of {done.proposer} failed one after the other: {done.reason}",
                        hint="put the cause right and start the campaign again: it goes on with the next session",
                    )
        finally:
            if self._assessor is not None:
                await self._assessor.end()
            turns.close()
        return self.state

    def _check(self) -> None:
        """Refuse before the first session what a later one could not have."""
        from midas_engine.evaluator.context.history_split import split_panel

        rest = self.plan.legs[len(self.state.done) :]
        for leg in {leg.proposer: leg for leg in rest}.values():
            self._workspace.researcher(leg.proposer, settings=self._of(leg))
        for horizon in dict.fromkeys(leg.horizon for leg in rest):
            try:
                split_panel(self._data(), self._settings, horizon)
            except EvaluationError as error:
                raise EvaluationError(f"horizon {horizon}: {error.message}", hint=error.hint) from error

    def _data(self) -> Panel:
        if self._panel is None:
            from midas_engine.market import load_panel

            self._panel = load_panel(self._settings.data, store=self._settings.store)
        return self._panel

    # -- one session -------------------------------------------------------------------------------

    async def _one(self, leg: Leg) -> LegDone | None:
        """Run a session, or go on with it; None when it was cancelled."""
        session = self.plan.session_id(leg)
        settings = self._of(leg)
        record = await asyncio.to_thread(self._record, session)
        if (earlier := await asyncio.to_thread(self._ended, session, record)) is not None:
            return self._done(leg, *earlier)  # it was killed between the session's end and this note of it
        if record.kept:
            self._notes(f"going on with session {session}")
        assessor = await self._assessor_for(settings)
        loop = self._loop = self._loop or self._workspace.loop(researcher=self._researcher)
        config = self.plan.config(leg, self.state.share(), self.plan.line_trials)
        model = settings.model
        loop.config = dataclasses.replace(config, model=model.model, max_tokens=model.max_tokens)
        loop.settings, self._leg, self._here = settings, leg, {SCREENED: 0, TRIED: 0}
        ended: SessionEnded | None = None
        async with aclosing(loop.stream(leg.goal, assessor, record=record)) as events:
            async for event in events:
                if isinstance(event, CandidateScored) and self.first_verdict is None:
                    self.first_verdict = self._workspace.clock.monotonic() - self._begun
                self._tell(event)
                if isinstance(event, SessionEnded):
                    ended = event
        if ended is None or (ended.result == "cancelled" and self._cancelled):
            return None
        if ended.result in RESUMABLE:
            raise SessionInterruptedError(
                f"session {session} stands where it was: {ended.reason}",
                hint="put the cause right; the same command goes on from here",
            )
        return self._done(leg, ended.result, ended.reason, ended.tried, ended.accepted)

    def _of(self, leg: Leg) -> Settings:
        settings = self._settings
        return dataclasses.replace(
            settings,
            seed=self.plan.seed + leg.number,
            evaluation=dataclasses.replace(settings.evaluation, target=leg.horizon),
            model=dataclasses.replace(settings.model, provider=leg.proposer),
        )

    async def _assessor_for(self, settings: Settings) -> CampaignAssessor:
        """The workers of this horizon; those of another make room for them."""
        target = settings.evaluation.target
        if self._assessor is not None and self._assessor.horizon == target:
            return self._assessor
        if self._assessor is not None:
            await self._assessor.end()
        panel = await asyncio.to_thread(self._data)
        self._assessor = await asyncio.to_thread(CampaignAssessor, panel, settings, self._counted)
        return self._assessor

    def _researcher(self) -> Researcher:
        assert self._leg is not None
        return self._workspace.researcher(self._leg.proposer, settings=self._of(self._leg))

    def _counted(self, kind: str, met: int) -> None:
        assert self._leg is not None
        now, here, after = self._workspace.clock.monotonic(), self._here, self.plan.legs[self._leg.number + 1 :]
        self._pace.took(kind, met, now - self._told, first=not here[kind])
        self._told, here[kind] = now, here[kind] + met
        done = min(self.plan.candidates, self.state.spent + sum(here.values()))
        before = [leg.tried for leg in self.state.done]
        each = sum(before) / len(before) if before else self.plan.trials
        tried = round(max(0.0, each - here[TRIED]) + each * len(after))
        sessions = sum(leg.screens for leg in after)
        more = sessions or (self._leg.screens and not here[TRIED])
        screened = max(0, self.plan.candidates - done - tried) if more else 0
        left = self._pace.left((screened, sessions), (tried, len(after)))
        self._progress(
            Progress(
                done, self.plan.candidates, self._pace.met, now - self._begun, self._leg.number + 1,
                len(self.plan.legs), len(self.state.accepted), left,
            )
        )  # fmt: skip

    # -- what is on record -------------------------------------------------------------------------

    def _record(self, session: str) -> SessionRecord:
        from midas_engine.journal.transcript import Transcripts

        journal = self._workspace.journal
        return SessionRecord(session, Transcripts(journal).rows(session), journal)

    def _ended(self, session: str, record: SessionRecord) -> tuple[str, str, int, tuple[str, ...]] | None:
        """How a session ended that came to its end before; None where it is to be run or gone on with."""
        from midas_engine.alive import is_alive

        if is_alive(session_mark(self._workspace.journal, session)):
            raise SessionError(f"session {session} runs in another process", hint="wait for its end")
        if record.end is None or str(record.end["result"]) in RESUMABLE:
            return None
        end = record.end
        if "tried" in end:
            return str(end["result"]), str(end["reason"]), int(end["tried"]), tuple(map(str, end["accepted"]))
        # A record of a Midas that kept less.
        row: dict[str, Any] = next((r.body for r in self._workspace.journal.sessions() if r.key == session), {})
        accepted = tuple(str(name) for name in row.get("accepted", ()))
        return str(end["result"]), str(row.get("result", "")), int(row.get("tried", 0)), accepted

    def _done(self, leg: Leg, result: str, reason: str, tried: int, accepted: tuple[str, ...]) -> LegDone:
        from midas_engine.evaluator.trials.ledger import TrialLedger

        session = self.plan.session_id(leg)
        with TrialLedger(self._workspace.kb.journal_path, read_only=True) as ledger:
            families = [t for t in ledger.history(session) if t.outcome == "screened"]
        screened = sum(int(t.summary.get("evaluated", 0)) for t in families)
        return LegDone(
            session, leg.goal, leg.proposer, leg.horizon, screened, tried, tuple(accepted), result, reason[:300]
        )
