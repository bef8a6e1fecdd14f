"""A researcher made anew for every diagnosis: a budget of its own, and the day's spending as it stands then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from midas_engine.journal.transcript import Transcripts
from midas_engine.llm.recorded import RecordedClient
from midas_engine.models import ModelUsage
from midas_engine.proposer.protocol import AsksModel, CallsModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from midas_engine.clock import Clock
    from midas_engine.journal import Journal
    from midas_engine.llm.client import ModelReply, ModelRequest
    from midas_engine.proposer.protocol import DiagnosisBrief, DiagnosisDraft, Researcher

_SESSION = "diagnosis"


class FreshResearcher:
    """Stands in for a researcher over months: one that counts its calls for itself would soon have none left.

    Args:
        make: Gives a researcher, told what the day has cost so far (USD).
        journal: Where spending is read and every call is written; None counts nothing.
        clock: Says which day it is.
    """

    def __init__(self, make: Callable[[float], Researcher], clock: Clock, journal: Journal | None = None) -> None:
        self._make, self._clock, self._journal = make, clock, journal
        self.name = "researcher"

    async def diagnose(self, brief: DiagnosisBrief, on_text: Callable[[str], None]) -> DiagnosisDraft:
        """See `Researcher.diagnose`."""
        researcher = self._make(await asyncio.to_thread(self._spent))
        self.name = researcher.name
        calls: list[ModelUsage] = []
        failed = _Failed()
        if isinstance(researcher, CallsModel):
            researcher.listen(lambda request, reply: calls.append(_usage(request, reply)))
        if isinstance(researcher, AsksModel):
            researcher.through(lambda client: RecordedClient(client, failed))
        try:
            draft: DiagnosisDraft = await researcher.diagnose(brief, on_text)
            return draft
        finally:
            # a call that led to nothing was paid for all the same
            await asyncio.shield(asyncio.to_thread(self._record, calls, failed.rows))
            await researcher.close()

    def _spent(self) -> float:
        if self._journal is None:
            return 0.0
        today = self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        return float(self._journal.model_spend(since=today)[1])

    def _record(self, calls: list[ModelUsage], failed: list[Mapping[str, Any]]) -> None:
        if self._journal is not None and not self._journal.read_only:
            for usage in calls:
                self._journal.record_model_call(usage, session_id=_SESSION, at=self._clock.now())
            for body in failed:
                Transcripts(self._journal).append(_SESSION, "failed", body, at=self._clock.now())

    async def close(self) -> None:
        """Nothing is held between diagnoses."""


class _Failed:
    """Keeps the calls that failed: what a cut, slow or refused reply had used is paid for."""

    def __init__(self) -> None:
        self.rows: list[Mapping[str, Any]] = []

    def next_call(self) -> None:
        """Nothing was asked before."""

    async def keep(self, kind: str, body: Mapping[str, Any]) -> None:
        """See `CallRecord.keep`."""
        if kind == "failed":
            self.rows.append(body)


def _usage(request: ModelRequest, reply: ModelReply) -> ModelUsage:
    return ModelUsage(reply.provider, reply.model, reply.tokens_in, reply.tokens_out, reply.cost_usd, reply.seconds)
